"""What the runs of the emulated plan come to: who was alone, what was measured, which figures are held against."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.observed import Observed
from benchmarks.plan_calibration import (
    calibrate,
    idle_s,
    phases_ms,
    quantiles_ms,
    slowdown_of,
    without_pause,
)
from benchmarks.plan_cases import CALIBRATION, HELD_OUT
from benchmarks.plan_runs import PlanRunsBench, run, summarise
from planner.measurements import instance_model, read_measurements, write_measurements

TIMING = "admit;dur=0.100, queue;dur=0.200, infer;dur=3.000, encode;dur=0.100"


def outcomes(*requests: tuple[float, float, str, float], **changes: Any) -> Observed:
    """Answered requests: when scheduled, latency in s, instance, wait for it in ms."""
    observed = Observed(np.array([at_s for at_s, *_ in requests]))
    for number, (_, latency_s, instance, held_ms) in enumerate(requests):
        observed.latency_s[number], observed.held_ms[number] = latency_s, held_ms
        observed.instance[number], observed.timing[number] = instance, TIMING
        observed.status[number] = 200
    for name, value in changes.items():
        setattr(observed, name, np.array(value))
    return observed


def test_instance_is_idle_from_its_last_answer_to_its_next_request() -> None:
    observed = outcomes(
        (0.0, 0.01, "I1", 0), (0.005, 0.01, "I1", 0), (0.006, 0.01, "I2", 0), (1.0, 0.01, "I1", 0)
    )

    assert idle_s(observed) == pytest.approx([math.inf, -0.005, math.inf, 0.985])


def test_idleness_before_a_request_that_waited_for_a_start_is_unknown() -> None:
    observed = outcomes((0.0, 0.9, "I1", 880.0), (2.0, 0.01, "I1", 0))

    assert idle_s(observed) == pytest.approx([math.nan, 1.1], nan_ok=True)


def test_slowdown_of_idle_instances_is_found_again() -> None:
    rng = np.random.default_rng(1)
    gap_ms = rng.exponential(40, 20_000)
    factor = np.interp(gap_ms, [5, 80], [1, 2])
    parts_ms = {"overhead": np.full(20_000, 0.5), "run": factor * rng.lognormal(0, 0.2, 20_000)}

    slowdown = slowdown_of(gap_ms, parts_ms)
    busy_ms = without_pause(gap_ms, parts_ms, slowdown)

    assert len(slowdown) > 4
    assert [each.overhead for each in slowdown] == [1] * len(slowdown)
    for each in slowdown:
        assert each.run == pytest.approx(np.interp(each.gap_ms, [5, 80], [1, 2]), rel=0.05)
    assert np.quantile(busy_ms["run"], [0.5, 0.95]) == pytest.approx(np.exp([0, 0.2 * 1.645]), rel=0.05)


def test_few_requests_tell_nothing_of_idleness() -> None:
    assert slowdown_of(np.linspace(1, 50, 300), {"run": np.linspace(1, 2, 300)}) == ()


def test_phase_that_comes_twice_is_added_up() -> None:
    assert phases_ms("queue;dur=1.5, infer;dur=2, queue;dur=0.25") == {"queue": 1.75, "infer": 2.0}


def test_parts_of_a_request_add_up_to_its_latency(tmp_path: Path) -> None:
    observed = outcomes(*((float(second), 0.005, "I1", 0.0) for second in range(20)))

    write_measurements(
        calibrate([observed], [900.0, 800.0], bare_ms={1: 2.0, 8: 6.0}, host_ms=0.1),
        tmp_path / "measured.json",
    )

    model = instance_model(read_measurements(tmp_path / "measured.json"), "EP1")
    [student] = model.variants
    assert student.run_s[0][0] == pytest.approx(0.003)
    assert student.run_s[1][0] == pytest.approx(0.009)
    assert model.overhead_s[0] == pytest.approx(0.0005)
    assert model.fastest_s == pytest.approx(0.005)
    assert model.cold_start.ready_s == (0.8, 0.9)


def test_nothing_to_calibrate_from_is_told() -> None:
    with pytest.raises(ValueError, match="0 starts; measure longer"):
        calibrate([outcomes((0.0, 0.01, "I1", 0))], [], bare_ms={1: 1.0})


def test_one_outlier_does_not_stretch_the_last_piece_of_a_distribution() -> None:
    samples_ms = np.append(np.full(9999, 2.0), 500.0)

    assert quantiles_ms(samples_ms)[-1] < 3


def test_cold_instance_is_one_that_requests_waited_for() -> None:
    observed = outcomes(
        (0.0, 0.004, "I1", 0), (1.0, 0.9, "I2", 880), (1.1, 0.8, "I2", 780), (3.0, 0.004, "I2", 0),
        status=[200, 200, 429, 200],
    )  # fmt: skip

    figures = summarise(observed, {"active": 4.0, "burst": 3.0, "pre_warmed": 0.0})

    assert (figures.cold_starts, figures.cold_share) == (1, 0.25)
    assert (figures.impacted_share, figures.shed_share) == (0.5, 0.25)
    assert figures.allocated_s == {"active": 4.0, "burst": 3.0}
    assert figures.p50_ms == pytest.approx(4.0)


def test_cases_are_many_apart_and_drawn_the_same_again(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(repository)
    made_up = [case for case in HELD_OUT if not case.traffic.startswith("trace:")]

    assert len(HELD_OUT) >= 12
    assert len({case.name for case in (*CALIBRATION, *HELD_OUT)}) == len(CALIBRATION) + len(HELD_OUT)
    assert all(case.is_fitted for case in CALIBRATION)
    assert not any(case.is_fitted for case in HELD_OUT)
    assert not {(case.plan, case.scale, case.traffic) for case in CALIBRATION} & {
        (case.plan, case.scale, case.traffic) for case in HELD_OUT
    }
    for case in made_up:
        assert case.arrivals_s(seed=1).tolist() == case.arrivals_s(seed=1).tolist()
        assert case.arrivals_s(seed=1)[-1] <= case.duration_s


def test_unknown_case_is_told_before_anything_runs() -> None:
    with pytest.raises(ValueError, match="no case 'nothing'; there are steady"):
        run(PlanRunsBench(only=("nothing",)))
