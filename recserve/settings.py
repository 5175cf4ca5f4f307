"""Every app setting, read from the environment once, here."""

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from recserve.errors import InvalidSettings

APP_ROOT = Path(__file__).resolve().parent.parent
"Relative paths in settings start here: the host's working directory is not ours to rely on."


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """App settings; each is the environment variable of the same name in capitals."""

    recserve_models_dir: str = "models"
    "Directory with manifest.json, the models and the catalogue."
    recserve_state_path: str = ""
    "SQLite file with user histories; empty: `recserve/state.db` below the temporary directory."
    recserve_inference_threads: Annotated[int, Meta(ge=1, le=64)] = 1
    "Threads that one model run may use; EP1 has one core."
    recserve_max_batch: Annotated[int, Meta(ge=1, le=1024)] = 32
    "Largest micro-batch; 1 turns batching off."
    recserve_max_in_flight: Annotated[int, Meta(ge=1, le=10_000)] = 64
    "Requests one process works on at the same time; one more is refused with 429."
    recserve_brownout_at: Annotated[float, Meta(gt=0, le=1)] = 0.75
    "Share of `recserve_max_in_flight` in use from which a cheaper variant answers; 1: never."
    applicationinsights_connection_string: str = ""
    "Where traces and metrics go; empty: nowhere."
    otel_exporter_otlp_endpoint: str = ""
    "OTLP over HTTP endpoint that receives the same telemetry; empty: none."
    website_site_name: str = "recserve"
    "Name of the function app; Azure sets it."
    website_instance_id: str = ""
    "The instance; Azure sets it."

    @property
    def models_dir(self) -> Path:
        return APP_ROOT / self.recserve_models_dir

    @property
    def state_path(self) -> Path:
        if self.recserve_state_path:
            return APP_ROOT / self.recserve_state_path
        return Path(tempfile.gettempdir()) / "recserve" / "state.db"


def read_settings(environ: Mapping[str, str] = os.environ) -> Settings:
    """Read and check the settings.

    Raises:
        InvalidSettings: a value has the wrong type or is out of range; every such one is named.
    """
    found = {name: environ[name.upper()] for name in Settings.__struct_fields__ if name.upper() in environ}
    faults = []
    for name, value in found.items():
        try:
            msgspec.convert({name: value}, Settings, strict=False)
        except msgspec.ValidationError as err:
            wanted = str(err).removesuffix(f" - at `$.{name}`")
            faults.append(f"{name.upper()}={value!r}: {wanted}")
    if faults:
        raise InvalidSettings("invalid app settings: " + "; ".join(faults))
    return msgspec.convert(found, Settings, strict=False)
