"""How two sides are compared."""

import numpy as np
import pytest

from benchmarks.batching import SIDES, alternate, ratio_of_percentiles


def test_no_side_always_comes_first() -> None:
    assert list(alternate(3)) == [SIDES, SIDES[::-1], SIDES]


def test_ratio_of_percentiles_has_an_interval_around_it() -> None:
    rng = np.random.default_rng(0)
    bottoms = [rng.exponential(1.0, 400) for _ in range(8)]
    tops = [2 * bottom for bottom in bottoms]

    exact = ratio_of_percentiles(tops, bottoms, 99, rng)
    drawn = ratio_of_percentiles([rng.exponential(2.0, 400) for _ in range(8)], bottoms, 99, rng)

    assert exact == {"ratio": 2.0, "low": 2.0, "high": 2.0}
    assert drawn["low"] < drawn["ratio"] < drawn["high"]
    assert drawn["ratio"] == pytest.approx(2.0, rel=0.3)
