"""Do two figures rise together? Spearman's rank correlation with a bootstrap interval over moments."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FEWEST_POINTS = 12
N_RESAMPLES = 300


@dataclass(frozen=True, slots=True)
class Correlation:
    """From -1, one falls as the other rises, over 0 to 1, both rise together."""

    value: float
    low: float
    high: float
    "95 % of the resamples are between them."
    n_points: int

    @property
    def is_positive(self) -> bool:
        """They rise together, and more than chance would have them."""
        return self.low > 0

    @property
    def is_strong(self) -> bool:
        return self.is_positive and self.value >= 0.5


def rank_correlation(
    one: NDArray[np.float64],
    other: NDArray[np.float64],
    *,
    moments: NDArray[np.generic],
    rng: np.random.Generator,
) -> Correlation | None:
    """The correlation of the ranks; None of fewer than `FEWEST_POINTS` points, or where one figure is constant.

    Args:
        one: (n,); points with a NaN are left out.
        other: (n,).
        moments: when, (n,); points of one moment are resampled together.
        rng: draws the resamples.
    """
    known = np.isfinite(one) & np.isfinite(other)
    one, other, moments = one[known], other[known], moments[known]
    if len(one) < FEWEST_POINTS or np.ptp(one) == 0 or np.ptp(other) == 0:
        return None
    first, second = _ranks(one), _ranks(other)
    _, numbers = np.unique(moments, return_inverse=True)
    n_moments = int(numbers.max()) + 1
    drawn = rng.multinomial(n_moments, np.full(n_moments, 1 / n_moments), N_RESAMPLES)[:, numbers]
    resampled = _weighted(first, second, drawn.astype(float))
    low, high = np.percentile(resampled[np.isfinite(resampled)], [2.5, 97.5])
    [value] = _weighted(first, second, np.ones((1, len(first))))
    return Correlation(float(value), float(low), float(high), len(first))


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ranks from 0; equal values share their mean rank."""
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    means = np.cumsum(counts) - (counts + 1) / 2
    return np.asarray(means[places], dtype=float)


def _weighted(
    one: NDArray[np.float64], other: NDArray[np.float64], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Pearson's correlation for each row of weights, (n_rows, n)."""
    n = weights.sum(axis=1)
    mean_one, mean_other = weights @ one / n, weights @ other / n
    covariance = weights @ (one * other) / n - mean_one * mean_other
    spread = (weights @ one**2 / n - mean_one**2) * (weights @ other**2 / n - mean_other**2)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(covariance / np.sqrt(np.maximum(spread, 0.0)), dtype=float)
