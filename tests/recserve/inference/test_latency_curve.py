import math
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recserve.inference.latency_curve import LatencyCurve

LARGE_CATALOGUE = (2.8e-3, 0.41e-3)
"Fixed and per-request seconds of a run, as measured with 100 k items."


def learned(*runs: tuple[int, float]) -> LatencyCurve:
    curve = LatencyCurve()
    for n, duration_s in runs:
        curve.observe(n, duration_s)
    return curve


def line(fixed_s: float, each_s: float, *, sizes: tuple[int, ...] = (1, 2, 4, 8, 16, 32)) -> LatencyCurve:
    return learned(*((n, fixed_s + each_s * n) for n in sizes * 4))


def test_nothing_is_known_before_the_first_run() -> None:
    curve = LatencyCurve()

    assert curve.duration_s(1) == 0
    assert (curve.knee(), curve.largest_within(math.inf)) == (2, 1)


def test_line_is_found_from_its_points() -> None:
    curve = line(*LARGE_CATALOGUE)

    assert [curve.duration_s(n) for n in (1, 10, 64)] == pytest.approx([3.21e-3, 6.9e-3, 29.04e-3])


def test_line_is_found_in_noise() -> None:
    rng = Random(3)
    runs = [(n := rng.randint(1, 32), (1e-3 + 0.1e-3 * n) * rng.uniform(0.9, 1.1)) for _ in range(300)]

    assert learned(*runs).duration_s(16) == pytest.approx(2.6e-3, rel=0.05)


def test_batching_buys_nothing_until_two_sizes_have_been_run() -> None:
    assert learned((1, 1e-3)).duration_s(8) == pytest.approx(8e-3)


def test_slope_is_remembered_while_all_runs_have_one_size() -> None:
    curve = line(1e-3, 0.1e-3)
    for _ in range(1000):
        curve.observe(1, 1.1e-3)

    assert curve.duration_s(11) == pytest.approx(2.1e-3, rel=0.1)


def test_stall_is_not_believed() -> None:
    curve = line(1e-3, 0.1e-3)
    curve.observe(1, 10.0)

    assert curve.duration_s(1) < 1.4e-3


def test_slower_machine_is_noticed() -> None:
    curve = line(1e-3, 0.1e-3)
    for n in (1, 2, 4, 8) * 50:
        curve.observe(n, 10 * (1e-3 + 0.1e-3 * n))

    assert curve.duration_s(4) == pytest.approx(14e-3, rel=0.05)


def test_knee_is_where_nine_tenths_of_the_throughput_are_reached() -> None:
    fixed_s, each_s = LARGE_CATALOGUE
    curve = line(fixed_s, each_s, sizes=(1, 2, 4, 8, 16, 32, 64))
    knee = curve.knee()

    assert knee == round(9 * fixed_s / each_s) == 61
    assert knee / curve.duration_s(knee) == pytest.approx(0.9 / each_s, rel=0.01)


@pytest.mark.parametrize("weight", [1.0, 3.0, 9.0])
def test_knee_has_the_most_power(weight: float) -> None:
    curve = line(1e-3, 0.2e-3, sizes=(1, 2, 4, 8, 16, 32))
    power = {n: (n / curve.duration_s(n)) ** weight / curve.duration_s(n) for n in range(1, 64)}

    assert curve.knee(throughput_weight=weight) == max(power, key=power.__getitem__)


def test_model_that_gains_nothing_from_batching_is_still_tried_with_two() -> None:
    assert line(0.0, 1e-3).knee() == 2


def test_unknown_sizes_are_entered_in_steps_of_two() -> None:
    curve = LatencyCurve()
    steps = []
    for _ in range(6):
        n = curve.largest_within(1.0)
        steps.append((n, curve.knee()))
        curve.observe(n, 10e-3 + 0.01e-3 * n)

    assert steps == [(1, 2), (2, 2), (4, 4), (8, 8), (16, 16), (32, 32)]


def test_largest_batch_within_a_budget_fits_and_one_more_does_not() -> None:
    curve = line(1e-3, 0.1e-3)
    n = curve.largest_within(2.05e-3)

    assert n == 10
    assert curve.duration_s(n) <= 2.05e-3 < curve.duration_s(n + 1)


def test_no_batch_fits_a_budget_shorter_than_a_run_of_one() -> None:
    assert line(1e-3, 0.1e-3).largest_within(1e-3) == 0
    assert line(1e-3, 0.1e-3).largest_within(-1.0) == 0


@given(
    runs=st.lists(st.tuples(st.integers(1, 1024), st.floats(0, 100)), max_size=60),
    budget_s=st.floats(-1, 100),
)
def test_curve_never_falls_and_its_sizes_are_possible(runs: list[tuple[int, float]], budget_s: float) -> None:
    curve = learned(*runs)
    durations = [curve.duration_s(n) for n in (1, 2, 3, 10, 100, 1000)]

    assert durations == sorted(durations)
    assert durations[0] >= 0
    assert 2 <= curve.knee() <= max(2, 2 * curve.largest_seen)
    assert 0 <= curve.largest_within(budget_s) <= max(1, 2 * curve.largest_seen)


def test_slope_that_a_stall_made_too_steep_does_not_hold_batches_small() -> None:
    curve = LatencyCurve()
    for n, duration_s in ((1, 1e-3), (2, 3e-3)):  # a stall in the second run: batching seems to buy nothing
        curve.observe(n, duration_s)
    sizes = []
    for _ in range(2000):
        sizes.append(min(curve.knee(), 32))
        curve.observe(sizes[-1], 1e-3 + 1e-4 * sizes[-1])

    assert sizes[0] == 2
    assert sizes[-1] == 32
