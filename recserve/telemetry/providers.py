"""OpenTelemetry's providers, set up once for Azure Monitor, OTLP or both.

Where `PYTHON_APPLICATIONINSIGHTS_ENABLE_TELEMETRY` is true, the worker has set Azure Monitor up before the
app was imported, and a second time would send everything twice: then its providers are used as they are.

Both ends share one provider of spans, so that a trace has the same ids in both. Each has its own of metrics:
not every metric goes to both, and the worker's takes no reader once it is made.
"""

import atexit
import ipaddress
import logging
import os
from dataclasses import dataclass, field
from typing import NamedTuple
from urllib.parse import urlsplit

from opentelemetry import metrics, trace
from opentelemetry.metrics import Meter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_ON

from recserve import __version__
from recserve.errors import InvalidSettings
from recserve.settings import Settings
from recserve.settings_check import without_user
from recserve.telemetry import names
from recserve.telemetry.pipelines import Pipeline, shut_down

SEND_TIMEOUT_S = 4
"An endpoint that does not answer for this long is dead, and what it was sent goes to disk."
MOST_SPANS_A_BATCH = 1024
"""An endpoint that hangs takes `SEND_TIMEOUT_S` for each batch, and spans queue up meanwhile: with this many,
256 spans a second reach the disk and none is dropped; with OpenTelemetry's 512, a quarter of 200 was."""
SPANS_WAIT_MS = 1000
"How long a span waits for others to be sent with: what a process that is killed takes along."
RETRY_AFTER_S = 30
"How long spooled telemetry waits before it is sent again, with the next batch that arrives."

UNWANTED = ("azure_sdk", "django", "fastapi", "flask", "httpx", "psycopg2", "requests", "urllib", "urllib3")
"Instrumentations: what Recserve does is in its own spans, and its exporters' requests are nobody's business."

log = logging.getLogger(__name__)


class MetricsEnd(NamedTuple):
    """Where metrics go."""

    meter: Meter
    is_host_apart: bool
    "The host sends its own metrics there: those that it measures too are not to come twice."


@dataclass(slots=True)
class Providers:
    """What has been set up.

    Attributes:
        metrics: where metrics go.
        pipelines: those that are ours to flush and to shut down; the worker's are not.
    """

    metrics: list[MetricsEnd] = field(default_factory=list)
    pipelines: list[Pipeline] = field(default_factory=list)

    def flush(self) -> None:
        """Begin to send the metrics there are, without waiting for their minute."""
        for pipeline in self.pipelines:
            pipeline.flush()

    def shut_down(self, *, limit_s: float) -> None:
        """Send what is left, or spool it, and stop."""
        shut_down(self.pipelines, limit_s=limit_s)


def set_up(settings: Settings, *, process: str) -> Providers:
    """Set the global providers up.

    Args:
        process: identifies this worker process.

    Raises:
        InvalidSettings: Azure Monitor cannot be set up, and nothing else is set.
    """
    resource = _resource(settings, process)
    providers = Providers()
    os.environ.setdefault("OTEL_BSP_SCHEDULE_DELAY", str(SPANS_WAIT_MS))
    os.environ.setdefault("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", str(MOST_SPANS_A_BATCH))
    if settings.python_applicationinsights_enable_telemetry:
        log.info("the worker has set telemetry up; its sampler comes before RECSERVE_TRACE_RATE")
    elif settings.applicationinsights_connection_string:
        _try_azure_monitor(settings, resource)
        _shut_down_here(providers)
    meter_provider = metrics.get_meter_provider()
    if isinstance(meter_provider, MeterProvider):  # OTEL_METRICS_EXPORTER=none leaves a stand-in
        providers.metrics.append(MetricsEnd(_meter(meter_provider), is_host_apart=True))
    if settings.otel_exporter_otlp_endpoint:
        _set_up_otlp(without_user(settings.otel_exporter_otlp_endpoint.rstrip("/")), resource, providers)
    return providers


def _meter(provider: MeterProvider) -> Meter:
    return provider.get_meter(names.SCOPE, __version__)


def _set_up_otlp(endpoint: str, resource: Resource, providers: Providers) -> None:
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    tracer_provider = trace.get_tracer_provider()
    if not isinstance(tracer_provider, TracerProvider):
        tracer_provider = TracerProvider(ALWAYS_ON, resource, shutdown_on_exit=False)
        trace.set_tracer_provider(tracer_provider)
    spans = BatchSpanProcessor(OTLPSpanExporter(f"{endpoint}/v1/traces", timeout=SEND_TIMEOUT_S))
    tracer_provider.add_span_processor(spans)
    providers.pipelines.append(Pipeline(spans.shutdown))

    reader = PeriodicExportingMetricReader(
        OTLPMetricExporter(f"{endpoint}/v1/metrics", timeout=SEND_TIMEOUT_S)
    )
    meter_provider = MeterProvider([reader], resource, shutdown_on_exit=False)
    if not isinstance(metrics.get_meter_provider(), MeterProvider):
        metrics.set_meter_provider(meter_provider)
    providers.metrics.append(MetricsEnd(_meter(meter_provider), is_host_apart=False))
    providers.pipelines.append(Pipeline(meter_provider.shutdown, flush=meter_provider.force_flush))


def _try_azure_monitor(settings: Settings, resource: Resource) -> None:
    try:
        _set_up_azure_monitor(settings, resource)
    except RuntimeError:  # no thread can begin, whatever the setting says
        raise
    except Exception as err:
        message = (
            f"APPLICATIONINSIGHTS_CONNECTION_STRING cannot be used: {err}; "
            "copy it from the overview of the Application Insights resource"
        )
        if not settings.otel_exporter_otlp_endpoint:
            raise InvalidSettings(message) from err
        log.error("%s; telemetry goes to OTEL_EXPORTER_OTLP_ENDPOINT alone", message)


def _shut_down_here(providers: Providers) -> None:
    """Take the end of the global providers over from themselves.

    Their own handlers wait half a minute each for an endpoint that hangs; `Telemetry.close` waits less.
    """
    tracer_provider, meter_provider = trace.get_tracer_provider(), metrics.get_meter_provider()
    if isinstance(tracer_provider, TracerProvider):
        atexit.unregister(tracer_provider.shutdown)
        providers.pipelines.append(Pipeline(tracer_provider.shutdown))
    if isinstance(meter_provider, MeterProvider):
        atexit.unregister(meter_provider.shutdown)
        providers.pipelines.append(Pipeline(meter_provider.shutdown, flush=meter_provider.force_flush))


def _set_up_azure_monitor(settings: Settings, resource: Resource) -> None:
    connection_string = settings.applicationinsights_connection_string
    # The host sends what the app logs; sent from here too, every line would be stored and paid for twice.
    # The distribution overwrites its own argument for this with the variable.
    os.environ["OTEL_LOGS_EXPORTER"] = "none"
    # The host reads this setting too, as its own sampler; what comes here has been sampled already.
    os.environ["OTEL_TRACES_SAMPLER"] = "always_on"
    # What the exporter counts of itself would be two more metrics to pay for.
    os.environ.setdefault("APPLICATIONINSIGHTS_SDKSTATS_DISABLED", "true")
    if _is_loopback(connection_string):
        for of_exporter in ("STATSBEAT_DISABLED_ALL", "CONTROLPLANE_DISABLED"):
            os.environ.setdefault(f"APPLICATIONINSIGHTS_{of_exporter}", "true")

    from azure.monitor.opentelemetry import configure_azure_monitor

    # INFO lines tell every header of every export, in logs that are paid for by the gigabyte.
    for name in ("azure.core.pipeline.policies.http_logging_policy", "azure.monitor.opentelemetry.exporter"):
        logging.getLogger(name).setLevel(logging.WARNING)
    configure_azure_monitor(
        connection_string=connection_string,
        resource=resource,
        enable_live_metrics=False,
        enable_performance_counters=False,
        instrumentation_options={library: {"enabled": False} for library in UNWANTED},
        storage_directory=str(settings.spool_path),
        storage_max_size=int(settings.recserve_spool_mib * 2**20),
        storage_min_retry_interval=RETRY_AFTER_S,
        retry_total=0,  # to disk at once: retries in the exporter would hold up what follows
        timeout=SEND_TIMEOUT_S,
        read_timeout=SEND_TIMEOUT_S,
    )


def _is_loopback(connection_string: str) -> bool:
    """Whether telemetry stays on this machine."""
    for part in connection_string.split(";"):
        key, _, value = part.partition("=")
        if key.strip().lower() == "ingestionendpoint":
            host = urlsplit(value.strip()).hostname or ""
            try:
                return host == "localhost" or ipaddress.ip_address(host).is_loopback
            except ValueError:
                return False
    return False


def _resource(settings: Settings, process: str) -> Resource:
    attributes: dict[str, str | int] = {
        "service.name": settings.website_site_name,
        "service.version": __version__,
        "service.instance.id": settings.website_instance_id or "local",
        "cloud.provider": "azure",
        "cloud.platform": "azure_functions",
        "faas.name": settings.website_site_name,
        "faas.instance": settings.website_instance_id or "local",
        "faas.version": __version__,
        "process.pid": os.getpid(),
        "recserve.process": process,
    }
    subscription = settings.website_owner_name.partition("+")[0]
    if subscription and settings.website_resource_group:
        attributes["cloud.resource_id"] = (
            f"/subscriptions/{subscription}/resourceGroups/{settings.website_resource_group}"
            f"/providers/Microsoft.Web/sites/{settings.website_site_name}"
        )
    if settings.region_name:
        attributes["cloud.region"] = settings.region_name
    return Resource.create({**attributes})
