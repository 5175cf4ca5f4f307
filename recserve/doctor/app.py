"""Checks of what lies here: Python, packages, host.json and models."""

import json
import re
import sys
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

from recserve.doctor.diagnosis import Diagnosis
from recserve.errors import InvalidModels
from recserve.inference.manifest import Manifest, read_manifest, read_verified
from recserve.settings import APP_ROOT, Settings

PRODUCTION = (3, 13)
SUPPORTED = ((3, 11), (3, 12), PRODUCTION)
BUNDLE = "Microsoft.Azure.Functions.ExtensionBundle"
UNLIMITED = -1
N_NAMED = 5
"Packages that one line names; beyond that it counts."


def check_python(version: tuple[int, int] = sys.version_info[:2]) -> Diagnosis:
    shown = ".".join(map(str, version))
    if version == PRODUCTION:
        return Diagnosis("ok", "python", shown)
    wanted = ".".join(map(str, PRODUCTION))
    if version in SUPPORTED:
        return Diagnosis(
            "warn", "python", f"{shown} here; the app in Azure runs {wanted}; try it with that too"
        )
    return Diagnosis("fail", "python", f"{shown} is not supported; use {wanted}")


def check_packages(requirements: Path = APP_ROOT / "requirements.txt") -> Diagnosis:
    """What is installed against what is pinned."""
    try:
        from packaging.requirements import Requirement

        lines = requirements.read_text().splitlines()
    except (ImportError, OSError) as err:
        return Diagnosis("fail", "packages", f"cannot be compared: {err}; install requirements.txt")
    pins = [Requirement(line) for line in lines if line.strip() and not line.lstrip().startswith(("#", "-"))]
    pins = [pin for pin in pins if pin.marker is None or pin.marker.evaluate()]
    misfits = []
    for pin in pins:
        try:
            found = metadata.version(pin.name)
        except metadata.PackageNotFoundError:
            found = "nothing"
        if found == "nothing" or not pin.specifier.contains(found, prereleases=True):
            misfits.append(f"{pin.name} is {found} instead of {str(pin.specifier).removeprefix('==')}")
    if misfits:
        return Diagnosis(
            "fail",
            "packages",
            f"{_listed(misfits)}; install with: python -m pip install -r {requirements.name}",
        )
    return Diagnosis("ok", "packages", f"{len(pins)} as {requirements.name} pins them")


def _listed(texts: list[str]) -> str:
    more = len(texts) - N_NAMED
    return ", ".join(texts[:N_NAMED]) + (f" and {more} more" if more > 0 else "")


def check_host_file(path: Path = APP_ROOT / "host.json") -> list[Diagnosis]:
    """host.json, as far as the app relies on it."""
    try:
        host = json.loads(path.read_text())
    except (OSError, ValueError) as err:
        return [Diagnosis("fail", path.name, f"cannot be read: {err}; restore the file")]
    if not isinstance(host, dict):
        return [Diagnosis("fail", path.name, f"holds {type(host).__name__}; it is a JSON object")]
    found = [Diagnosis("fail", path.name, fault) for fault in _host_faults(host)]
    found += [Diagnosis("warn", path.name, doubt) for doubt in _host_doubts(host)]
    return found or [
        Diagnosis("ok", path.name, "version 2.0, OpenTelemetry, no limits that the app does not set")
    ]


def _host_faults(host: dict[str, Any]) -> Iterator[str]:
    if host.get("version") != "2.0":
        yield f'version is {host.get("version")!r}; write "2.0"'
    bundle = host.get("extensionBundle") or {}
    if bundle.get("id") != BUNDLE or not re.match(r"\[4\.", str(bundle.get("version", ""))):
        yield f"extensionBundle is {bundle!r}; the host loads its triggers from {BUNDLE} [4.*, 5.0.0)"
    prefix = _at(host, "extensions", "http").get("routePrefix", "api")
    if prefix != "api":
        yield f"extensions.http.routePrefix is {prefix!r}; console and documents call /api"


def _host_doubts(host: dict[str, Any]) -> Iterator[str]:
    if host.get("telemetryMode") != "OpenTelemetry":
        yield (
            f"telemetryMode is {host.get('telemetryMode')!r}: the host's requests and the app's spans make no "
            'common trace; write "OpenTelemetry"'
        )
    http = _at(host, "extensions", "http")
    for name in ("maxConcurrentRequests", "maxOutstandingRequests"):
        if (value := http.get(name, UNLIMITED)) != UNLIMITED:
            yield f"extensions.http.{name} is {value}: the host refuses before the app's admission control; write -1"
    if http.get("dynamicThrottlesEnabled"):
        yield "extensions.http.dynamicThrottlesEnabled is true: the host refuses by processor load; write false"


def _at(host: dict[str, Any], *names: str) -> dict[str, Any]:
    for name in names:
        inner = host.get(name)
        host = inner if isinstance(inner, dict) else {}
    return host


def check_models(settings: Settings) -> list[Diagnosis]:
    """Every file of every models directory, and that what is served loads and answers."""
    places = {"models": (settings.models_dir, settings.ladder)}
    if settings.recserve_challenger_dir:
        places["challenger"] = (APP_ROOT / settings.recserve_challenger_dir, ())
    if settings.recserve_edge != "off":
        places["edge"] = (settings.edge_dir, ())
    return [found for name, (place, ladder) in places.items() for found in _check_models(name, place, ladder)]


def _check_models(subject: str, models_dir: Path, ladder: tuple[str, ...]) -> Iterator[Diagnosis]:
    try:
        manifest = read_manifest(models_dir)
    except InvalidModels as err:
        yield Diagnosis("fail", subject, str(err))
        return
    if damages := list(_damages(models_dir, manifest)):
        yield from (Diagnosis("fail", subject, damage) for damage in damages)
        return
    from recserve.inference.loading import load_models

    try:
        loaded = load_models(models_dir, n_threads=1, mark=lambda _: None, ladder=ladder)
    except InvalidModels as err:
        yield Diagnosis("fail", subject, str(err))
        return
    yield Diagnosis(
        "ok",
        subject,
        f"{manifest.version}: {len(manifest.files())} files as the manifest says, {_names(loaded.sessions)} answer",
    )


def _names(names: Iterable[str]) -> str:
    return ", ".join(names)


def _damages(models_dir: Path, manifest: Manifest) -> Iterator[str]:
    for file in manifest.files():
        try:
            read_verified(models_dir, file)
        except InvalidModels as err:
            yield str(err)
