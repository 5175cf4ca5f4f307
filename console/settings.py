"""Everything of the console that can be set from outside, read once from environment variables."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

AZURE_LOGS_URL = "https://api.loganalytics.io/v1"
LOCAL_WORKSPACE = "00000000-0000-0000-0000-000000000000"
"What the emulator is asked with: it holds one workspace and answers for any."

_WORKSPACE = re.compile(r"(?:(?P<name>[\w .-]{1,40})=)?\s*(?P<id>[0-9a-fA-F-]{36})")


class SettingsError(ValueError):
    """A setting that cannot be used; the message names value and remedy."""


@dataclass(frozen=True, slots=True)
class Source:
    """A workspace of telemetry."""

    name: str
    workspace_id: str
    logs_url: str
    "Up to and including `/v1`."

    @property
    def is_local(self) -> bool:
        """It is the emulator's, which asks for no credential."""
        return self.logs_url.startswith("http://")


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsoleSettings:
    sources: tuple[Source, ...] = ()
    "The first is shown unless a link names another; empty: telemetry is not configured."
    roles: frozenset[str] = frozenset()
    "App roles of Entra that may look; empty: no sign-in, on the loopback address only."
    slo_ms: float = 25.0
    "Latency that is promised."
    slo_share: float = 0.99
    "Share of requests that must keep it."


def read_settings(environ: Mapping[str, str]) -> ConsoleSettings:
    """The console's settings.

    Raises:
        SettingsError: one of them is no value of its kind.
    """
    return ConsoleSettings(
        sources=_read_sources(environ),
        roles=frozenset(filter(None, (role.strip() for role in _value(environ, "ROLES").split(",")))),
        slo_ms=_positive(environ.get("RECSERVE_SLO_MS") or "25", "RECSERVE_SLO_MS"),
        slo_share=_share(environ.get("RECSERVE_SLO_SHARE") or "0.99", "RECSERVE_SLO_SHARE"),
    )


@cache
def settings() -> ConsoleSettings:
    """Those of this process.

    Raises:
        SettingsError: as `read_settings`.
    """
    return read_settings(os.environ)


def _value(environ: Mapping[str, str], name: str) -> str:
    return environ.get(f"RECSERVE_CONSOLE_{name}", "").strip()


def _read_sources(environ: Mapping[str, str]) -> tuple[Source, ...]:
    url = environ.get("RECSERVE_LOGS_URL", "").strip()
    listed = environ.get("RECSERVE_WORKSPACES", "").strip()
    if url and not url.startswith(("http://", "https://")):
        raise SettingsError(f"RECSERVE_LOGS_URL is {url!r}; it begins with http:// or https://")
    logs_url = (url or AZURE_LOGS_URL).rstrip("/").removesuffix("/v1") + "/v1"
    if not listed:
        return (Source("local", LOCAL_WORKSPACE, logs_url),) if logs_url.startswith("http://") else ()
    sources: list[Source] = []
    for entry in listed.split(","):
        found = _WORKSPACE.fullmatch(entry.strip())
        if found is None:
            raise SettingsError(
                f"RECSERVE_WORKSPACES holds {entry.strip()!r}; each is a workspace's id, or name=id"
            )
        sources.append(Source((found["name"] or found["id"][:8]).strip(), found["id"], logs_url))
    if len({source.name for source in sources}) < len(sources):
        raise SettingsError("RECSERVE_WORKSPACES names two workspaces alike; give each a name of its own")
    return tuple(sources)


def _positive(text: str, name: str) -> float:
    value = _number(text)
    if not 0 < value < float("inf"):
        raise SettingsError(f"{name} is {text!r}; it is a number above 0")
    return value


def _share(text: str, name: str) -> float:
    value = _number(text)
    if not 0 < value < 1:
        raise SettingsError(f"{name} is {text!r}; it is a share between 0 and 1, such as 0.99")
    return value


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")
