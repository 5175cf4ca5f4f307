"""The real Azure Monitor exporter against the emulator."""

import json
import subprocess
import sys
from collections.abc import Callable

import pytest

from tests.emulator.app_insights.emulator_process import REPOSITORY, EmulatorProcess

PROGRAM = """
import json, logging, sys
from azure.monitor.opentelemetry.exporter import (
    AzureMonitorLogExporter, AzureMonitorMetricExporter, AzureMonitorTraceExporter,
)
from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.trace import SpanKind

connection, spool = sys.argv[1:]
options = {"connection_string": connection, "storage_directory": spool}
resource = Resource.create({"service.name": "app", "service.instance.id": "instance-7", "service.version": "1.2"})
traces = TracerProvider(resource=resource)
traces.add_span_processor(SimpleSpanProcessor(AzureMonitorTraceExporter(**options)))
tracer = traces.get_tracer("test")
with tracer.start_as_current_span("GET /api", kind=SpanKind.SERVER) as request:
    attributes = {
        "_MS.sampleRate": 5.0,
        "recserve.variant": "blend",
        "faas.coldstart": True,
        "microsoft.custom_measurements": json.dumps({"duration_ms": 11.75, "batch_size": 8}),
    }
    with tracer.start_as_current_span("recommend", attributes=attributes) as span:
        span.record_exception(ValueError("no such item"))
meters = MeterProvider([PeriodicExportingMetricReader(AzureMonitorMetricExporter(**options))], resource=resource)
histogram = meters.get_meter("test").create_histogram("recserve.loop.lag")
for value in (1.0, 2.0, 6.0):
    histogram.record(value, {"kind": "k"})
meters.shutdown()
logs = LoggerProvider(resource=resource)
logs.add_log_record_processor(SimpleLogRecordProcessor(AzureMonitorLogExporter(**options)))
logger = logging.getLogger("test")
logger.addHandler(LoggingHandler(logger_provider=logs))
logger.warning("something %s", "odd")
print(json.dumps({"trace": f"{span.context.trace_id:032x}", "span": f"{span.context.span_id:016x}",
                  "parent": f"{request.context.span_id:016x}"}))
"""


RETRYING = """
import json, sys, time
from azure.monitor.opentelemetry.exporter import AzureMonitorTraceExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind

connection, spool = sys.argv[1:]
traces = TracerProvider()
exporter = AzureMonitorTraceExporter(
    connection_string=connection, storage_directory=spool, storage_min_retry_interval=1
)
traces.add_span_processor(BatchSpanProcessor(exporter))
for batch in ("first", "second"):
    for n in range(4):
        traces.get_tracer("test").start_span(f"{batch}-{n}", kind=SpanKind.SERVER).end()
    traces.force_flush()
    time.sleep(1.1)  # the exporter's own interval between tries
traces.shutdown()
print(json.dumps({}))
"""


def export(emulator: EmulatorProcess, program: str = PROGRAM) -> dict[str, str]:
    spool = emulator.data.with_suffix(".spool")
    ran = subprocess.run(
        [sys.executable, "-c", program, emulator.connection_string, str(spool)],
        cwd=REPOSITORY,
        env={
            "PATH": "/usr/bin:/bin",
            "APPLICATIONINSIGHTS_STATSBEAT_DISABLED_ALL": "true",
            "APPLICATIONINSIGHTS_CONTROLPLANE_DISABLED": "true",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    ids: dict[str, str] = json.loads(ran.stdout.splitlines()[-1])
    return ids


@pytest.fixture
def exported(start: Callable[..., EmulatorProcess]) -> tuple[EmulatorProcess, dict[str, str]]:
    emulator = start()
    return emulator, export(emulator)


def test_what_the_exporter_sends_arrives_in_its_columns(
    exported: tuple[EmulatorProcess, dict[str, str]],
) -> None:
    emulator, ids = exported

    [span] = emulator.ask("AppDependencies").rows
    assert (span["Name"], span["DependencyType"], span["Success"]) == ("recommend", "InProc", True)
    assert (span["OperationId"], span["Id"], span["ParentId"]) == (ids["trace"], ids["span"], ids["parent"])
    assert span["ItemCount"] == 20
    assert json.loads(span["Properties"])["recserve.variant"] == "blend"
    assert json.loads(span["Properties"])["faas.coldstart"] == "True"
    assert json.loads(span["Measurements"]) == {"duration_ms": 11.75, "batch_size": 8.0}
    assert (span["AppRoleName"], span["AppRoleInstance"], span["AppVersion"]) == ("app", "instance-7", "1.2")
    assert emulator.rows("AppRequests | project Id, OperationId, ItemCount") == [
        [ids["parent"], ids["trace"], 1]
    ]
    metrics = "AppMetrics | where Name == 'recserve.loop.lag' | project Sum, Min, Max, ItemCount"
    assert emulator.rows(metrics) == [[9.0, 1.0, 6.0, 3]]
    assert emulator.rows("AppTraces | where SeverityLevel == 2 | project Message") == [["something odd"]]
    assert emulator.rows("AppExceptions | project ExceptionType, OuterMessage") == [
        ["ValueError", "no such item"]
    ]


@pytest.mark.parametrize("status", [429, 500])
def test_exporter_sends_exactly_those_items_again_that_were_refused(
    start: Callable[..., EmulatorProcess], status: int
) -> None:
    emulator = start()
    emulator.http.put("/admin/faults", json={"status": status, "every": 2, "n": 1})

    export(emulator, RETRYING)

    names = [name for [name] in emulator.rows("AppRequests | project Name | order by Name asc")]
    assert names == [f"{batch}-{n}" for batch in ("first", "second") for n in range(4)]
