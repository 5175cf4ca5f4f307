"""What an app's process is told of the one before it, read by the app's own `recserve.telemetry.cause`."""

from pathlib import Path

import pytest

from emulator.premium_plan.notes import read_notes, write_notes
from recserve.telemetry.cause import cause_of

NOTE = "recserve/started-recserve.json"


@pytest.mark.parametrize(("is_deployment", "cause"), [(False, "restart"), (True, "deployment")])
def test_successor_learns_why_it_was_started(tmp_path: Path, is_deployment: bool, cause: str) -> None:
    first, second = tmp_path / "I1", tmp_path / "I2"
    second.mkdir()
    cause_of(first / NOTE, deployment="one", instance="I1", driver="request")
    write_notes(read_notes(first), second, instance="I2", is_deployment=is_deployment)

    assert cause_of(second / NOTE, deployment="one", instance="I2", driver="request") == cause


def test_added_instance_has_no_predecessor(tmp_path: Path) -> None:
    assert cause_of(tmp_path / NOTE, deployment="one", instance="I1", driver="warmup") == "scale_out"
    assert cause_of(tmp_path / "I2" / NOTE, deployment="one", instance="I2", driver="request") == "first"


def test_damaged_note_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "recserve").mkdir()
    (tmp_path / NOTE).write_text("{")

    assert read_notes(tmp_path) == {}
    assert read_notes(tmp_path / "missing") == {}
