"""What killed runs leave behind, and what is not theirs."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from training.release import STAGING_SUFFIX, staging_beside

KILLED = """
import sys, time
from pathlib import Path
from training.release import staging_beside
with staging_beside(Path(sys.argv[1])) as staging:
    (staging / "teacher.onnx").write_bytes(b"half")
    print("staged", flush=True)
    time.sleep(600)
"""


def stagings(directory: Path) -> list[Path]:
    return list(directory.glob(f".*{STAGING_SUFFIX}"))


@pytest.fixture
def other_run(repository: Path, tmp_path: Path) -> "subprocess.Popen[str]":
    """Another process that is about to write the same models directory."""
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(tmp_path / "models")],
        cwd=repository,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "staged\n"
    yield process
    process.kill()
    process.communicate()


def test_next_run_removes_what_a_killed_one_left(tmp_path: Path, other_run: "subprocess.Popen[str]") -> None:
    (left,) = stagings(tmp_path)
    os.kill(other_run.pid, signal.SIGKILL)
    other_run.wait()
    assert left.exists()

    with staging_beside(tmp_path / "models") as staging:
        assert stagings(tmp_path) == [staging]
        assert staging != left

    assert list(tmp_path.iterdir()) == []


def test_run_that_goes_on_keeps_its_own(tmp_path: Path, other_run: "subprocess.Popen[str]") -> None:
    (its_own,) = stagings(tmp_path)

    with staging_beside(tmp_path / "models"):
        pass

    assert (its_own / "teacher.onnx").exists()


def test_neighbours_with_like_names_are_left_alone(tmp_path: Path) -> None:
    neighbours = [
        ".models-beauty",
        ".models-replaced",
        f".models-beauty-abcdefgh{STAGING_SUFFIX}",
        "models-2",
    ]
    for name in neighbours:
        (tmp_path / name).mkdir()

    with staging_beside(tmp_path / "models"):
        pass

    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(neighbours)
