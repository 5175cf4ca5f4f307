"""The load generator: a schedule, sessions, a service; figures, and whether they may be believed."""

import asyncio
import gc
import signal
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emulator.load.client import OpenLoop, Outcome
from emulator.load.recorder import Recorder
from emulator.load.sessions import Sessions
from emulator.load.target import Target
from emulator.load.truth import Meter, judge

INTERRUPTED_PATIENCE_S = 1.0
"How long answers are waited for after Ctrl-C."


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadRun:
    """A run and what it may be worth."""

    reasons: list[str]
    "Why it is invalid; empty when it is valid."
    is_interrupted: bool
    figures: dict[str, Any]

    @property
    def is_valid(self) -> bool:
        return not self.reasons


class _Load:
    """The workload: sessions that are watched."""

    def __init__(self, sessions: Sessions, recorder: Recorder) -> None:
        self._sessions, self._recorder = sessions, recorder

    def compose(self, number: int) -> bytes:
        return self._sessions.compose(number)

    def receive(self, outcome: Outcome) -> None:
        self._recorder.record(outcome, kind=self._sessions.kind(outcome.number))
        self._sessions.receive(outcome)


async def generate(
    target: Target,
    *,
    arrivals_s: NDArray[np.float64],
    sessions: Sessions,
    timeout_s: float = 30.0,
    on_second: Callable[[str], None] = lambda _: None,
) -> LoadRun:
    """Run a load to its end, or until SIGINT or SIGTERM; either way what there is is told.

    Args:
        target: the service.
        arrivals_s: when requests leave, seconds from the start, ascending, (n_requests,).
        sessions: what they ask.
        timeout_s: how long to wait for any one answer.
        on_second: gets a line about the state of the load every second.
    """
    recorder = Recorder(arrivals_s)
    load = OpenLoop(
        target.address,
        target.port,
        arrivals_s=arrivals_s,
        workload=_Load(sessions, recorder),
        patience_s=timeout_s,
        timeout_s=timeout_s,
        tls=target.tls,
    )
    interrupted = asyncio.Event()
    loop = asyncio.get_running_loop()

    def interrupt() -> None:
        interrupted.set()
        load.stop(patience_s=INTERRUPTED_PATIENCE_S)

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, interrupt)
    gc.collect()
    gc.freeze()  # a full collection over everything imported takes longer than a request may be late
    meter = Meter()
    watch = asyncio.ensure_future(_watch(load, recorder, meter, on_second))
    try:
        await load.run()
    finally:
        watch.cancel()
        gc.unfreeze()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
    return _conclude(load, recorder, sessions, meter, arrivals_s, is_interrupted=interrupted.is_set())


async def _watch(load: OpenLoop, recorder: Recorder, meter: Meter, on_second: Callable[[str], None]) -> None:
    while True:
        await asyncio.sleep(1)
        meter.sample()
        p50_ms, p99_ms = recorder.answered.percentile_ms(50), recorder.answered.percentile_ms(99)
        on_second(
            f"{perf_counter() - load.started_s:6.0f} s  sent {load.n_sent}  in flight {load.n_in_flight}  "
            f"p50 {_ms(p50_ms)}  p99 {_ms(p99_ms)}  errors {recorder.n_failed}"
        )


def _conclude(
    load: OpenLoop,
    recorder: Recorder,
    sessions: Sessions,
    meter: Meter,
    arrivals_s: NDArray[np.float64],
    *,
    is_interrupted: bool,
) -> LoadRun:
    late_s = np.array(load.late_s[: load.n_sent])
    used = meter.describe()
    reasons = judge(
        late_s,
        core_used=used["core_used_busiest_5_s"],
        waited_for_core=used["waited_for_core"],
        n_out_of_sockets=load.n_out_of_sockets,
    )
    if not load.n_sent:
        reasons.append("nothing was sent; choose a longer duration or a higher rate")
    lag_ms = np.percentile(late_s * 1e3, [50, 99, 100]).round(4).tolist() if len(late_s) else [None] * 3
    sent_s = float(arrivals_s[load.n_sent - 1]) if load.n_sent else 0.0
    return LoadRun(
        reasons=reasons,
        is_interrupted=is_interrupted,
        figures={
            "n_scheduled": len(arrivals_s),
            "n_sent": load.n_sent,
            "sent_per_s": round(load.n_sent / sent_s, 2) if sent_s else None,
            "n_connections": load.n_connections,
            "sender": {**dict(zip(("lag_p50_ms", "lag_p99_ms", "lag_max_ms"), lag_ms, strict=True)), **used},
            **recorder.describe(),
            "sessions": sessions.describe(),
            "course": recorder.course(),
        },
    )


def _ms(value_ms: float | None) -> str:
    return "-" if value_ms is None else f"{value_ms:.1f} ms"
