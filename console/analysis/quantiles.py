"""Quantiles of latency histograms whose requests have weights, and how sure one can be of them.

Buckets are those of `console.queries.histograms`. A quantile's interval is Woodruff's: the share of requests
below a value is a weighted mean, its variance follows from the squares of the weights, and the shares at both
ends of its interval are read back as latencies [R. S. Woodruff, Confidence intervals for medians and other
position measures, JASA 47, 1952]. It takes requests to be independent. Those that wait in one queue are not:
over a short burst the truth is less certain than it says.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[Any]
Z_95 = 1.96


@dataclass(frozen=True, slots=True)
class Quantile:
    """A latency that a share of the requests stay within, and its 95 % interval."""

    value_ms: float
    low_ms: float
    high_ms: float
    "NaN where the requests are too few to bound it."

    @property
    def is_bounded(self) -> bool:
        return bool(np.isfinite(self.high_ms))


def quantile(
    buckets: Numbers, counts: Numbers, share: float, *, growth: float, squares: Numbers | None = None
) -> Quantile | None:
    """A quantile of one histogram; None where it holds nothing.

    Args:
        buckets: numbers of buckets in any order, (n,); several rows of one bucket add up.
        counts: weighted requests, (n,).
        share: such as 0.99.
        squares: sums of the squares of the weights, (n,); the counts where every request stands for itself.
    """
    if counts.sum() <= 0:
        return None
    order = np.argsort(buckets, kind="stable")
    buckets, counts = buckets[order], counts[order]
    squares = counts if squares is None else squares[order]
    up_to = np.cumsum(counts) / counts.sum()
    at = _first(up_to, share)
    is_below = np.arange(len(buckets)) <= at
    if is_below.all():
        # Nothing is seen above: that this many requests hold none says little of those to come.
        variance = share * (1 - share) * squares.sum()
    else:
        variance = (1 - share) ** 2 * squares[is_below].sum() + share**2 * squares[~is_below].sum()
    error = Z_95 * float(np.sqrt(variance)) / counts.sum()
    low = _first(up_to, max(share - error, 0.0))
    # Nothing tells where in its bucket a latency lies: the interval reaches to the outer edges.
    high_ms = growth ** buckets[_first(up_to, share + error)] if share + error < 1 else np.nan
    return Quantile(_middle(buckets[at], growth), float(growth ** (buckets[low] - 1)), float(high_ms))


def share_above(buckets: Numbers, counts: Numbers, limit_ms: float, *, growth: float) -> float:
    """The share of requests slower than a limit; the bucket with the limit in it counts in part."""
    if counts.sum() <= 0:
        return float("nan")
    place = np.log(limit_ms) / np.log(growth)
    return float((counts * np.clip(buckets - place, 0, 1)).sum() / counts.sum())


def quantiles_over_time(
    times: Numbers, buckets: Numbers, counts: Numbers, share: float, *, growth: float
) -> Numbers:
    """A quantile for each of the distinct times, in their order, (n_times,).

    Args:
        times: start of the interval of each row, (n,).
        buckets: (n,).
        counts: above 0, (n,).
    """
    if len(times) == 0:
        return np.empty(0)
    order = np.lexsort((buckets, times))
    times, buckets, counts = times[order], buckets[order], counts[order]
    _, starts = np.unique(times, return_index=True)
    up_to = np.cumsum(counts)
    wanted = up_to[starts] - counts[starts] + share * np.add.reduceat(counts, starts)
    return np.asarray(growth ** (buckets[np.searchsorted(up_to, wanted - 1e-6)] - 0.5))


def shares_above_over_time(
    times: Numbers, buckets: Numbers, counts: Numbers, limit_ms: float, *, growth: float
) -> Numbers:
    """The share slower than a limit for each of the distinct times, in their order, (n_times,)."""
    _, places = np.unique(times, return_inverse=True)
    above = counts * np.clip(buckets - np.log(limit_ms) / np.log(growth), 0, 1)
    return np.asarray(np.bincount(places, above) / np.bincount(places, counts))


def coarser(
    times: Numbers, buckets: Numbers, counts: Numbers, factor: int
) -> tuple[Numbers, Numbers, Numbers]:
    """The histogram with each `factor` buckets as one: their times, numbers and counts."""
    if len(times) == 0:
        return times, buckets, counts
    merged = np.ceil(buckets / factor)
    distinct, time_places = np.unique(times, return_inverse=True)
    low = merged.min()
    width = int(merged.max() - low) + 1
    keys, places = np.unique(time_places * width + (merged - low).astype(int), return_inverse=True)
    return distinct[keys // width], keys % width + low, np.bincount(places, counts)


def _first(up_to: Numbers, share: float) -> int:
    """The place of the first bucket that this share of the requests stay within."""
    return min(int(np.searchsorted(up_to, share - 1e-9)), len(up_to) - 1)


def _middle(bucket: float, growth: float) -> float:
    return float(growth ** (bucket - 0.5))
