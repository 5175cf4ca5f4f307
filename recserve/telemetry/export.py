"""Turns finished timelines into spans and metrics, away from the requests they describe.

The hot path appends to a bounded queue. A thread of its own imports OpenTelemetry once the service is
ready, attaches the exporters that the settings name, and drains the queue.
"""

import atexit
import logging
import queue
import threading
from typing import TYPE_CHECKING

from recserve import __version__
from recserve.settings import Settings
from recserve.telemetry import names
from recserve.telemetry.timeline import UNIX_MINUS_PERF_S, Timeline

if TYPE_CHECKING:
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.trace import Tracer

QUEUE_SIZE = 10_000
"Timelines that wait for export; beyond that the newest are dropped, and counted."

log = logging.getLogger(__name__)


class Telemetry:
    """Takes timelines from the service and sends them where the settings say.

    Without a connection string and without an OTLP endpoint, nothing is imported and nothing is kept.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._is_on = bool(
            settings.applicationinsights_connection_string or settings.otel_exporter_otlp_endpoint
        )
        self._queue: queue.SimpleQueue[Timeline | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self.n_dropped = 0

    @property
    def n_queued(self) -> int:
        return self._queue.qsize()

    def record(self, timeline: Timeline) -> None:
        """Hand over a finished timeline; never blocks, never raises."""
        if not self._is_on:
            return
        if self.n_queued >= QUEUE_SIZE:
            self.n_dropped += 1
        else:
            self._queue.put(timeline)

    def attach(self) -> None:
        """Begin to export, in the background. Call once, when the service is ready."""
        if self._is_on and self._thread is None:
            self._thread = threading.Thread(target=self._export, name="telemetry", daemon=True)
            self._thread.start()
            atexit.register(self.close)

    def close(self) -> None:
        """Send what is queued and stop."""
        if self._thread is not None and self._thread.is_alive():
            self._queue.put(None)
            self._thread.join(timeout=10)

    def _export(self) -> None:
        try:
            from opentelemetry import metrics, trace

            _configure(self._settings)
        except Exception:
            log.exception("telemetry could not be attached; recommendations go on without it")
            self._is_on = False
            return
        tracer = trace.get_tracer(names.SCOPE, __version__)
        meter = metrics.get_meter(names.SCOPE, __version__)
        requests = meter.create_histogram(names.REQUEST_DURATION, unit="s")
        cold_starts = meter.create_histogram(names.INIT_DURATION, unit="s")
        dropped = meter.create_counter(names.DROPPED)
        while (timeline := self._queue.get()) is not None:
            try:
                duration = cold_starts if timeline.name == names.COLD_START else requests
                duration.record(timeline.ended_s - timeline.started_s, {names.FAAS_NAME: timeline.name})
                _emit_spans(timeline, tracer)
            except Exception:
                log.exception("a timeline of %s could not be exported", timeline.name)
            if self.n_dropped:
                dropped.add(self.n_dropped)
                self.n_dropped = 0
        trace.get_tracer_provider().shutdown()  # type: ignore[attr-defined]
        metrics.get_meter_provider().shutdown()  # type: ignore[attr-defined]


def _emit_spans(timeline: Timeline, tracer: "Tracer") -> None:
    """One span for the whole, one below it for each phase."""
    from opentelemetry import trace

    span = tracer.start_span(
        timeline.name, start_time=_unix_ns(timeline.started_s), attributes=timeline.attributes
    )
    context = trace.set_span_in_context(span)
    for phase, start_s, end_s in timeline.phases():
        child = tracer.start_span(phase, context=context, start_time=_unix_ns(start_s))
        child.end(_unix_ns(end_s))
    span.end(_unix_ns(timeline.ended_s))


def _unix_ns(stamp_s: float) -> int:
    return int((stamp_s + UNIX_MINUS_PERF_S) * 1e9)


def _configure(settings: Settings) -> None:
    """Set OpenTelemetry's global providers up, for Azure Monitor, OTLP or both."""
    from opentelemetry import metrics, trace
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    spans: list[BatchSpanProcessor] = []
    readers: list[PeriodicExportingMetricReader] = []
    if endpoint := settings.otel_exporter_otlp_endpoint.rstrip("/"):
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

        spans.append(BatchSpanProcessor(OTLPSpanExporter(f"{endpoint}/v1/traces")))
        readers.append(PeriodicExportingMetricReader(OTLPMetricExporter(f"{endpoint}/v1/metrics")))
    if settings.applicationinsights_connection_string:
        from azure.monitor.opentelemetry import configure_azure_monitor

        # Its INFO lines tell every header of every export, in logs that are paid for by the gigabyte.
        logging.getLogger("azure.core.pipeline.policies.http_logging_policy").setLevel(logging.WARNING)
        configure_azure_monitor(
            connection_string=settings.applicationinsights_connection_string,
            resource=_resource(settings),
            sampling_ratio=1.0,
            span_processors=spans,
            metric_readers=readers,
            enable_live_metrics=False,
            disable_logging=True,
            instrumentation_options={
                library: {"enabled": False}
                for library in (
                    "azure_sdk",
                    "django",
                    "fastapi",
                    "flask",
                    "psycopg2",
                    "requests",
                    "urllib",
                    "urllib3",
                )
            },
        )
    else:
        provider = TracerProvider(resource=_resource(settings))
        for processor in spans:
            provider.add_span_processor(processor)
        trace.set_tracer_provider(provider)
        metrics.set_meter_provider(MeterProvider(readers, resource=_resource(settings)))


def _resource(settings: Settings) -> "Resource":
    from opentelemetry.sdk.resources import Resource

    return Resource.create(
        {
            "service.name": settings.website_site_name,
            "service.version": __version__,
            "service.instance.id": settings.website_instance_id or "local",
            "cloud.platform": "azure_functions",
        }
    )
