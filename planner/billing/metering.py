"""How providers read the clock: rounding, minimums, and the periods in which an instance is active.

Times are turned into whole nanoseconds first. What follows is integer arithmetic, so that 0.3 s is 300 ms
and never 301, as it would be where the rounding error of a float is rounded up.
"""

import heapq
import math
from decimal import Decimal

import numpy as np
from numpy.typing import ArrayLike, NDArray

NS_PER_S = 10**9
NS_PER_MS = 10**6
LONGEST_S = 9e9
"Two hundred years: what nanoseconds in 64 bits can hold."


def exact_seconds(value_s: float, what: str) -> Decimal:
    """A time as a decimal, to the nanosecond.

    Raises:
        ValueError: it is negative, endless, or no number.
    """
    if not (math.isfinite(value_s) and value_s >= 0):
        raise ValueError(f"{what} of {value_s} s; give a time, 0 or more")
    return Decimal(round(value_s * NS_PER_S)) / NS_PER_S


def exact_count(value: int, what: str) -> Decimal:
    """A count as a decimal.

    Raises:
        ValueError: it is negative.
    """
    if value < 0:
        raise ValueError(f"{value} {what}; give 0 or more")
    return Decimal(int(value))


def nanoseconds(times_s: ArrayLike, what: str) -> NDArray[np.int64]:
    """Times in whole nanoseconds, (n,); a single time has n = 1.

    Raises:
        ValueError: one is negative, endless, or no number; the message has it and its place.
    """
    times = np.atleast_1d(np.asarray(times_s, np.float64))
    wrong = np.flatnonzero(~((times >= 0) & (times < LONGEST_S)))
    if wrong.size:
        raise ValueError(f"{what} {wrong[0]} is {times[wrong[0]]} s; give times, 0 or more")
    return np.rint(times * NS_PER_S).astype(np.int64)


def billed_ms(times_ns: NDArray[np.int64], *, least_ms: int, step_ms: int) -> NDArray[np.int64]:
    """Each time rounded up to whole steps, and to the least that is billed, in ms."""
    step_ns = step_ms * NS_PER_MS
    return np.maximum(-(-times_ns // step_ns) * step_ms, least_ms)


def active_periods_s(
    starts_s: ArrayLike, durations_s: ArrayLike, *, least_ms: int, step_ms: int, shared: bool = True
) -> NDArray[np.float64]:
    """Billed length of each period in which one instance has requests.

    Requests that overlap share a period. It is billed in steps and with a minimum, so that its billed end
    lies after its last request. What begins between the two:

    shared      belongs to the period: an instance is never billed for more time than passes
    otherwise   begins a period of its own, with a minimum of its own

    Args:
        starts_s: when each request reached the instance, in any order, (n,).
        durations_s: how long the instance had each, (n,).
        least_ms: least that a period is billed for.
        step_ms: what its length is rounded up to.
        shared: which of the two.
    """
    starts_ns, durations_ns = nanoseconds(starts_s, "start"), nanoseconds(durations_s, "duration")
    if not starts_ns.size:
        return np.empty(0)
    order = np.argsort(starts_ns, kind="stable")
    starts_ns, ends_ns = starts_ns[order], (starts_ns + durations_ns)[order]
    ends_ns = np.maximum.accumulate(ends_ns)
    firsts = np.flatnonzero(np.append(True, starts_ns[1:] > ends_ns[:-1]))
    starts_ns, ends_ns = starts_ns[firsts], ends_ns[np.append(firsts[1:], ends_ns.size) - 1]
    if shared:
        starts_ns, ends_ns = _join(starts_ns, ends_ns, least_ms=least_ms, step_ms=step_ms)
    return billed_ms(ends_ns - starts_ns, least_ms=least_ms, step_ms=step_ms) / 1000


def _join(
    starts_ns: NDArray[np.int64], ends_ns: NDArray[np.int64], *, least_ms: int, step_ms: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Periods that begin before the billed end of the one before become part of it."""
    step_ns, least_ns = step_ms * NS_PER_MS, least_ms * NS_PER_MS
    joined_starts: list[int] = []
    joined_ends: list[int] = []
    billed_end = -1
    for start, end in zip(starts_ns.tolist(), ends_ns.tolist(), strict=True):
        if start < billed_end:
            joined_ends[-1] = max(joined_ends[-1], end)
        else:
            joined_starts.append(start)
            joined_ends.append(end)
        first, last = joined_starts[-1], joined_ends[-1]
        billed_end = first + max(-(-(last - first) // step_ns) * step_ns, least_ns)
    return np.array(joined_starts, np.int64), np.array(joined_ends, np.int64)


def pack(
    arrivals_s: NDArray[np.float64], durations_s: NDArray[np.float64], *, concurrency: int
) -> NDArray[np.int64]:
    """Number of the instance that takes each request, if there are as many as it takes.

    A request goes to the first instance with a free place, so that the later ones have least to do. With a
    concurrency of 1 these are the execution environments of Lambda.

    Args:
        arrivals_s: ascending, (n,).
        durations_s: how long each keeps its place, (n,).
        concurrency: places of an instance.
    """
    instances = np.empty(arrivals_s.size, np.int64)
    free: list[int] = []
    busy: list[tuple[float, int]] = []
    n_places = 0
    for i, (arrival_s, duration_s) in enumerate(zip(arrivals_s.tolist(), durations_s.tolist(), strict=True)):
        while busy and busy[0][0] <= arrival_s:
            heapq.heappush(free, heapq.heappop(busy)[1])
        if not free:
            heapq.heappush(free, n_places)
            n_places += 1
        place = heapq.heappop(free)
        heapq.heappush(busy, (arrival_s + duration_s, place))
        instances[i] = place // concurrency
    return instances
