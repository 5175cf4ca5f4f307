"""Recserve beside a peer: a whole small run, and the rules of the comparison."""

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.peers.bench import AnswersDiffer, PeersBench, run
from benchmarks.peers.comparison import format_table, paired_ratio, rotated, summarise
from benchmarks.peers.contenders import CONTENDERS, OURS, Setting, answered_items
from benchmarks.peers.environments import REQUIREMENTS, NoEnvironment, make_environment
from benchmarks.peers.measuring import highest_rate
from benchmarks.peers.settings import PeerSettings

SMALL = PeersBench(
    contenders=(OURS, "fastapi"),
    rounds=1,
    n_callers=4,
    burn_in_s=0.1,
    one_client_s=0.2,
    throughput_s=0.3,
    trial_s=0.2,
    trials=2,
)


@pytest.fixture(scope="module")
def histories(repository: Path) -> list[list[int | str]]:
    ids = json.loads((repository / "models" / "catalogue.json").read_bytes())["ids"]
    return [ids[start : start + 1 + start % 60] for start in range(0, 1200, 20)]


@pytest.fixture(scope="module")
def _fastapi() -> None:
    try:
        make_environment("fastapi", within_s=60)
    except NoEnvironment as err:
        pytest.skip(f"FastAPI's environment cannot be made: {err}")


@pytest.mark.usefixtures("_fastapi")
def test_a_run_measures_everybody_on_the_same_answers(histories: list[list[int | str]]) -> None:
    earlier = {
        "chosen": {
            name: {purpose: Setting()._asdict() for purpose in ("one_client", "throughput")}
            for name in SMALL.contenders
        },
        "tried": {},
        "rounds": [],
    }
    kept: list[dict[str, Any]] = []

    figures = run(SMALL, histories=histories, earlier=earlier, keep=kept.append)

    (measured,) = figures["rounds"]
    assert [len(figures["rounds"]) for figures in kept] == [0, 1]
    assert list(measured) == list(SMALL.contenders)
    for of_contender in measured.values():
        assert of_contender["one_client_ms"]["n"] > 0
        assert of_contender["one_client_ms"]["n_failed"] == 0
        assert of_contender["answers_per_s"] > 0
        assert all(trial["right"] == 1 for trial in of_contender["trials"])
    assert figures["ratios"][OURS]["fastapi"]["p50_ms"]["ratio"] > 0
    assert json.loads(json.dumps(figures)) == figures
    assert "recserve / fastapi: first_answer_s" in format_table(figures)


@pytest.mark.usefixtures("_fastapi")
def test_who_answers_otherwise_is_not_compared(
    histories: list[list[int | str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    of_peers = PeerSettings.environment
    other_graph = {"model": str(Path("models/popular.onnx").resolve())}
    monkeypatch.setattr(
        PeerSettings,
        "environment",
        lambda self: {k: json.dumps(json.loads(v) | other_graph) for k, v in of_peers(self).items()},
    )

    with pytest.raises(AnswersDiffer, match=r"fastapi .* answers 200"):
        run(SMALL, histories=histories)


def test_every_peer_has_pins_and_no_host_names() -> None:
    peers = [contender.name for contender in CONTENDERS if not contender.is_ours]

    assert sorted(path.stem for path in REQUIREMENTS.glob("*.txt")) == sorted(peers)
    for peer in peers:
        lines = (REQUIREMENTS / f"{peer}.txt").read_text().splitlines()
        assert all("==" in line and "//" not in line for line in lines)


def test_requirements_that_cannot_be_installed_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "nobody.txt").write_text("numpy==0.0.0.1\n")
    monkeypatch.setattr("benchmarks.peers.environments.REQUIREMENTS", tmp_path)
    monkeypatch.setattr("benchmarks.peers.environments.ENVIRONMENTS", tmp_path)

    with pytest.raises(NoEnvironment, match=r"nobody\.txt cannot be installed"):
        make_environment("nobody")


def test_settings_reach_the_peer_unchanged(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = PeerSettings(
        port=1,
        model="a.onnx",
        catalogue="b.json",
        max_history=50,
        max_batch=8,
        max_wait_ms=0.5,
        style="threads",
    )

    for name, value in settings.environment().items():
        monkeypatch.setenv(name, value)

    assert PeerSettings.read() == settings


def test_answers_of_all_shapes_are_the_same_items() -> None:
    shapes: list[Any] = [
        {"items": [{"id": 260, "title": "Star Wars"}, {"id": "x", "title": "X"}]},
        {"items": [260, "x"]},
        [{"items": ["260", "x"]}],
    ]

    assert [answered_items(shape) for shape in shapes] == [["260", "x"]] * 3


def test_a_ratio_that_every_round_repeats_has_no_width() -> None:
    assert paired_ratio([2.0, 4.0, 8.0], [1.0, 2.0, 4.0]) == {"ratio": 2.0, "low": 2.0, "high": 2.0}


def test_interval_of_a_ratio_is_students_t_on_logarithms() -> None:
    ratio = paired_ratio([1.0, 2.0, 4.0], [1.0, 1.0, 1.0])

    # ln 2 * (1 ± 4.303 / sqrt(3)): the logarithms are 0, ln 2, 2 ln 2, and their deviation is ln 2.
    assert ratio == {"ratio": 2.0, "low": 0.357, "high": 11.192}


@pytest.mark.parametrize(
    ("ours", "theirs", "expected"),
    [
        ([3.0], [2.0], {"ratio": 1.5, "low": None, "high": None}),
        ([3.0, 3.0], [2.0, 0.0], None),
        ([], [], None),
    ],
    ids=["one round", "nothing sustained", "no round"],
)
def test_no_interval_without_rounds_that_can_be_compared(
    ours: list[float], theirs: list[float], expected: dict[str, float] | None
) -> None:
    assert paired_ratio(ours, theirs) == expected


def test_another_contender_begins_each_round() -> None:
    assert [rotated("abc", number) for number in range(4)] == [
        ["a", "b", "c"],
        ["b", "c", "a"],
        ["c", "a", "b"],
        ["a", "b", "c"],
    ]


def test_targets_are_judged_against_mosec() -> None:
    def measured(p50_ms: float, per_s: float) -> dict[str, Any]:
        return {
            "first_answer_s": 1.0,
            "one_client_ms": {"p50_ms": p50_ms, "p99_ms": 2 * p50_ms},
            "same_setting_ms": {"p50_ms": 3 * p50_ms},
            "answers_per_s": per_s,
            "few_callers": {"answers_per_s": per_s},
            "rate_per_s": per_s,
        }

    summary = summarise([{OURS: measured(1.0, 110.0), "mosec": measured(3.0, 100.0)}] * 3)

    assert [(target["figure"], target["is_met"]) for target in summary["targets"]] == [
        ("answers_per_s", False),
        ("p50_ms", True),
        ("p50_same_setting_ms", True),
    ]


def test_highest_rate_is_found_from_below() -> None:
    found = highest_rate(lambda rate: rate <= 700.0, most_per_s=1000.0, steps=8)

    assert 700.0 - 1000.0 / 2**8 <= found <= 700.0


def test_one_pause_does_not_end_a_rate() -> None:
    offered: list[float] = []

    def attempt(rate: float) -> bool:
        offered.append(rate)
        return offered.count(rate) > 1 and rate <= 500.0

    assert highest_rate(attempt, most_per_s=1000.0, steps=1) == 500.0
