"""What an operator can set, and what an instance finds in its environment."""

import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from emulator.functions_host.settings import load_local_settings
from planner.plans import PremiumPlan
from planner.scale_rules import ScaleSettings

SITE_NAME = "WEBSITE_SITE_NAME"
CONNECTION_STRING = "APPLICATIONINSIGHTS_CONNECTION_STRING"
REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanSettings:
    """An emulated plan.

    Raises:
        ValueError: a time is not positive; the message names it.
    """

    plan: PremiumPlan
    scale: ScaleSettings = field(default_factory=ScaleSettings)
    script_root: Path
    "Directory with function_app.py and host.json."
    data: Path
    "Folder for events, logs and what instances keep."
    host: str = "127.0.0.1"
    port: int = 7071
    "Of the front end; 0 picks a free one."
    connection_string: str = ""
    "Of Application Insights; empty: what the app settings say."
    uses_azurite: bool = False
    "User histories go to an Azurite that the plan starts, instead of where app settings say."
    ready_path: str = "/api/health/ready"
    "Answers 200 once an instance can serve; an app without it is ready once its host is."
    tick_s: float = 0.1
    "How often the scale rules are asked."
    start_timeout_s: float = 60.0
    "Longest that an instance may take to become ready; Azure waits 230 s for a container."
    drain_timeout_s: float = 30.0
    "Longest that a draining instance may take to answer what it has."
    stop_timeout_s: float = 8.0
    "Longest that a process may take to end once it is told to; then it is killed."
    probe_every_s: float = 1.0
    probe_timeout_s: float = 2.0
    n_failed_probes: int = 3
    "Probes without an answer, one after the other, after which an instance is replaced."
    time_limit_s: float | None = None
    "The plan ends by itself after this; None: never."
    is_at_terminal: bool = True
    "Somebody reads its lines and may type commands; else it is a part of something larger."

    def __post_init__(self) -> None:
        for name in ("start_timeout_s", "probe_timeout_s", "time_limit_s"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(f"{name} is {value:g}; give seconds above 0")


def known_settings(settings: PlanSettings, environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """App settings as an instance will see them: local.settings.json stands behind the environment.

    Raises:
        HostStartError: local.settings.json cannot be used.
    """
    local = load_local_settings(settings.script_root)
    values = {name: value for name, value in local.values.items() if value} if local else {}
    return values | {name: value for name, value in environ.items() if value}


def shared_environment(
    settings: PlanSettings, known: Mapping[str, str], environ: Mapping[str, str] = os.environ
) -> dict[str, str]:
    """The environment of all instances: this process's, and what the platform provides.

    Args:
        known: see `known_settings`; what is set there is left to it.
    """
    provided = {
        SITE_NAME: "recserve",
        "WEBSITE_SKU": "ElasticPremium",
        # What Azure draws for an app once: instances must agree on how they hash user ids.
        "WEBSITE_AUTH_ENCRYPTION_KEY": secrets.token_hex(32),
        # Instances have a temporary directory each; what they share must not lie there.
        "RECSERVE_STATE_PATH": str(settings.data / "state.db"),
        "RECSERVE_OUTBOX_PATH": str(settings.data / "outbox.db"),
        "OMP_NUM_THREADS": str(settings.plan.sku.vcpu),
    }
    shared = dict(environ) | {name: value for name, value in provided.items() if name not in known}
    if settings.connection_string:
        shared[CONNECTION_STRING] = settings.connection_string
    return shared


def instance_environment(shared: Mapping[str, str], *, instance: str, temporary: Path) -> dict[str, str]:
    """What one instance finds: all that is shared, its name and its temporary directory."""
    return {
        **shared,
        "WEBSITE_INSTANCE_ID": instance,
        "TMPDIR": str(temporary),
        "PYTHONUNBUFFERED": "1",
        "PYTHONPATH": os.pathsep.join(filter(None, (str(REPOSITORY), shared.get("PYTHONPATH", "")))),
    }
