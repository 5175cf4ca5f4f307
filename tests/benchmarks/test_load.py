"""The load generator as a process, against the real app."""

import json
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.load import LoadSettings, schedule
from benchmarks.server import Server, serving
from benchmarks.traffic import model_transitions
from emulator.load.target import LoadError


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Generator[tuple[Server, Path]]:
    folder = tmp_path_factory.mktemp("app")
    settings = {"RECSERVE_STATE_PATH": str(folder / "state.db")}
    with serving(settings, core=0, log=folder / "log") as server:
        yield server, folder / "state.db"


def begin(app: Server, out: Path, *options: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [
            *(sys.executable, "-m", "benchmarks", "load", "--url", f"http://127.0.0.1:{app.port}/api"),
            *("--out", str(out), *options),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for_line(load: subprocess.Popen[str]) -> None:
    """Until the load has run for a second."""
    assert load.stderr
    assert "sent" in load.stderr.readline()


def result(out: Path) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(out.read_text())
    return read


def test_acknowledged_events_are_written_and_are_what_the_service_keeps(
    app: tuple[Server, Path], tmp_path: Path
) -> None:
    load = begin(app[0], tmp_path / "load.json", "--rate", "60", "--duration", "3", "--users", "10")
    said, _ = load.communicate(timeout=60)
    found = result(tmp_path / "load.json")
    lines = (tmp_path / "load.events.jsonl").read_text().splitlines()
    acknowledged = {json.loads(line)["event_id"] for line in lines}
    with sqlite3.connect(app[1]) as state:
        kept = {event_id for (event_id,) in state.execute("select event_id from events")}

    assert load.returncode == (0 if found["valid"] else 3)
    assert found["figures"]["answered"]["n"] == found["figures"]["n_sent"] > 100
    assert found["figures"]["sessions"]["quality"]["student"]["n"] > 20
    assert found["figures"]["sessions"]["n_unknown_items"] == 0
    assert len(lines) == len(acknowledged) == found["figures"]["sessions"]["events"]["n_acknowledged"] > 50
    assert acknowledged == {event_id for event_id in kept if event_id.startswith(found["settings"]["tag"])}
    assert "<svg" in (tmp_path / "load.svg").read_text()
    assert "quality, student" in said


def test_load_that_was_held_up_says_that_it_is_invalid(app: tuple[Server, Path], tmp_path: Path) -> None:
    load = begin(app[0], tmp_path / "load.json", "--rate", "100", "--duration", "3", "--no-events")
    wait_for_line(load)
    load.send_signal(signal.SIGSTOP)
    time.sleep(0.5)
    load.send_signal(signal.SIGCONT)
    said, _ = load.communicate(timeout=60)
    found = result(tmp_path / "load.json")

    assert load.returncode == 3
    assert not found["valid"]
    assert "the sender was late" in found["reasons"][0]
    assert "INVALID: the sender was late" in said


def test_interrupted_load_writes_what_it_has(app: tuple[Server, Path], tmp_path: Path) -> None:
    load = begin(app[0], tmp_path / "load.json", "--rate", "50", "--duration", "3600", "--no-events")
    wait_for_line(load)
    load.send_signal(signal.SIGINT)
    load.communicate(timeout=60)
    found = result(tmp_path / "load.json")

    assert load.returncode == (130 if found["valid"] else 3)
    assert found["interrupted"]
    assert 0 < found["figures"]["n_sent"] < found["figures"]["n_scheduled"]
    assert found["figures"]["course"]
    assert (tmp_path / "load.svg").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--rate", "-1"], "error: --rate -1 is not allowed; send a number from 0"),
        (["--shape", "square"], "error: unknown shape 'square'; known are poisson, bursty, diurnal, replay"),
        (["--trace", "none.csv"], "error: cannot read trace 'none.csv': No such file or directory"),
        (["--url", "http://127.0.0.1:1/api"], "error: nobody answers at http://127.0.0.1:1/api"),
    ],
)
def test_bad_input_is_one_line(options: list[str], said: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "load", *options], capture_output=True, text=True, check=False
    )

    assert done.returncode == 1
    assert done.stderr.startswith(said)
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"duration_s": 0.0}, "--duration 0"),
        ({"event_share": 1.5}, "--events 1.5"),
        ({"shape": "replay"}, "--shape replay and --trace go together"),
        ({"shape": "diurnal", "peak_over_trough": 0.5}, "--peak 0.5"),
        ({"shape": "bursty", "burst_s": float("nan")}, "--burst-s nan"),
        ({"seed": -1}, "--seed -1"),
    ],
)
def test_impossible_setting_is_told_by_its_option(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(LoadError, match=said):
        schedule(LoadSettings(**settings), np.random.default_rng(0))


@pytest.mark.parametrize("shape", ["poisson", "bursty", "diurnal"])
def test_rate_is_the_mean_of_every_shape(shape: str) -> None:
    settings = LoadSettings(shape=shape, rate_per_s=50, duration_s=2000)

    assert len(schedule(settings, np.random.default_rng(0))) / 2000 == pytest.approx(50, rel=0.1)


def test_transitions_are_those_of_the_shipped_counts(repository: Path) -> None:
    transitions = model_transitions(repository / "models")
    toy_story = transitions.item_ids.index(1)
    followers = transitions.followers[toy_story][transitions.weights[toy_story] > 0]

    assert transitions.followers.shape == (3496, 100)
    assert toy_story not in followers
    assert (np.diff(transitions.weights[toy_story]) <= 0).all()
    assert len(followers) > 50
