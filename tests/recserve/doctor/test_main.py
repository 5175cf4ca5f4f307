import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from recserve.doctor.__main__ import main


def written(path: Path, content: Any) -> str:
    path.write_text(json.dumps(content))
    return str(path)


def test_sound_settings_pass(tmp_path: Path, models_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = written(tmp_path / "s.json", {"Values": {"RECSERVE_MODELS_DIR": str(models_dir)}})

    status = main(["--settings", settings, "--offline"])

    lines = capsys.readouterr().out.splitlines()
    assert status == 0
    assert {line.split()[1] for line in lines[:-1]} == {
        "settings",
        "python",
        "packages",
        "host.json",
        "models",
    }
    assert lines[-1].startswith("0 failed")


def test_every_fault_is_told_in_one_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = written(
        tmp_path / "s.json",
        [
            {"name": "RECSERVE_MAX_BATCH", "value": "0", "slotSetting": False},
            {"name": "RECSERVE_MODELS_DIR", "value": str(tmp_path), "slotSetting": False},
            {"name": "AzureWebJobsStorage", "value": "nonsense", "slotSetting": False},
            {"name": "RECSERVE_TRACERATE", "value": None, "slotSetting": False},
        ],
    )

    status = main(["--settings", settings, "--offline"])

    printed = capsys.readouterr().out
    assert status == 1
    for told in (
        "fail  settings      RECSERVE_MAX_BATCH='0'",
        "fail  settings      AzureWebJobsStorage is no connection string",
        "warn  settings      RECSERVE_TRACERATE is no setting",
        "user histories lie in SQLite",
        "fail  models        cannot read manifest.json",
    ):
        assert told in printed


@pytest.mark.parametrize("content", ["{", "[1]", "3"])
def test_settings_that_cannot_be_read_are_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str
) -> None:
    path = tmp_path / "s.json"
    path.write_text(content)

    status = main(["--settings", str(path)])

    assert (status, len(capsys.readouterr().err.splitlines())) == (2, 1)


def test_doctor_runs_where_no_neighbour_of_recserve_is(repository: Path, tmp_path: Path) -> None:
    for name in ("recserve", "models"):
        shutil.copytree(repository / name, tmp_path / name)
    for name in ("host.json", "requirements.txt"):
        shutil.copy(repository / name, tmp_path)
    done = subprocess.run(
        [sys.executable, "-m", "recserve.doctor", "--offline"],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")
