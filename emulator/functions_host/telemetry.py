"""Request spans of the host, as it exports them with `"telemetryMode": "OpenTelemetry"` in host.json.

Each HTTP invocation becomes a span of kind SERVER, which Application Insights shows as a request; the
function gets its context, so that what the app traces lies below it. The host is a process of its own in
Azure and has its own exporter there; so it has here, beside whatever the app in this process sets up, and
touches none of OpenTelemetry's global providers.

What differs: `url.path` is the route and not the path, since paths hold ids of users; and where the plan's front
end says for how long it held a request, which Azure's does not, the measurement `held_ms` does too.
"""

import atexit
import json
import logging
import os
import re
import secrets
import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

QUEUE_SIZE = 10_000
"Spans that wait; beyond that the newest are dropped."
ATTACH_AFTER_S = 1.0
"The exporter's imports leave the app's start alone."
DRAIN_EVERY_S = 1.0
CLOSE_WAIT_S = 10.0
HELD_HEADER = "x-recserve-held-ms"
HELD_MS = "held_ms"

_TRACE_PARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f]{2}")
"W3C's `traceparent`, of any version."

logger = logging.getLogger("host")


@dataclass(slots=True)
class RequestSpan:
    """One request on its way through the host."""

    trace_id: str
    span_id: str
    parent_id: str
    "Empty where the caller sent no trace context."
    is_sampled: bool
    invocation_id: str
    is_coldstart: bool
    "The platform said so, with X-MS-COLDSTART."
    held_ms: float = 0.0
    "The plan's front end held it for so long, before it came here."
    started_ns: int = field(default_factory=time.time_ns)
    ended_ns: int = 0
    name: str = ""
    method: str = ""
    route: str = ""
    status: int = 0

    @property
    def trace_parent(self) -> str:
        return f"00-{self.trace_id}-{self.span_id}-{'01' if self.is_sampled else '00'}"


class RequestSpans:
    """Collects the spans and sends them in the background.

    Args:
        connection_string: of Application Insights.
        app: name of the function app.
        instance: of the instance.
        ratio: share of the traces that is kept, by trace id.
    """

    def __init__(self, connection_string: str, *, app: str, instance: str, ratio: float = 1.0) -> None:
        self._connection_string = connection_string
        self._app = app
        self._instance = instance
        self._ratio = ratio
        self._queue: deque[RequestSpan] = deque()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._export, name="host-telemetry", daemon=True)
        self._thread.start()
        atexit.register(self.close)

    @classmethod
    def from_environment(cls, telemetry_mode: str) -> "RequestSpans | None":
        """As host.json and app settings say; None where the host exports nothing."""
        connection_string = os.environ.get("APPLICATIONINSIGHTS_CONNECTION_STRING", "")
        if telemetry_mode.lower() != "opentelemetry" or not connection_string:
            return None
        return cls(
            connection_string,
            app=os.environ.get("WEBSITE_SITE_NAME", "recserve"),
            instance=os.environ.get("WEBSITE_INSTANCE_ID", "local"),
            ratio=_ratio(os.environ.get("OTEL_TRACES_SAMPLER_ARG", "")),
        )

    def begin(self, headers: Mapping[str, str], invocation_id: str) -> RequestSpan:
        """A request came in."""
        traced = _TRACE_PARENT.match(headers.get("traceparent", ""))
        trace_id, parent_id = traced.groups() if traced else (secrets.token_hex(16), "")
        return RequestSpan(
            trace_id,
            secrets.token_hex(8),
            parent_id,
            sampling_score(trace_id) < self._ratio,
            invocation_id,
            "x-ms-coldstart" in headers,
            _milliseconds(headers.get(HELD_HEADER, "")),
        )

    def end(self, span: RequestSpan, *, name: str, method: str, route: str, status: int) -> None:
        """It is answered."""
        if not span.is_sampled or len(self._queue) >= QUEUE_SIZE:
            return
        span.ended_ns = time.time_ns()
        span.name, span.method, span.route, span.status = name, method, route, status
        self._queue.append(span)

    def close(self) -> None:
        """Send what is left."""
        self._closing.set()
        self._thread.join(CLOSE_WAIT_S)

    def _export(self) -> None:
        self._closing.wait(ATTACH_AFTER_S)
        try:
            from azure.monitor.opentelemetry.exporter import AzureMonitorTraceExporter
            from opentelemetry.sdk.resources import Resource
            from opentelemetry.sdk.trace import TracerProvider
            from opentelemetry.sdk.trace.export import BatchSpanProcessor

            os.environ.setdefault("APPLICATIONINSIGHTS_SDKSTATS_DISABLED", "true")
            os.environ.setdefault("APPLICATIONINSIGHTS_STATSBEAT_DISABLED_ALL", "true")
            os.environ.setdefault("APPLICATIONINSIGHTS_CONTROLPLANE_DISABLED", "true")
            logging.getLogger("azure").setLevel(logging.WARNING)
            resource = Resource({"service.name": self._app, "service.instance.id": self._instance})
            exporter = AzureMonitorTraceExporter(
                connection_string=self._connection_string,
                disable_offline_storage=True,
                retry_total=0,
                # Asked for its resource alone; without it the exporter looks for a global one.
                tracer_provider=TracerProvider(resource=resource, shutdown_on_exit=False),
            )
            processor = BatchSpanProcessor(exporter)
        except Exception as err:
            if not self._closing.is_set():  # else the interpreter lets nothing begin any more
                logger.error("the host exports no telemetry: %s", err)
            self._ratio = 0.0
            self._queue.clear()
            return
        while not self._closing.wait(DRAIN_EVERY_S):
            self._drain(processor, resource)
        self._drain(processor, resource)
        processor.shutdown()  # type: ignore[no-untyped-call]

    def _drain(self, processor: "BatchSpanProcessor", resource: "Resource") -> None:
        for _ in range(len(self._queue)):
            span = self._queue.popleft()
            try:
                processor.on_end(self._readable(span, resource))
            except Exception as err:  # one span must not cost all that come after it
                logger.error("the host could not trace %s %s: %s", span.method, span.route, err)

    def _readable(self, span: RequestSpan, resource: "Resource") -> "ReadableSpan":
        from opentelemetry.sdk.trace import ReadableSpan
        from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

        def context(span_id: str) -> SpanContext:
            return SpanContext(
                int(span.trace_id, 16), int(span_id, 16), is_remote=False, trace_flags=TraceFlags(1)
            )

        attributes: dict[str, str | int | float | bool] = {
            "http.request.method": span.method,
            "http.response.status_code": span.status,
            "http.route": span.route,
            "url.scheme": "http",
            "url.path": span.route,
            "faas.trigger": "http",
            "faas.name": f"{self._app}/{span.name}",
            "faas.invocation_id": span.invocation_id,
            "_MS.sampleRate": 100 * self._ratio,
        }
        if span.is_coldstart:
            attributes["faas.coldstart"] = True
        if span.held_ms:
            attributes["microsoft.custom_measurements"] = json.dumps({HELD_MS: span.held_ms})
        return ReadableSpan(
            f"{span.method} {span.route}",
            context(span.span_id),
            context(span.parent_id) if span.parent_id else None,
            resource,
            attributes,
            kind=SpanKind.SERVER,
            status=Status(StatusCode.ERROR if span.status >= 500 else StatusCode.UNSET),
            start_time=span.started_ns,
            end_time=span.ended_ns,
        )


def sampling_score(trace_id: str) -> float:
    """Where a trace falls in [0, 1], with the hash of the Application Insights SDKs (DJB2)."""
    score = 5381
    for character in trace_id:
        score = (score * 33 + ord(character)) & 0xFFFFFFFF
    if score >= 0x80000000:
        score -= 0x100000000
    return min(abs(score), 0x7FFFFFFF) / 0x7FFFFFFF


def _milliseconds(text: str) -> float:
    try:
        return max(0.0, float(text))
    except ValueError:
        return 0.0


def _ratio(text: str) -> float:
    try:
        return min(1.0, max(0.0, float(text)))
    except ValueError:
        return 1.0
