"""Every app setting, read from the environment once, here."""

import logging
import os
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from recserve.errors import InvalidModels, InvalidSettings
from recserve.settings_check import Finding, check_settings, fatal

log = logging.getLogger(__name__)

APP_ROOT = Path(__file__).resolve().parent.parent
"Relative paths in settings start here: the host's working directory is not ours to rely on."

FLAG_OF_WORKER = "python_applicationinsights_enable_telemetry"
TRUE_TO_WORKER = {"1", "true", "t", "yes", "y"}
"What the Python worker takes for true (`is_true_like`); to it everything else is false, and nothing an error."


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """App settings; each is the environment variable of the same name in capitals."""

    recserve_models_dir: str = "models"
    "Directory with manifest.json, the models and the catalogue."
    recserve_models_url: str = ""
    "URL of a blob container that newer model versions come from, reached with the app's identity or a SAS."
    recserve_models_connection_string: str = ""
    "Connection string of the storage account with a container `models`, instead of that URL."
    recserve_models_cache: str = ""
    "Directory for downloaded versions; empty: `recserve/models` below the temporary directory."
    recserve_challenger_dir: str = ""
    "Directory with a second model version, for arms `challenger/...` of a split; empty: none."
    recserve_reload_s: Annotated[float, Meta(ge=0, le=86_400)] = 60.0
    "How often each process looks for a new model version; 0: only when told to."
    recserve_split: str = ""
    "Which share of users gets which variant, such as `student=90, int8=10`; empty: all get the default."
    recserve_split_salt: str = ""
    "Change it to deal the users out anew."
    recserve_ladder: str = ""
    "Variants to serve, by name, with commas between; empty: those that the models' manifest serves."
    recserve_shadow: str = ""
    "Variant that is asked too, off the answer's path, and compared; empty: none."
    recserve_state_tables_url: str = ""
    "URL of the storage account whose table keeps user histories, reached with the app's identity."
    recserve_state_tables_connection_string: str = ""
    "Connection string of that account, instead of its URL. Neither: SQLite."
    recserve_state_path: str = ""
    "SQLite file with user histories; empty: `recserve/state.db` below the temporary directory."
    recserve_outbox_path: str = ""
    "SQLite file with events that wait for Table Storage; empty: `recserve/outbox.db` below that directory."
    recserve_state_ttl_days: Annotated[float, Meta(gt=0, le=3650)] = 90.0
    "How long an event is kept."
    recserve_state_timeout_ms: Annotated[float, Meta(gt=0, le=10_000)] = 50.0
    "Longest a request waits for Table Storage; then it goes on without the stored history."
    recserve_cached_users: Annotated[int, Meta(ge=0, le=1_000_000)] = 10_000
    "Users whose histories the process remembers."
    recserve_cache_s: Annotated[float, Meta(ge=0, le=3600)] = 5.0
    "How long it trusts them; events posted to other instances show after this."
    recserve_inference_threads: Annotated[int, Meta(ge=1, le=64)] = 1
    "Threads that one model run may use; EP1 has one core."
    recserve_max_batch: Annotated[int, Meta(ge=1, le=1024)] = 32
    "Largest micro-batch; the sizes below it are learned; 1 turns batching off."
    recserve_slo_ms: Annotated[float, Meta(gt=0, le=60_000)] = 25.0
    "Latency that is promised: batches, limits and brownout keep below it."
    recserve_deadline_ms: Annotated[float, Meta(gt=0, le=60_000)] = 250.0
    "When an answer is worthless to a caller that did not say."
    recserve_admission: Literal["adaptive", "fixed", "off"] = "adaptive"
    "`adaptive`: the limit of requests in flight is learned; `fixed`: it is the next setting; `off`: no limit "
    "and no brownout, for measurements."
    recserve_max_in_flight: Annotated[int, Meta(ge=1, le=10_000)] = 64
    "Requests one process works on at the same time, at most; one more is refused with 429."
    recserve_brownout_at: Annotated[float, Meta(gt=0, le=1)] = 0.75
    "Pressure from which a growing share of requests is answered by a cheaper variant; 1: never."
    recserve_caller_per_s: Annotated[float, Meta(ge=0, le=100_000)] = 0.0
    "Requests a second that each caller may send to a process; 0: any number."
    recserve_caller_burst: Annotated[int, Meta(ge=1, le=1_000_000)] = 20
    "How many of them may come at once, after a pause."
    recserve_edge: Literal["off", "key", "public"] = "off"
    "Who may download what devices answer from: nobody, holders of a function key, or everybody."
    recserve_edge_dir: str = "models/edge"
    "Directory with that bundle; `python -m training edge` makes it."
    recserve_edge_max_age_h: Annotated[float, Meta(gt=0, le=8760)] = 168.0
    "How long a device may answer from a bundle without having asked for its manifest again."
    applicationinsights_connection_string: str = ""
    "Where traces and metrics go; empty: nowhere."
    otel_exporter_otlp_endpoint: str = ""
    "OTLP over HTTP endpoint that receives the same telemetry; empty: none."
    applicationinsights_authentication_string: str = ""
    "`Authorization=AAD`, with `;ClientId=...` for a user-assigned identity: sends with the app's identity."
    python_applicationinsights_enable_telemetry: bool = False
    "Whether the Python worker sets Azure Monitor up; then Recserve does not. Read as the worker reads it."
    recserve_trace_rate: Annotated[float, Meta(ge=0, le=1)] = 0.05
    "Share of ordinary requests that become traces; cold, impacted, slow, shed and failed ones always do."
    recserve_traces_per_s: Annotated[float, Meta(gt=0, le=10_000)] = 20.0
    "Of each of these kinds, how many a second at most; of more, an even share with its weight."
    recserve_user_key: str = ""
    "Key that user ids are hashed with in telemetry; empty: Azure's key of the app, or one drawn by each process."
    recserve_spool_dir: str = ""
    "Directory for telemetry that could not be sent; empty: `recserve/spool` below the temporary directory."
    recserve_spool_mib: Annotated[float, Meta(gt=0, le=10_000)] = 50.0
    "How large it may become; what does not fit is lost."
    website_site_name: str = "recserve"
    "Name of the function app; Azure sets it."
    website_instance_id: str = ""
    "The instance; Azure sets it."
    website_owner_name: str = ""
    "Subscription and webspace; Azure sets it."
    website_resource_group: str = ""
    "Resource group; Azure sets it."
    region_name: str = ""
    "Region; Azure sets it."
    website_auth_enabled: str = ""
    "`True` where App Service signs callers in; Azure sets it."
    website_auth_encryption_key: str = ""
    "A secret of the app; Azure sets it."

    @property
    def models_dir(self) -> Path:
        return APP_ROOT / self.recserve_models_dir

    @property
    def edge_dir(self) -> Path:
        return APP_ROOT / self.recserve_edge_dir

    @property
    def ladder(self) -> tuple[str, ...]:
        """Variants to serve; empty: those that the manifest serves."""
        return tuple(filter(None, (name.strip() for name in self.recserve_ladder.split(","))))

    @property
    def state_path(self) -> Path:
        return _below_root(self.recserve_state_path, "state.db")

    @property
    def outbox_path(self) -> Path:
        return _below_root(self.recserve_outbox_path, "outbox.db")

    @property
    def spool_path(self) -> Path:
        return _below_root(self.recserve_spool_dir, "spool")

    @property
    def start_note(self) -> Path:
        """What processes of this instance tell each other of their starts."""
        return Path(tempfile.gettempdir()) / "recserve" / f"started-{self.website_site_name}.json"

    @property
    def is_telemetry_on(self) -> bool:
        """Whether telemetry goes anywhere."""
        return bool(
            self.applicationinsights_connection_string
            or self.otel_exporter_otlp_endpoint
            or self.python_applicationinsights_enable_telemetry
        )

    @property
    def models_cache(self) -> Path:
        return _below_root(self.recserve_models_cache, "models")


def _below_root(setting: str, default: str) -> Path:
    """A path below the app, or what it is called below the temporary directory when it is not set."""
    return APP_ROOT / setting if setting else Path(tempfile.gettempdir()) / "recserve" / default


def is_edge_public(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether devices show no key; asked as the functions are indexed, when no other setting has been read."""
    return environ.get("RECSERVE_EDGE") == "public"


def read_settings(environ: Mapping[str, str] = os.environ) -> Settings:
    """Read and check the settings; what is doubtful is logged.

    Raises:
        InvalidSettings: the process cannot serve with them; everything that is in its way is named.
    """
    settings, findings = inspect_settings(environ)
    if in_the_way := [str(finding) for finding in findings if finding.is_fatal]:
        listed = " ".join(f"({number}) {text}" for number, text in enumerate(in_the_way, 1))
        raise InvalidSettings(f"invalid app settings: {listed}")
    for finding in findings:
        log.warning("app settings: %s", finding)
    return settings


def inspect_settings(
    environ: Mapping[str, str], *, is_deployed: bool = False
) -> tuple[Settings, list[Finding]]:
    """The settings, those that cannot be read at their defaults, and everything that is wrong with them.

    Args:
        environ: where they are read from.
        is_deployed: see `check_settings`.
    """
    found = {name: environ[name.upper()] for name in Settings.__struct_fields__ if name.upper() in environ}
    if FLAG_OF_WORKER in found:
        is_set = found[FLAG_OF_WORKER].strip().lower() in TRUE_TO_WORKER
        found[FLAG_OF_WORKER] = str(is_set)
    faults = []
    for name, value in tuple(found.items()):
        try:
            msgspec.convert({name: value}, Settings, strict=False)
        except msgspec.ValidationError as err:
            wanted = str(err).removesuffix(f" - at `$.{name}`")
            faults.append(
                fatal(
                    f"{name.upper()}={value!r}: {wanted}",
                    "give such a value, or leave it out for its default",
                )
            )
            del found[name]
    settings = msgspec.convert(found, Settings, strict=False)
    findings = check_settings(settings, environ, variants=_variants(settings), is_deployed=is_deployed)
    return settings, faults + findings


def _variants(settings: Settings) -> dict[str, list[str]]:
    """Names of the variants by line; only where settings name any, and of models that can be read here."""
    if not (settings.recserve_ladder or settings.recserve_shadow or settings.recserve_split):
        return {}
    from recserve.experiments import CHALLENGER, CURRENT
    from recserve.inference.manifest import read_manifest

    places = {}
    if not settings.recserve_models_url and not settings.recserve_models_connection_string:
        places[CURRENT] = settings.models_dir
    if settings.recserve_challenger_dir:
        places[CHALLENGER] = APP_ROOT / settings.recserve_challenger_dir
    found = {}
    for line, models_dir in places.items():
        with suppress(InvalidModels):  # whoever loads them says what is wrong
            found[line] = [variant.name for variant in read_manifest(models_dir).ladder]
    return found
