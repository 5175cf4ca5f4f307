"""What we install is listed with its licence, and none of these reaches our own code."""

import re
from pathlib import Path

import pytest

from deployment.errors import DeploymentError
from deployment.licences import COPYLEFT, LOCKS, THIRD_PARTY, describe_licences, licence_of, read_licences


def test_the_list_is_what_is_installed() -> None:
    assert THIRD_PARTY.read_text() == describe_licences(), "run `python -m deployment licences`"


@pytest.mark.parametrize("lock", LOCKS.values(), ids=LOCKS)
def test_no_licence_reaches_our_own_code(lock: Path) -> None:
    reaching = [
        each
        for each in read_licences(lock)
        # Where a licence may be chosen, one that does not reach is enough.
        if all(any(part in choice for part in COPYLEFT) for choice in re.split(r"\bOR\b", each.licence))
    ]

    assert reaching == []


@pytest.mark.parametrize("lock", LOCKS.values(), ids=LOCKS)
def test_a_licence_that_reaches_its_own_files_is_certifi_s_alone(lock: Path) -> None:
    found = {each.name for each in read_licences(lock) if re.search("MPL|Mozilla|EPL", each.licence)}

    assert found == {"certifi"}


def test_what_is_pinned_and_not_installed_is_named() -> None:
    with pytest.raises(DeploymentError, match="no-such-distribution is pinned and not installed"):
        licence_of("no-such-distribution")


def test_pins_of_all_python_versions_count_and_of_other_platforms_none(tmp_path: Path) -> None:
    lock = tmp_path / "requirements.txt"
    lock.write_text(
        "# pins\nmsgspec==1 ; python_full_version < '3.0'\nmsgspec==2 ; python_full_version >= '3.0'\n"
        "no-such-distribution==1 ; sys_platform == 'plan9'\n"
    )

    assert [(each.name, each.versions) for each in read_licences(lock)] == [("msgspec", "1, 2")]
