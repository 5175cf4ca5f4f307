"""Rank correlation with an interval."""

import numpy as np
import pytest

from console.analysis.correlation import Correlation, rank_correlation


def correlated(one: np.ndarray, other: np.ndarray) -> Correlation | None:
    return rank_correlation(one, other, moments=np.arange(len(one)), rng=np.random.default_rng(1))


def test_what_rises_together_correlates_whatever_the_scale() -> None:
    lag_ms = np.geomspace(1, 1000, 50)

    found = correlated(lag_ms, np.sqrt(lag_ms))

    assert found is not None
    assert found.value == pytest.approx(1)
    assert found.is_strong


def test_what_is_drawn_apart_does_not_correlate() -> None:
    rng = np.random.default_rng(2)

    found = correlated(rng.normal(size=200), rng.normal(size=200))

    assert found is not None
    assert found.low < 0 < found.high
    assert not found.is_positive


def test_equal_values_share_their_rank() -> None:
    one = np.repeat([1.0, 2.0, 3.0], 10)

    found = correlated(one, -one)

    assert found is not None
    assert found.value == pytest.approx(-1)


def test_few_points_and_constant_figures_tell_nothing() -> None:
    assert correlated(np.arange(5.0), np.arange(5.0)) is None
    assert correlated(np.ones(50), np.arange(50.0)) is None
    assert correlated(np.full(50, np.nan), np.arange(50.0)) is None
