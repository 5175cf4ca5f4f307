"""Schedules have the rates and the burstiness that they promise, and replays are exact."""

import numpy as np
import pytest
from numpy.typing import NDArray

from planner.arrivals import DISPLACED_S, Phase, State, around_mean, bursty, diurnal, poisson, replay


def dispersion(arrivals_s: NDArray[np.float64], *, window_s: float) -> float:
    """Variance over mean of the counts in windows: 1 for a Poisson process."""
    counts = np.bincount((arrivals_s // window_s).astype(int))
    return float(counts.var() / counts.mean())


def test_poisson_arrivals_keep_the_rate_of_each_phase() -> None:
    arrivals_s = poisson([Phase(1000, 10), Phase(3000, 10)], np.random.default_rng(0))
    counts = np.histogram(arrivals_s, [0, 10, 20])[0]

    assert counts == pytest.approx([10_000, 30_000], rel=0.05)
    assert (np.diff(arrivals_s) >= 0).all()


def test_gaps_of_poisson_arrivals_are_exponential() -> None:
    gaps_s = np.diff(poisson([Phase(1000, 50)], np.random.default_rng(1)))

    assert gaps_s.std() / gaps_s.mean() == pytest.approx(1, abs=0.03)


@pytest.mark.parametrize("phase", [Phase(-1, 1), Phase(1, float("inf")), Phase(float("nan"), 1)])
def test_impossible_phase_is_refused(phase: Phase) -> None:
    with pytest.raises(ValueError, match="finite and not negative"):
        poisson([phase], np.random.default_rng(0))


def test_bursty_arrivals_keep_the_mean_rate_and_are_dispersed() -> None:
    calm, burst = around_mean(100, burst_over_calm=10, calm_s=4, burst_s=1)
    arrivals_s = bursty(calm, burst, duration_s=4000, rng=np.random.default_rng(0))
    steady_s = poisson([Phase(100, 4000)], np.random.default_rng(0))

    assert burst.rate_per_s == pytest.approx(10 * calm.rate_per_s)
    assert len(arrivals_s) / 4000 == pytest.approx(100, rel=0.06)
    assert dispersion(steady_s, window_s=1) == pytest.approx(1, abs=0.1)
    assert dispersion(arrivals_s, window_s=1) > 20
    assert (np.diff(arrivals_s) >= 0).all()


def test_bursty_arrivals_begin_in_either_state_as_often_as_it_lasts() -> None:
    calm, burst = State(0, 3), State(1000, 1)
    is_burst = [
        len(bursty(calm, burst, duration_s=0.05, rng=np.random.default_rng(seed))) > 0 for seed in range(600)
    ]

    assert np.mean(is_burst) == pytest.approx(0.25, abs=0.06)


def test_diurnal_arrivals_have_the_ratio_of_peak_and_trough_and_the_mean() -> None:
    arrivals_s = diurnal(
        100, peak_over_trough=4, period_s=1000, duration_s=3000, rng=np.random.default_rng(0)
    )
    by_hour = np.histogram(arrivals_s % 1000, np.linspace(0, 1000, 26))[0]

    assert len(arrivals_s) / 3000 == pytest.approx(100, rel=0.02)
    assert by_hour[12] / by_hour[[0, -1]].mean() == pytest.approx(4, rel=0.1)


RECORDED_S = np.cumsum(np.random.default_rng(7).exponential(0.5, 2000)) - 0.0


def recorded() -> NDArray[np.float64]:
    return RECORDED_S - RECORDED_S[0]


def test_replay_is_exact() -> None:
    rng = np.random.default_rng(0)

    assert (replay(recorded(), rng=rng) == recorded()).all()
    assert (replay(recorded(), speed=10, rng=rng) == recorded() / 10).all()


def test_replay_repeats_the_trace_until_the_duration() -> None:
    arrivals_s = replay(np.array([0.0, 1.0, 3.0]), duration_s=10, rng=np.random.default_rng(0))

    assert arrivals_s.tolist() == [0, 1, 3, 4.5, 5.5, 7.5, 9]


def test_slower_replay_is_thinned_by_the_seed() -> None:
    thinned_s = replay(recorded(), rate_per_s=0.5, rng=np.random.default_rng(3))
    again_s = replay(recorded(), rate_per_s=0.5, rng=np.random.default_rng(3))

    assert np.isin(thinned_s, recorded()).all()
    assert len(thinned_s) / recorded()[-1] == pytest.approx(0.5, rel=0.1)
    assert (thinned_s == again_s).all()


def test_faster_replay_keeps_the_trace_and_adds_displaced_copies() -> None:
    arrivals_s = replay(recorded(), rate_per_s=5, rng=np.random.default_rng(0))
    added_s = np.setdiff1d(arrivals_s, recorded())
    away_s = np.abs(added_s[:, None] - recorded()).min(axis=1)

    assert np.isin(recorded(), arrivals_s).all()
    assert len(arrivals_s) / recorded()[-1] == pytest.approx(5, rel=0.05)
    assert away_s.max() <= DISPLACED_S
    assert (np.diff(arrivals_s) >= 0).all()


@pytest.mark.parametrize(
    ("said", "options"),
    [
        ("speed of 0", {"speed": 0.0}),
        ("rate of -1", {"rate_per_s": -1.0}),
        ("one instant", {"duration_s": 9.0}),
    ],
)
def test_impossible_replay_is_refused(said: str, options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=said):
        replay(np.zeros(3), rng=np.random.default_rng(0), **options)  # type: ignore[arg-type]
