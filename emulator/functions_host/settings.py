"""host.json and local.settings.json: what they may say, and what it means here.

Sections that the emulator has no use for are ignored, as the host ignores what it does not know.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec

from emulator.functions_host.errors import SettingsError

UNLIMITED = -1
DEFAULT_FUNCTION_TIMEOUT_S = 30 * 60.0
"The Premium plan's default."
DEFAULT_PORT = 7071

_TIME_SPAN = re.compile(r"(?:(\d+)\.)?(\d{1,2}):(\d{2})(?::(\d{2}(?:\.\d+)?))?")
_File = TypeVar("_File", bound=msgspec.Struct)


class HttpOptions(msgspec.Struct, rename="camel", frozen=True):
    """host.json's `extensions.http`."""

    route_prefix: str = "api"
    max_outstanding_requests: int = UNLIMITED
    "Requests running or waiting, beyond which the host answers 429."
    max_concurrent_requests: int = UNLIMITED
    "Requests running at once; others wait."
    custom_headers: dict[str, str] = {}
    "Headers put on every response that does not set them itself."


class Extensions(msgspec.Struct, frozen=True):
    """host.json's `extensions`."""

    http: HttpOptions = HttpOptions()


class HostJson(msgspec.Struct, rename="camel", frozen=True):
    """The part of host.json that concerns one instance."""

    version: str = ""
    telemetry_mode: str = ""
    "`OpenTelemetry` makes the host export spans of requests."
    function_timeout: str | None = None
    extensions: Extensions = Extensions()

    @property
    def function_timeout_s(self) -> float | None:
        """How long an invocation may take; None is for ever."""
        if self.function_timeout is None:
            return DEFAULT_FUNCTION_TIMEOUT_S
        if self.function_timeout == "-1":
            return None
        matched = _TIME_SPAN.fullmatch(self.function_timeout)
        days, hours, minutes, seconds = matched.groups(default="0") if matched else ("0",) * 4
        timeout_s = int(days) * 86_400 + int(hours) * 3_600 + int(minutes) * 60 + float(seconds)
        if not timeout_s:
            raise SettingsError(
                f"host.json: functionTimeout is {self.function_timeout!r}; write hh:mm:ss, or -1 for no limit"
            )
        return timeout_s


class HostStartSettings(msgspec.Struct, rename="pascal", frozen=True):
    """local.settings.json's `Host`: what the command line can also say."""

    local_http_port: Annotated[int, msgspec.Meta(ge=0, le=65_535)] | None = None
    cors: str = msgspec.field(default="", name="CORS")
    cors_credentials: bool = msgspec.field(default=False, name="CORSCredentials")


class LocalSettings(msgspec.Struct, rename="pascal", frozen=True):
    """local.settings.json, which exists only on a developer's machine."""

    is_encrypted: bool = True
    values: dict[str, Any] = {}
    host: HostStartSettings = HostStartSettings()


def load_host_json(script_root: Path) -> HostJson:
    """Read and check host.json.

    Raises:
        SettingsError: the file is missing, or a field has an impossible value.
    """
    path = script_root / "host.json"
    if not path.is_file():
        raise SettingsError(
            f'host.json is missing in {script_root}; the least it may say is {{"version": "2.0"}}'
        )
    host_json = _read(path, HostJson)
    if host_json.version != "2.0":
        raise SettingsError(f'host.json: version is {host_json.version!r}; set "version": "2.0"')
    http = host_json.extensions.http
    for field, limit in (
        ("maxOutstandingRequests", http.max_outstanding_requests),
        ("maxConcurrentRequests", http.max_concurrent_requests),
    ):
        if limit != UNLIMITED and limit < 1:
            raise SettingsError(
                f"host.json: extensions.http.{field} is {limit}; give at least 1, or -1 for no limit"
            )
    _ = host_json.function_timeout_s
    return host_json


def load_local_settings(script_root: Path) -> LocalSettings | None:
    """Read and check local.settings.json; None where there is none, as in Azure.

    Raises:
        SettingsError: the file is encrypted, or a field has an impossible value.
    """
    path = script_root / "local.settings.json"
    if not path.is_file():
        return None
    settings = _read(path, LocalSettings)
    if settings.is_encrypted:
        raise SettingsError(
            'local.settings.json is marked as encrypted; set "IsEncrypted": false, '
            "which a file without that field lacks too, and write its Values in plain text"
        )
    for name, value in settings.values.items():
        if value is not None and not isinstance(value, str):
            raise SettingsError(
                f"local.settings.json: Values.{name} is {msgspec.json.encode(value).decode()}; "
                "app settings are text: put it in quotes"
            )
    return settings


def apply_app_settings(settings: LocalSettings) -> Iterator[str]:
    """Put `Values` into the environment where it does not say otherwise.

    An environment variable that is set but empty counts as not set, as in Core Tools
    (`StartHostAction.UpdateEnvironmentVariables`).

    Yields:
        One line for each setting that was skipped.
    """
    for name, value in settings.values.items():
        if not name:
            yield "Skipping local setting with empty key."
        elif os.environ.get(name):
            yield (
                f"Skipping '{name}' from local settings as it's already defined in "
                "current environment variables."
            )
        elif value is None:
            yield f"Skipping '{name}' because value is null"
        else:
            os.environ[name] = value


def _read(path: Path, kind: type[_File]) -> _File:
    try:
        return msgspec.json.decode(path.read_text(encoding="utf-8-sig").encode(), type=kind)
    except msgspec.ValidationError as err:
        problem, _, field = str(err).partition(" - at `$.")
        where = f"{field.rstrip('`')}: " if field else ""
        raise SettingsError(f"{path.name}: {where}{problem}") from err
    except (msgspec.DecodeError, UnicodeDecodeError) as err:
        raise SettingsError(f"{path.name} is not valid JSON: {err}") from err
