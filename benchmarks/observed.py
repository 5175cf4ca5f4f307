"""What callers of a plan see: status, latency, which instance answered, and how long they waited for one."""

import asyncio
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import uvloop
from numpy.typing import NDArray

from emulator.load.client import NO_ANSWER, OpenLoop, Outcome
from emulator.load.recorder import HELD_MS, INSTANCE

TIMING = b"server-timing"


@dataclass(slots=True)
class Observed:
    """Outcomes in the order of the schedule; arrays are (n_requests,)."""

    scheduled_s: NDArray[np.float64]
    started_s: float = 0.0
    "On the clock of `perf_counter`."
    latency_s: NDArray[np.float64] = field(init=False)
    "inf without an answer."
    status: NDArray[np.int64] = field(init=False)
    held_ms: NDArray[np.float64] = field(init=False)
    "0 for requests that waited for no instance."
    instance: list[str] = field(init=False)
    timing: list[str] = field(init=False)
    "The app's `server-timing`."
    errors: list[str] = field(init=False)
    late_s: NDArray[np.float64] = field(init=False)

    def __post_init__(self) -> None:
        n = len(self.scheduled_s)
        self.latency_s = np.full(n, np.inf)
        self.status = np.full(n, NO_ANSWER, np.int64)
        self.held_ms = np.zeros(n)
        self.instance = [""] * n
        self.timing = [""] * n
        self.errors = [""] * n
        self.late_s = np.zeros(n)

    def within(self, start_s: float, end_s: float) -> NDArray[np.bool_]:
        """Requests that were to leave in this part of the load."""
        chosen: NDArray[np.bool_] = (self.scheduled_s >= start_s) & (self.scheduled_s < end_s)
        return chosen


class _Watch:
    def __init__(self, requests: Sequence[bytes], observed: Observed) -> None:
        self._requests, self._observed = requests, observed

    def compose(self, number: int) -> bytes:
        return self._requests[number % len(self._requests)]

    def receive(self, outcome: Outcome) -> None:
        observed, number = self._observed, outcome.number
        observed.errors[number] = outcome.error
        if outcome.status == NO_ANSWER:
            return
        observed.latency_s[number] = outcome.latency_s
        observed.status[number] = outcome.status
        observed.held_ms[number] = float(outcome.headers.get(HELD_MS, b"0"))
        observed.instance[number] = outcome.headers.get(INSTANCE, b"").decode("latin-1")
        observed.timing[number] = outcome.headers.get(TIMING, b"").decode("latin-1")


def observe(
    port: int,
    *,
    arrivals_s: NDArray[np.float64],
    requests: Sequence[bytes],
    beside: Callable[[], None] | None = None,
) -> Observed:
    """Send requests to a server of this machine at their instants, from a core of its own as far as there is one.

    Args:
        arrivals_s: seconds from the start, ascending, (n_requests,).
        requests: taken in turn.
        beside: runs on a thread while the load does.
    """

    async def run() -> Observed:
        observed = Observed(arrivals_s)
        loop = OpenLoop(
            "127.0.0.1", port, arrivals_s=arrivals_s, workload=_Watch(requests, observed), patience_s=30.0
        )
        thread = asyncio.create_task(asyncio.to_thread(beside)) if beside else None
        await loop.run()
        if thread is not None:
            await thread
        observed.started_s = loop.started_s
        observed.late_s = np.array(loop.late_s)
        return observed

    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(cores)})
    try:
        return uvloop.run(run())
    finally:
        os.sched_setaffinity(0, cores)  # what is started afterwards inherits it
