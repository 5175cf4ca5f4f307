"""Wilson's interval, against figures from elsewhere and at its edges."""

import numpy as np
import pytest

from console.analysis.proportions import wilson


@pytest.mark.parametrize(
    ("n_hits", "n_trials", "low", "high"),
    [
        # Newcombe, Statistics in Medicine 17 (1998), table I, method 3
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_interval_is_the_published_one(n_hits: int, n_trials: int, low: float, high: float) -> None:
    found = wilson(n_hits, n_trials)

    assert found.share == pytest.approx(n_hits / n_trials)
    assert (found.low, found.high) == (pytest.approx(low, abs=5e-5), pytest.approx(high, abs=5e-5))


def test_nothing_counted_is_not_known() -> None:
    assert np.isnan(wilson(0, 0)).all()


def test_interval_holds_the_share_and_stays_within_0_and_1() -> None:
    hits = np.array([0, 0.5, 3, 10])

    found = wilson(hits, 10)

    assert (found.low >= 0).all()
    assert (found.low <= found.share + 1e-12).all()
    assert (found.share <= found.high + 1e-12).all()
    assert (found.high <= 1).all()
