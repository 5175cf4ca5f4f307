"""What instances had to carry: how many were ready, busy and needed, and what the limiter allowed."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from console.analysis.knee import Knee, NoKnee
from console.telemetry import Table


class Load(NamedTuple):
    """Instances by interval, each (n_intervals,)."""

    times: NDArray[Any]
    "Starts of the intervals."
    ready: NDArray[np.float64]
    busy: NDArray[np.float64]
    "Instances' worth of time with a request in flight."
    needed: NDArray[np.float64]


def load_of(now: Table, each: float) -> Load:
    """What there was and what the load needed.

    Args:
        now: answer to `concurrency`.
        each: requests in flight that one instance is trusted with.
    """
    if not now.n_rows:
        return Load(np.empty(0, dtype="datetime64[us]"), np.empty(0), np.empty(0), np.empty(0))
    times, places = np.unique(now["interval_start"], return_inverse=True)
    in_flight = np.nan_to_num(now["in_flight"])
    ready = np.bincount(places, minlength=len(times)).astype(float)
    busy = np.bincount(places, np.minimum(in_flight, 1.0), minlength=len(times)).astype(float)
    total = np.bincount(places, in_flight, minlength=len(times)).astype(float)
    return Load(times, ready, busy, needed_instances(total, each))


def needed_instances(in_flight: NDArray[Any], each: float) -> NDArray[np.float64]:
    """Instances that so many in flight would fill, at least one where there is anything at all."""
    return np.where(in_flight > 0, np.maximum(np.ceil(in_flight / each - 1e-9), 1.0), 0.0)


def trusted_with(found: Knee | NoKnee, limit: float | None) -> tuple[float, str]:
    """What one instance is trusted with, and where that is from."""
    if isinstance(found, Knee):
        return max(found.in_flight, 1.0), "the knee"
    if found.low is not None:
        return max(found.low, 1.0), "the most that was seen to be fast"
    if limit:
        return max(limit, 1.0), "the limit, which does not keep latency"
    return 1.0, "for want of a limit"


def limit_of(points: Table, now: Table) -> float | None:
    """What the limiter allows an instance, in the median of the range."""
    for table in (now, points):
        if table.n_rows and np.isfinite(table["limit"]).any():
            return float(np.nanmedian(table["limit"]))
    return None


def most_over_instances(table: Table, column: str) -> list[float]:
    """The largest value over instances, by interval."""
    if not table.n_rows:
        return []
    times, places = np.unique(table["interval_start"], return_inverse=True)
    most = np.zeros(len(times))
    np.maximum.at(most, places, np.nan_to_num(table[column]))
    return [float(value) for value in most]
