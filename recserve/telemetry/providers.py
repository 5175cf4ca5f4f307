"""OpenTelemetry's providers, set up once for Azure Monitor, OTLP or both.

Where `PYTHON_APPLICATIONINSIGHTS_ENABLE_TELEMETRY` is true, the worker has set Azure Monitor up before the
app was imported, and a second time would send everything twice: then its providers are used as they are.
"""

import atexit
import ipaddress
import logging
import os
from urllib.parse import urlsplit

from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_ON

from recserve import __version__
from recserve.settings import Settings

SEND_TIMEOUT_S = 4
"An endpoint that does not answer for this long is dead, and what it was sent goes to disk."
MOST_SPANS_A_BATCH = 1024
"""An endpoint that hangs takes `SEND_TIMEOUT_S` for each batch, and spans queue up meanwhile: with this many,
256 spans a second reach the disk and none is dropped; with OpenTelemetry's 512, a quarter of 200 was."""
RETRY_AFTER_S = 30
"How long spooled telemetry waits before it is sent again, with the next batch that arrives."

UNWANTED = ("azure_sdk", "django", "fastapi", "flask", "httpx", "psycopg2", "requests", "urllib", "urllib3")
"Instrumentations: what Recserve does is in its own spans, and its exporters' requests are nobody's business."

log = logging.getLogger(__name__)


def set_up(settings: Settings, *, process: str) -> bool:
    """Set the global providers up.

    Args:
        process: identifies this worker process.

    Returns:
        Whether they are ours; else the worker's, to be left running at the end.
    """
    if settings.python_applicationinsights_enable_telemetry:
        log.info("the worker has set telemetry up; its sampler comes before RECSERVE_TRACE_RATE")
        return False
    resource = _resource(settings, process)
    spans: list[BatchSpanProcessor] = []
    readers: list[PeriodicExportingMetricReader] = []
    if endpoint := settings.otel_exporter_otlp_endpoint.rstrip("/"):
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

        spans.append(BatchSpanProcessor(OTLPSpanExporter(f"{endpoint}/v1/traces")))
        readers.append(PeriodicExportingMetricReader(OTLPMetricExporter(f"{endpoint}/v1/metrics")))
    if settings.applicationinsights_connection_string:
        _set_up_azure_monitor(settings, resource, spans, readers)
    else:
        provider = TracerProvider(sampler=ALWAYS_ON, resource=resource)
        for processor in spans:
            provider.add_span_processor(processor)
        trace.set_tracer_provider(provider)
        metrics.set_meter_provider(MeterProvider(readers, resource=resource))
    for ours in (trace.get_tracer_provider(), metrics.get_meter_provider()):
        # Their own handlers wait half a minute each for an endpoint that hangs; `Telemetry.close` waits less.
        atexit.unregister(ours.shutdown)  # type: ignore[union-attr]
    return True


def shut_down() -> None:
    """Send what is left, or spool it, and stop."""
    for provider in (trace.get_tracer_provider(), metrics.get_meter_provider()):
        provider.shutdown()  # type: ignore[union-attr]


def _set_up_azure_monitor(
    settings: Settings,
    resource: Resource,
    spans: list[BatchSpanProcessor],
    readers: list[PeriodicExportingMetricReader],
) -> None:
    connection_string = settings.applicationinsights_connection_string
    # The host sends what the app logs; sent from here too, every line would be stored and paid for twice.
    # The distribution overwrites its own argument for this with the variable.
    os.environ["OTEL_LOGS_EXPORTER"] = "none"
    # The host reads this setting too, as its own sampler; what comes here has been sampled already.
    os.environ["OTEL_TRACES_SAMPLER"] = "always_on"
    os.environ.setdefault("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", str(MOST_SPANS_A_BATCH))
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
        span_processors=spans,
        metric_readers=readers,
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
