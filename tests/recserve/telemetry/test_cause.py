import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from recserve.telemetry.cause import cause_of, deployment_id
from recserve.telemetry.cold_start import Driver


@pytest.fixture
def note(tmp_path: Path) -> Path:
    return tmp_path / "recserve" / "started.json"


def start(note: Path, *, deployment: str = "a", instance: str = "one", driver: Driver = "request") -> str:
    return cause_of(note, deployment=deployment, instance=instance, driver=driver)


def forget_ourselves(note: Path, *pids: int) -> None:
    note.write_text(json.dumps(json.loads(note.read_text()) | {"pids": list(pids)}))


def test_instance_that_remembers_nothing_starts_for_the_first_time(note: Path) -> None:
    assert start(note) == "first"


def test_added_instance_is_known_by_the_warmup_trigger(note: Path) -> None:
    assert start(note, driver="warmup") == "scale_out"


def test_process_after_one_that_is_gone_is_a_restart(note: Path) -> None:
    start(note)
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    forget_ourselves(note, gone.pid)

    assert start(note) == "restart"


def test_other_code_or_models_are_a_deployment(note: Path) -> None:
    start(note)

    assert start(note, deployment="b") == "deployment"


def test_process_beside_one_that_runs_is_a_further_worker(note: Path) -> None:
    start(note)
    forget_ourselves(note, os.getppid())

    assert start(note) == "worker"


def test_note_of_another_instance_counts_for_nothing(note: Path) -> None:
    start(note)

    assert start(note, instance="two") == "first"


@pytest.mark.parametrize("content", ["", "[]", '{"instance": "one", "pids": "x"}', "\0"])
def test_damaged_note_is_survived(note: Path, content: str) -> None:
    note.parent.mkdir()
    note.write_text(content)

    assert start(note) in ("first", "deployment")


def test_place_that_cannot_be_written_is_survived(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    assert start(Path("/proc/nowhere/started.json")) == "first"
    assert start(tmp_path / "file" / "started.json") == "first"


def test_deployment_changes_with_code_and_models(tmp_path: Path) -> None:
    app = tmp_path / "function_app.py"
    app.write_text("")
    os.utime(app, ns=(1, 1))
    before = deployment_id(tmp_path, "1")
    os.utime(app, ns=(2, 2))

    assert len({before, deployment_id(tmp_path, "1"), deployment_id(tmp_path, "2")}) == 3
