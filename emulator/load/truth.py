"""The generator's own truth: whether it kept to its schedule, and so whether its figures may be believed.

A sender that is late delays requests that the server then answers quickly, and one that is short of
processor time reads answers late; either way the figures are those of the sender. The run is invalid if

    the 99th percentile of the send lag is above 1 ms,
    more than 70 % of a core were used in the busiest five seconds, or
    this machine ran out of sockets.
"""

import os
import sys
from collections import deque
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emulator.load.target import LoadError

LAG_LIMIT_S = 0.001
CORE_LIMIT = 0.7
BUSIEST_S = 5.0


def pin(core: int | None) -> int | None:
    """Keep this process on one core, by default the last that it may use.

    Returns:
        The core; None where the system cannot pin.

    Raises:
        LoadError: this process may not use that core.
    """
    if sys.platform != "linux":
        return None
    allowed = sorted(os.sched_getaffinity(0))
    if core is not None and core not in allowed:
        raise LoadError(f"--core {core}: this process may use the cores {', '.join(map(str, allowed))}")
    chosen = allowed[-1] if core is None else core
    os.sched_setaffinity(0, {chosen})
    return chosen


class Meter:
    """Processor time of this process, all threads, in user and kernel mode; `sample` once a second."""

    def __init__(self) -> None:
        self._began = self._now()
        self._waited_s = _waited_s()
        self._recent = deque([self._began])
        self.busiest = 0.0
        "Largest share of a core over `BUSIEST_S`, or over the whole run where that is shorter."

    def sample(self) -> None:
        now = self._now()
        self._recent.append(now)
        while len(self._recent) > 2 and now[0] - self._recent[1][0] >= BUSIEST_S:
            self._recent.popleft()
        if now[0] - self._recent[0][0] >= min(BUSIEST_S, now[0] - self._began[0]):
            self.busiest = max(self.busiest, _share(self._recent[0], now))

    def describe(self) -> dict[str, Any]:
        now = self._now()
        return {
            "core_used": round(_share(self._began, now), 4),
            "core_used_busiest_5_s": round(max(self.busiest, _share(self._began, now)), 4),
            "waited_for_core": round((_waited_s() - self._waited_s) / (now[0] - self._began[0]), 4),
        }

    def _now(self) -> tuple[float, float]:
        return perf_counter(), process_time()


def judge(
    late_s: NDArray[np.float64], *, core_used: float, waited_for_core: float, n_out_of_sockets: int
) -> list[str]:
    """Why the run is invalid, in words; empty for a valid one.

    Args:
        late_s: send lag of every request that was sent, (n_sent,).
        core_used: share of a core, 1 for all of it.
        waited_for_core: share of the time that it was ready to run and others had its core.
        n_out_of_sockets: requests that this machine had no connection for.
    """
    reasons = []
    if len(late_s) and (p99_s := float(np.percentile(late_s, 99))) > LAG_LIMIT_S:
        reasons.append(
            f"the sender was late: p99 of its lag {p99_s * 1e3:.2f} ms, allowed {LAG_LIMIT_S * 1e3:g} ms; "
            f"others had its core for {waited_for_core:.0%} of the time; give it a core of its own (--core), or a "
            "lower rate"
        )
    if core_used > CORE_LIMIT:
        reasons.append(
            f"the sender used {core_used:.0%} of a core, allowed {CORE_LIMIT:.0%}; lower the rate, or send from two"
        )
    if n_out_of_sockets:
        reasons.append(
            f"the sender had no socket for {n_out_of_sockets} requests; raise `ulimit -n`, or lower the rate"
        )
    return reasons


def _share(earlier: tuple[float, float], later: tuple[float, float]) -> float:
    return (later[1] - earlier[1]) / max(later[0] - earlier[0], 1e-9)


def _waited_s() -> float:
    """How long this process was ready to run and others were on its core; 0 where the system does not tell."""
    try:
        return int(Path("/proc/self/schedstat").read_text().split()[1]) / 1e9
    except (OSError, IndexError, ValueError):
        return 0.0
