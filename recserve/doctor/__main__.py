"""`python -m recserve.doctor`: settings, versions, host.json, models and endpoints; fails if one of them does.

python -m recserve.doctor                              # this environment, and local.settings.json behind it
az functionapp config appsettings list -n APP -g GROUP > settings.json
python -m recserve.doctor --settings settings.json     # an app in Azure, before the next deployment
"""

import argparse
import json
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from recserve.doctor.app import check_host_file, check_models, check_packages, check_python
from recserve.doctor.diagnosis import Diagnosis
from recserve.doctor.endpoints import check_endpoints, endpoints
from recserve.settings import APP_ROOT, inspect_settings

LOCAL = APP_ROOT / "local.settings.json"


class UnreadableSettings(Exception):
    """The file of settings cannot be used."""


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m recserve.doctor",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--settings", type=Path, metavar="FILE", help="app settings to check instead")
    parser.add_argument("--offline", action="store_true", help="leave out whether endpoints answer")
    chosen = parser.parse_args(arguments)
    try:
        environ, is_deployed = _read(chosen.settings)
    except UnreadableSettings as err:
        print(err, file=sys.stderr)
        return 2
    levels = []
    for diagnosis in examine(environ, is_deployed=is_deployed, is_offline=chosen.offline):
        print(diagnosis, flush=True)
        levels.append(diagnosis.level)
    n_failed, n_doubtful = levels.count("fail"), levels.count("warn")
    print(f"{n_failed} failed, {n_doubtful} to look at")
    return 1 if n_failed else 0


def examine(environ: Mapping[str, str], *, is_deployed: bool, is_offline: bool) -> Iterator[Diagnosis]:
    """Everything there is to check, in order.

    Args:
        environ: app settings.
        is_deployed: they are those of an app in Azure.
        is_offline: nothing is asked.
    """
    settings, findings = inspect_settings(environ, is_deployed=is_deployed)
    for finding in findings:
        yield Diagnosis(finding.level, "settings", str(finding))
    if not findings:
        yield Diagnosis("ok", "settings", "nothing missing, misspelt or contradictory")
    yield check_python()
    yield check_packages()
    yield from check_host_file()
    yield from check_models(settings)
    if not is_offline:
        yield from check_endpoints(endpoints(settings, environ))


def _read(path: Path | None) -> tuple[Mapping[str, str], bool]:
    """App settings, and whether they are those of an app in Azure.

    Raises:
        UnreadableSettings: the file is missing or of no known form.
    """
    if path is None:
        behind = _values(LOCAL)[0] if LOCAL.exists() else {}
        return {**behind, **os.environ}, False
    return _values(path)


def _values(path: Path) -> tuple[dict[str, str], bool]:
    """Of local.settings.json, or of the list or the object that `az` and `azd` print."""
    try:
        read = json.loads(path.read_text())
        if isinstance(read, list):
            return {entry["name"]: entry["value"] or "" for entry in read}, True
        values = read.get("Values", read)
        return {name: str(value) for name, value in values.items()}, "Values" not in read
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as err:
        raise UnreadableSettings(
            f"cannot read app settings from {path.name}: {err}; give a local.settings.json or what "
            "`az functionapp config appsettings list` prints"
        ) from err


if __name__ == "__main__":
    sys.exit(main())
