"""Turns finished timelines into spans and metrics, away from the requests they describe.

The hot path appends to a bounded queue, and that is all. A thread of its own imports OpenTelemetry once
the service is ready, attaches the exporters that the settings name, and empties the queue twice a second;
an exporter that hangs keeps its own thread waiting, and no other.

    record --> queue, 10,000 --> metrics of all, spans of some --> exporters: 2,048 spans --> disk, 50 MiB
"""

import asyncio
import atexit
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from itertools import chain, islice
from random import Random
from time import perf_counter
from typing import TYPE_CHECKING

from recserve import __version__
from recserve.errors import RecserveError
from recserve.settings import APP_ROOT, Settings
from recserve.telemetry import names
from recserve.telemetry.cold_start import ColdStart
from recserve.telemetry.timeline import Timeline, unix_minus_perf_s

if TYPE_CHECKING:
    from recserve.telemetry.contention import ContentionSampler, LoopLag

QUEUE_SIZE = 10_000
"Timelines that wait for export; beyond that the newest are dropped, and counted."
DRAIN_EVERY_S = 0.5
ATTACH_AFTER_S = 0.2
"Who waited for the start is answered before half a second of imports competes for the interpreter."
CHUNK = 16
"Timelines that are worked on before requests get the interpreter: about a third of a millisecond."
PAUSE_S = 2e-4
SAMPLE_EVERY_S = 1.0
STOOD_STILL_S = 0.25
"A thread that sleeps longer than it asked for by this much was in a process that stood still."
DRIVER_WAIT_S = 10.0
"How long the trace of a cold start waits for what will meet the process first."
CLOSE_WAIT_S = 10.0

log = logging.getLogger(__name__)


class Telemetry:
    """Takes timelines from the service and sends them where the settings say.

    Without a connection string and without an OTLP endpoint, nothing is imported and nothing is kept.

    Args:
        settings: the app's settings.
        cold_start: of this process; sent when it is over and something has met the process.
    """

    def __init__(self, settings: Settings, cold_start: ColdStart | None = None) -> None:
        self._settings = settings
        self._cold_start = cold_start or ColdStart()
        self._is_on = settings.is_telemetry_on
        self._queue: deque[Timeline] = deque()
        self._thread: threading.Thread | None = None
        self._attached = threading.Event()
        self._wake = threading.Event()
        self._is_closing = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._readings: Mapping[str, Callable[[], float]] = {}
        self.n_dropped = 0
        "Since they were last reported."

    @property
    def n_queued(self) -> int:
        return len(self._queue)

    def record(self, timeline: Timeline) -> None:
        """Hand over a finished timeline; never blocks, never raises."""
        if not self._is_on:
            return
        if len(self._queue) >= QUEUE_SIZE:
            self.n_dropped += 1
        else:
            self._queue.append(timeline)

    def watch(self, loop: asyncio.AbstractEventLoop) -> None:
        """The event loop that requests run on; its lag is sampled."""
        self._loop = loop

    def attach(self, readings: Mapping[str, Callable[[], float]] | None = None) -> None:
        """Begin to export, in the background. Call once, when the service is ready or has failed.

        Args:
            readings: what the service knows of itself, by metric; read each second.
        """
        if self._is_on and self._thread is None:
            self._readings = readings or {}
            self._thread = threading.Thread(target=self._export, name="telemetry", daemon=True)
            try:
                self._thread.start()
            except RuntimeError as err:  # the machine, or the interpreter's end, allows no further thread
                self._give_up(str(err))
            else:
                atexit.register(self.close)
        self._attached.set()

    def close(self, *, wait_s: float = CLOSE_WAIT_S) -> None:
        """Send what is queued and stop.

        Args:
            wait_s: how long to wait for a start that is under way and for endpoints that do not answer.
        """
        give_up_s = perf_counter() + wait_s
        if self._is_on:
            self._attached.wait(wait_s)
        if self._thread is not None and self._thread.is_alive():
            self._is_closing = True
            self._wake.set()
            self._thread.join(max(0.0, give_up_s - perf_counter()))

    def _export(self) -> None:
        self._wake.wait(ATTACH_AFTER_S)
        try:
            exporter = _Exporter(self._settings, self._cold_start, self._readings)
        except RecserveError as err:
            self._give_up(str(err))
            return
        except Exception as err:
            # An interpreter that ends lets no thread begin, and says so with a RuntimeError.
            is_late = self._is_closing and isinstance(err, RuntimeError)
            self._give_up("the process ended first" if is_late else repr(err), exc_info=not is_late)
            return
        while not self._is_closing:
            slept_s = -perf_counter()
            self._wake.wait(DRAIN_EVERY_S)
            slept_s += perf_counter()
            exporter.overslept(slept_s - DRAIN_EVERY_S)
            self._drain(exporter)
        self._drain(exporter)
        exporter.close()

    def _give_up(self, reason: str, *, exc_info: bool = False) -> None:
        log.error(
            "telemetry could not be attached: %s; recommendations go on without it, %d timelines are lost",
            reason,
            self.n_queued,
            exc_info=exc_info,
        )
        self._is_on = False
        self._queue.clear()

    def _drain(self, exporter: "_Exporter") -> None:
        timelines = [self._queue.popleft() for _ in range(len(self._queue))]
        n_dropped, self.n_dropped = self.n_dropped, 0
        try:
            exporter.export(timelines, n_dropped=n_dropped, is_last=self._is_closing)
        except Exception:
            log.exception("%d timelines could not be exported", len(timelines))
        try:
            exporter.sample(self._loop)
        except Exception:
            log.exception("contention could not be sampled")


class _Exporter:
    """Everything that needs OpenTelemetry, on the thread that exports."""

    def __init__(
        self, settings: Settings, cold_start: ColdStart, readings: Mapping[str, Callable[[], float]]
    ) -> None:
        from opentelemetry import trace

        from recserve.telemetry import providers
        from recserve.telemetry.devices import DeviceTally
        from recserve.telemetry.instruments import Instruments
        from recserve.telemetry.pseudonyms import Pseudonyms
        from recserve.telemetry.sampling import Sampler
        from recserve.telemetry.spans import SpanWriter

        self._settings = settings
        self._cold_start: ColdStart | None = cold_start
        self._providers: providers.Providers = providers.set_up(settings, process=cold_start.process)
        app = settings.website_site_name
        self._spans: SpanWriter = SpanWriter(
            trace.get_tracer(names.SCOPE, __version__),
            app=app,
            process=cold_start.process,
            pseudonyms=Pseudonyms(settings.recserve_user_key or settings.website_auth_encryption_key),
        )
        self._instruments = [
            Instruments(end.meter, app=app, is_host_apart=end.is_host_apart)
            for end in self._providers.metrics
        ]
        self._sampler: Sampler = Sampler(
            rate=settings.recserve_trace_rate,
            slow_s=settings.recserve_slo_ms / 1e3,
            most_per_s=settings.recserve_traces_per_s,
            rng=Random(),
        )
        self._devices: DeviceTally = DeviceTally(perf_counter())
        self._contention = _contention(readings)
        self._lag: LoopLag | None = None
        self._lag_of: asyncio.AbstractEventLoop | None = None
        self._stood_still_s = 0.0
        self._attached_s = self._exported_s = self._sampled_s = perf_counter()

    def export(self, timelines: list[Timeline], *, n_dropped: int, is_last: bool) -> None:
        """Metrics of all, spans of those that are chosen."""
        now_s = perf_counter()
        rest = iter(timelines)
        while chunk := list(islice(rest, CHUNK)):
            for instruments in self._instruments:
                instruments.count(chunk)
            time.sleep(PAUSE_S)
        if n_dropped:
            for instruments in self._instruments:
                instruments.count_dropped(n_dropped)
        for choice in self._sampler.choose(timelines, now_s - self._exported_s):
            self._spans.write_request(choice, unix_minus_perf_s())
            time.sleep(PAUSE_S)
        self._exported_s = now_s
        self._export_reports(timelines, now_s, is_last=is_last)
        self._export_cold_start(now_s, is_last=is_last)

    def _export_reports(self, timelines: list[Timeline], now_s: float, *, is_last: bool) -> None:
        """What devices told, every few seconds."""
        for timeline in timelines:
            if timeline.report is not None:
                self._devices.add(timeline.report)
        if is_last or self._devices.is_due(now_s):
            self._spans.write_edge(*self._devices.take(now_s), unix_minus_perf_s())

    def _export_cold_start(self, now_s: float, *, is_last: bool) -> None:
        """Once it is over and it is known what met the process, or nothing has for long."""
        cold_start = self._cold_start
        if cold_start is None:
            return
        if cold_start.driver == "none" and now_s - self._attached_s < DRIVER_WAIT_S and not is_last:
            return
        from recserve.telemetry.cause import cause_of, deployment_id

        self._cold_start = None
        cause = cause_of(
            self._settings.start_note,
            deployment=deployment_id(APP_ROOT, cold_start.models_version),
            instance=self._settings.website_instance_id,
            driver=cold_start.driver,
        )
        for instruments in self._instruments:
            instruments.count_cold_start(cold_start, cause)
        self._spans.write_cold_start(cold_start, cause=cause, attached_s=self._attached_s)
        if not is_last:  # in a minute, when metrics leave, what a burst called in may be gone
            self._providers.flush()

    def overslept(self, late_s: float) -> None:
        """This thread woke so much later than it had asked for.

        Of a process that is stopped, the loop's own lag knows nothing: no callback is on its way then.
        """
        if late_s > STOOD_STILL_S:
            self._stood_still_s = max(self._stood_still_s, late_s)

    def sample(self, loop: asyncio.AbstractEventLoop | None) -> None:
        """Contention, once a second."""
        now_s = perf_counter()
        if loop is not None and loop.is_closed():
            loop = None
        if loop is not None and loop is not self._lag_of:
            from recserve.telemetry.contention import LoopLag

            self._lag, self._lag_of = LoopLag(loop.call_soon_threadsafe), loop
            self._lag.send()
        if now_s - self._sampled_s < SAMPLE_EVERY_S:
            return
        self._sampled_s = now_s
        sampled = self._contention.sample(now_s)
        if self._lag is not None and loop is not None:
            sampled[names.LOOP_LAG] = max(self._lag.read(), self._stood_still_s)
            self._stood_still_s = 0.0
            self._lag.send()
        for instruments in self._instruments:
            instruments.sample(sampled)

    def close(self) -> None:
        self._providers.shut_down(limit_s=CLOSE_WAIT_S)


def _contention(readings: Mapping[str, Callable[[], float]]) -> "ContentionSampler":
    from recserve.telemetry.contention import (
        ContentionSampler,
        cgroup_sources,
        process_sources,
        service_sources,
    )

    sources = chain(process_sources(), cgroup_sources(), service_sources(readings))
    return ContentionSampler(sources, perf_counter())
