"""Shares of counts, with the interval that the counts allow."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Z_95 = 1.959964


class Proportion(NamedTuple):
    """Shares in [0, 1], each with its 95 % interval; NaN where nothing was counted."""

    share: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]


def wilson(n_hits: ArrayLike, n_trials: ArrayLike, *, z: float = Z_95) -> Proportion:
    """Wilson's score interval: it stays within [0, 1], and is honest for few trials and for shares near 0.

        centre = (p + z²/2n) / (1 + z²/n)
        half   = z / (1 + z²/n) · sqrt(p (1 - p) / n + z² / 4n²)

    It takes the trials for independent: of many events of few users it is too narrow.

    Args:
        n_hits: not above `n_trials`; fractions are welcome, such as weighted counts.
        n_trials: of the same shape.
    """
    hits, n = np.broadcast_arrays(np.asarray(n_hits, float), np.asarray(n_trials, float))
    known = n > 0
    n = np.where(known, n, 1.0)
    p = np.clip(hits / n, 0.0, 1.0)
    centre = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    limits = (p, np.maximum(centre - half, 0.0), np.minimum(centre + half, 1.0))
    return Proportion(*(np.where(known, values, np.nan) for values in limits))
