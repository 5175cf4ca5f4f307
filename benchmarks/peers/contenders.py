"""Who takes part, and the settings of each that are tried."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.peers.environments import make_environment
from benchmarks.peers.settings import PeerSettings
from recserve.inference.manifest import read_manifest

OURS = "recserve"
UNLIMITED = "recserve, no limit"


class Setting(NamedTuple):
    """What a peer lets its users choose. Workers are one process each: they share one core."""

    max_batch: int = 1
    max_wait_ms: float = 0.0
    style: str = ""

    def __str__(self) -> str:
        batch = (
            f"batch {self.max_batch}, wait {self.max_wait_ms:g} ms" if self.max_batch > 1 else "no batching"
        )
        return f"{self.style}, {batch}" if self.style else batch


@dataclass(frozen=True, slots=True)
class Launch:
    """A contender, ready to be started."""

    command: list[str]
    environment: dict[str, str]
    takes_lists: bool = False
    'Whether the body is `{"requests": [...]}` and the answer a list.'


@dataclass(frozen=True, slots=True)
class Contender:
    name: str
    settings: Sequence[Setting] = (Setting(),)
    "What is tried; Recserve learns its batches and needs no choice."
    app_settings: Mapping[str, str] = field(default_factory=dict)
    "Of Recserve, over those that it ships with."

    @property
    def is_ours(self) -> bool:
        return self.name in (OURS, UNLIMITED)

    def launch(self, setting: Setting, *, models_dir: Path, port: int, folder: Path) -> Launch:
        """How to start it.

        Args:
            setting: one of `settings`.
            models_dir: whose first served variant answers.
            port: where it listens.
            folder: for what it writes.
        """
        if self.is_ours:
            return _launch_recserve(self.app_settings, models_dir, port, folder)
        return _launch_peer(self.name, setting, models_dir, port, folder)


OURS_SETTINGS = {
    # Answers of a cheaper variant would be less work than the peers do: brownout is off, so that every answer
    # is one of the variant that they serve too, and who would have got a cheaper one is refused or waits.
    "RECSERVE_BROWNOUT_AT": "1",
    # The app's telemetry is as it ships, every request counted and a twentieth traced. The stand-in for the
    # Functions host adds its own span of each request, which .NET does in Azure and Python does here: it
    # keeps as many traces as the app.
    "OTEL_TRACES_SAMPLER_ARG": "0.05",
}

CONTENDERS = (
    Contender(OURS, app_settings=OURS_SETTINGS),
    Contender(UNLIMITED, app_settings=OURS_SETTINGS | {"RECSERVE_ADMISSION": "off"}),
    # Mosec waits for companions at least 1 ms as soon as it batches.
    Contender(
        "mosec",
        (Setting(), Setting(8, 1.0), Setting(16, 1.0), Setting(16, 2.0), Setting(32, 1.0), Setting(64, 2.0)),
    ),
    Contender(
        "litserve",
        (
            Setting(),
            Setting(style="zeromq"),
            Setting(16, 1.0),
            Setting(16, 2.0, "zeromq"),
            Setting(32, 5.0, "zeromq"),
        ),
    ),
    # BentoML learns how long to wait; a bound of 10 s on it refuses nobody.
    Contender(
        "bentoml",
        (Setting(), Setting(style="threads"), Setting(16, style="batches"), Setting(64, style="batches")),
    ),
    Contender("fastapi", (Setting(), Setting(style="threads"))),
)


def _launch_recserve(app_settings: Mapping[str, str], models_dir: Path, port: int, folder: Path) -> Launch:
    environment = {
        "RECSERVE_MODELS_DIR": str(models_dir),
        "RECSERVE_STATE_PATH": str(folder / "state.db"),
        "RECSERVE_SPOOL_DIR": str(folder / "spool"),
        "RECSERVE_RELOAD_S": "0",
        **app_settings,
    }
    return Launch([sys.executable, "-m", "emulator", "start", "--port", str(port)], environment)


def _launch_peer(name: str, setting: Setting, models_dir: Path, port: int, folder: Path) -> Launch:
    manifest = read_manifest(models_dir)
    settings = PeerSettings(
        port=port,
        model=str(models_dir / manifest.variant(manifest.serving[0]).file.name),
        catalogue=str(models_dir / manifest.catalogue.name),
        max_history=manifest.max_history,
        max_batch=setting.max_batch,
        max_wait_ms=setting.max_wait_ms,
        style=setting.style,
    )
    python, module = str(make_environment(name)), f"benchmarks.peers.{name}_server"
    command = [python, "-m", module]
    if name == "bentoml":
        command = [python, "-m", "bentoml", "serve", f"{module}:Recommender"]
        command += ["--host", "127.0.0.1", "--port", str(port)]
    quiet = {"BENTOML_HOME": str(folder / "bentoml"), "BENTOML_DO_NOT_TRACK": "True"}
    return Launch(command, settings.environment() | quiet, takes_lists=setting.style == "batches")


def body(request: Mapping[str, Any], *, takes_lists: bool) -> object:
    """What is posted for one request."""
    return {"requests": [request]} if takes_lists else request


def answered_items(answer: Any) -> list[str]:
    """Item ids as text, best first, of anybody's answer."""
    if isinstance(answer, list):
        answer = answer[0]
    return [str(item["id"] if isinstance(item, dict) else item) for item in answer["items"]]
