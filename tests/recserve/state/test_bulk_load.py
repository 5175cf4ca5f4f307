import os
import subprocess
import sys
from pathlib import Path

import pytest

from recserve.state.sqlite import SqliteStore


def load(repository: Path, file: Path, state: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "recserve.state", "load", *options, str(file)],
        cwd=repository,
        env=os.environ | {"RECSERVE_STATE_PATH": str(state)},
        capture_output=True,
        text=True,
        check=False,
    )


async def test_loading_a_file_twice_adds_its_events_once(repository: Path, tmp_path: Path) -> None:
    file, state = tmp_path / "histories.csv", tmp_path / "state.db"
    file.write_text("user_id,item_id,timestamp\nana,260,2\nana,1196,1\n")

    first, second = load(repository, file, state), load(repository, file, state)

    assert (first.stdout.split()[0], second.stdout.split()[0]) == ("2", "0")
    store = SqliteStore(state)
    assert (await store.history("ana")).item_ids == ["1196", "260"]
    await store.close()


async def test_old_events_may_be_moved_to_now_and_are_still_added_once(
    repository: Path, tmp_path: Path
) -> None:
    file, state = tmp_path / "histories.csv", tmp_path / "state.db"
    file.write_text("user_id,item_id,timestamp\nana,260,2\nana,1196,1\nben,1,0\n")

    first, second = (load(repository, file, state, "--until-now") for _ in range(2))

    assert (first.stdout.split()[0], second.stdout.split()[0]) == ("3", "0")
    store = SqliteStore(state, ttl_s=3600.0)
    older, newest = await store.export("ana")
    assert (older.item_id, newest.item_id) == ("1196", "260")
    assert newest.at_s - older.at_s == pytest.approx(1.0, abs=1e-3)
    await store.close()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("user_id,item_id\nana,1\n", "lacks the columns ['timestamp']"),
        ("user_id,item_id,timestamp\nana,1,1\nana,2,yesterday\n", "line 3: timestamp 'yesterday'"),
        ("user_id,item_id,timestamp\nana,1,nan\n", "line 2: timestamp 'nan'"),
        ("user_id,item_id,timestamp\nana,1,inf\n", "line 2: timestamp 'inf'"),
        ("user_id,item_id,timestamp\n,1,1\n", "line 2: user_id and item_id must not be empty"),
        ("user_id,item_id,timestamp\nana,1\n", "line 2: timestamp None"),
    ],
)
async def test_bad_file_is_refused_whole_with_one_line(
    repository: Path, tmp_path: Path, text: str, said: str
) -> None:
    file, state = tmp_path / "histories.csv", tmp_path / "state.db"
    file.write_text(text)

    result = load(repository, file, state)

    assert result.returncode == 1
    assert said in result.stderr
    assert "Traceback" not in result.stderr
    store = SqliteStore(state)
    assert (await store.history("ana")).item_ids == []
    await store.close()


def test_store_that_cannot_be_opened_is_one_line(repository: Path, tmp_path: Path) -> None:
    file = tmp_path / "histories.csv"
    file.write_text("user_id,item_id,timestamp\nana,1,1\n")

    result = load(repository, file, Path("/dev/null/state.db"))

    assert result.returncode == 1
    assert "set RECSERVE_STATE_PATH" in result.stderr
    assert "Traceback" not in result.stderr
