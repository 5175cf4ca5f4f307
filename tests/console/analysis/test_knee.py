"""The knee: found where it was put, with an interval that holds it, and refused where the points do not show one."""

import numpy as np
import pytest

from console.analysis.knee import Knee, NoKnee, find_knee


def fitted(
    in_flight: np.ndarray,
    latency_ms: np.ndarray,
    *,
    n_requests: float = 500,
    per_moment: int = 2,
) -> Knee | NoKnee:
    moments = np.arange(len(in_flight)) // per_moment
    weights = np.full(len(in_flight), float(n_requests))
    return find_knee(in_flight, latency_ms, weights, moments=moments, rng=np.random.default_rng(1))


def hockey_stick(
    knee: float, *, after: float, noise: float = 0.1, n: int = 200, seed: int = 2
) -> tuple[np.ndarray, np.ndarray]:
    """Points spread over 1 to 40 in flight; latency is 8 ms up to the knee and then grows exponentially."""
    rng = np.random.default_rng(seed)
    in_flight = rng.uniform(1, 40, n)
    rise = after * np.maximum(in_flight - knee, 0)
    return in_flight, 8 * np.exp(rise + rng.normal(0, noise, n))


@pytest.mark.parametrize("knee", [8.0, 16.0, 28.0])
def test_knee_is_found_where_it_is(knee: float) -> None:
    found = fitted(*hockey_stick(knee, after=0.12))

    assert isinstance(found, Knee)
    assert found.low <= knee <= found.high
    assert found.in_flight == pytest.approx(knee, abs=2)
    assert found.latency_ms == pytest.approx(8, rel=0.1)
    assert found.after == pytest.approx(0.12, rel=0.15)


def test_interval_holds_the_knee_about_as_often_as_it_says() -> None:
    held = 0
    for seed in range(40):
        found = fitted(*hockey_stick(15.0, after=0.1, noise=0.2, n=120, seed=seed), per_moment=1)
        assert isinstance(found, Knee)
        held += found.low <= 15.0 <= found.high

    assert held >= 34


def test_line_of_the_knee_says_where_latency_passes_a_promise() -> None:
    found = Knee(in_flight=10, low=9, high=12, latency_ms=8, before=0.0, after=0.1, n_points=50)

    assert found.in_flight_at(8 * np.exp(1.0)) == pytest.approx(20)
    assert found.in_flight_at(5) is None
    assert found.latency_ms_at(np.array([5.0, 10.0, 20.0])) == pytest.approx([8, 8, 8 * np.e])


def test_even_rise_has_no_knee() -> None:
    rng = np.random.default_rng(3)
    in_flight = rng.uniform(1, 40, 200)

    found = fitted(in_flight, 8 * np.exp(0.05 * in_flight + rng.normal(0, 0.1, 200)))

    assert found == NoKnee("a straight line fits as well as one with a bend")


def test_noise_alone_has_no_knee() -> None:
    for seed in range(20):
        rng = np.random.default_rng(seed)

        found = fitted(rng.uniform(1, 40, 150), 8 * np.exp(rng.normal(0, 0.3, 150)))

        assert isinstance(found, NoKnee)


def test_bend_downwards_is_no_knee() -> None:
    in_flight, _ = hockey_stick(15, after=0.1)
    levelled = 8 * np.exp(0.1 * np.minimum(in_flight, 15))

    found = fitted(in_flight, levelled)

    assert found == NoKnee("latency does not rise faster at the high end than at the low one")


def test_load_that_hardly_varies_shows_no_knee() -> None:
    rng = np.random.default_rng(4)

    found = fitted(rng.uniform(3.0, 3.6, 100), rng.uniform(8, 9, 100))

    assert isinstance(found, NoKnee)
    assert found.reason.startswith("load hardly varied: 3 to 3.6")


def test_points_of_few_requests_are_not_fitted() -> None:
    found = fitted(*hockey_stick(15, after=0.1), n_requests=99)

    assert found == NoKnee("a knee needs 16 points of 100 requests or more, and there are 0")


def test_interval_covers_a_stretch_without_points() -> None:
    rng = np.random.default_rng(5)
    calm, rush = rng.uniform(1, 5, 150), rng.uniform(14, 30, 40)
    in_flight = np.concatenate([calm, rush])
    latency = 8 * np.exp(0.12 * np.maximum(in_flight - 8, 0) + rng.normal(0, 0.05, 190))

    found = fitted(in_flight, latency)

    assert isinstance(found, Knee)
    assert found.low <= 8 <= found.high


def test_same_points_give_the_same_knee() -> None:
    points = hockey_stick(15, after=0.1)

    assert fitted(*points) == fitted(*points)


def test_points_without_values_are_left_out() -> None:
    in_flight, latency = hockey_stick(15, after=0.1)
    in_flight[0], latency[1] = np.nan, np.nan

    assert isinstance(fitted(in_flight, latency), Knee)


def test_knee_in_a_wide_gap_is_not_placed_and_the_gap_is_told() -> None:
    rng = np.random.default_rng(6)
    in_flight = np.concatenate([rng.uniform(2, 4, 120), rng.uniform(26, 30, 60)])
    latency = np.where(in_flight < 5, 8.0, 130.0) * np.exp(rng.normal(0, 0.05, 180))

    found = fitted(in_flight, latency)

    assert isinstance(found, NoKnee)
    assert found.low is not None
    assert found.high is not None
    assert 2 < found.low < 5
    assert 25 < found.high < 31


def test_minutes_that_are_slow_for_other_reasons_do_not_move_the_knee() -> None:
    in_flight, latency = hockey_stick(16, after=0.12)
    latency[in_flight < 16] = np.where(
        np.arange((in_flight < 16).sum()) % 12 == 0, 130, latency[in_flight < 16]
    )

    found = fitted(in_flight, latency)

    assert isinstance(found, Knee)
    assert found.in_flight == pytest.approx(16, abs=2.5)
