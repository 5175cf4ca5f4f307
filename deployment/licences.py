"""Which licences what we install comes under: THIRD_PARTY.md, from the metadata of what is installed here.

Each distribution says its own: as an SPDX expression (PEP 639), else as classifiers, else in a line of text.
"""

from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path
from typing import NamedTuple

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from deployment.errors import DeploymentError
from deployment.package import REQUIREMENTS, ROOT

THIRD_PARTY = ROOT / "THIRD_PARTY.md"
LOCKS = {
    "The function app": ROOT / REQUIREMENTS,
    "The console, beside these": ROOT / "console" / REQUIREMENTS,
}
"What each part installs, with everything that this brings along."
COPYLEFT = ("GPL", "GNU ", "SSPL", "EUPL", "CDDL", "OSL-", "CC-BY-SA", "CC-BY-NC", "BUSL")
"Parts of the names of licences that would reach our own code or our users'; of AGPL and LGPL too."

HEAD = """\
# What Recserve installs, and under which licences

Written by `python -m deployment licences` from what the distributions say of themselves; a test holds it
against the pinned requirements. Recserve itself is under Apache-2.0 ([LICENSE](LICENSE)), the models under the
terms of their data ([models/DATA-LICENCE.txt](models/DATA-LICENCE.txt)). None of these is under a licence
that reaches code beside it; `certifi` is under MPL-2.0, which reaches its own files alone, and we change none.
Tools for tests, training and benchmarks (`requirements-dev.txt`, `training/requirements.txt`) ship nowhere.
"""


class Licensed(NamedTuple):
    name: str
    versions: str
    "With a comma between where it depends on Python's."
    licence: str


def describe_licences() -> str:
    """THIRD_PARTY.md as it is to be.

    Raises:
        DeploymentError: a pinned distribution is not installed here, or names no licence.
    """
    seen: set[str] = set()
    sections = [HEAD]
    for title, lock in LOCKS.items():
        found = [each for each in read_licences(lock) if each.name not in seen]
        seen |= {each.name for each in found}
        rows = "\n".join(f"| {each.name} | {each.versions} | {each.licence} |" for each in found)
        sections.append(f"## {title}\n\n| distribution | version | licence |\n| --- | --- | --- |\n{rows}\n")
    return "\n".join(sections)


def read_licences(lock: Path) -> list[Licensed]:
    """What a file of pins installs on Linux, by name.

    Raises:
        DeploymentError: as `describe_licences`.
    """
    versions: dict[str, list[str]] = {}
    for pin in _pins(lock):
        versions.setdefault(canonicalize_name(pin.name), []).append(str(pin.specifier).removeprefix("=="))
    return [Licensed(name, ", ".join(found), licence_of(name)) for name, found in sorted(versions.items())]


def _pins(lock: Path) -> Iterator[Requirement]:
    for line in lock.read_text().splitlines():
        if line and not line.startswith("#"):
            pin = Requirement(line)
            # Of Python's versions all count, of platforms the one that Azure runs.
            if pin.marker is None or "sys_platform" not in str(pin.marker) or pin.marker.evaluate():
                yield pin


def licence_of(name: str) -> str:
    """What an installed distribution says of its licence.

    Raises:
        DeploymentError: it is not installed, or says nothing.
    """
    try:
        found = metadata(name)
    except PackageNotFoundError as err:
        raise DeploymentError(f"{name} is pinned and not installed here; run `make test` once") from err
    if "License-Expression" in found:
        return found["License-Expression"]
    classifiers = [
        str(each) for each in found.get_all("Classifier") or () if str(each).startswith("License ::")
    ]
    named = [each.rpartition(" :: ")[2] for each in classifiers]
    text = found["License"].strip().partition("\n")[0] if "License" in found else ""
    if not (licence := " AND ".join(each for each in named if each != "OSI Approved") or text):
        raise DeploymentError(
            f"{name} names no licence; read it up and leave the distribution out if need be"
        )
    return licence


def write_licences() -> int:
    """Write THIRD_PARTY.md; returns how many distributions it lists."""
    text = describe_licences()
    THIRD_PARTY.write_text(text)
    return sum(line.startswith("| ") for line in text.splitlines()) - 2 * len(LOCKS)
