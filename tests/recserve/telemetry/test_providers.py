"""Both ends, and what they do to each other, in a real process before a real server."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from benchmarks.ingestion import Ingestion, ingesting
from recserve.telemetry import names
from tests.recserve.telemetry.serving import POPULAR, RECOMMEND, serve, statuses

WORKER = """
from azure.monitor.opentelemetry import configure_azure_monitor
os.environ["OTEL_LOGS_EXPORTER"] = "none"
os.environ["APPLICATIONINSIGHTS_STATSBEAT_DISABLED_ALL"] = "true"
configure_azure_monitor(enable_live_metrics=False, sampling_ratio=1.0)
"""
"What a worker does with PYTHON_APPLICATIONINSIGHTS_ENABLE_TELEMETRY."


@pytest.fixture
def collector() -> Iterator[Ingestion]:
    """The OTLP end."""
    with ingesting() as server:
        yield server


def otlp_metrics(collector: Ingestion) -> set[str]:
    bodies = [body for path, body in collector.posted if path == "/v1/metrics"]
    of_resources = [
        of for body in bodies for of in ExportMetricsServiceRequest.FromString(body).resource_metrics
    ]
    return {metric.name for of in of_resources for scope in of.scope_metrics for metric in scope.metrics}


def otlp_spans(collector: Ingestion) -> bytes:
    return b"".join(body for path, body in collector.posted if path == "/v1/traces")


def test_same_telemetry_goes_to_an_otlp_endpoint(
    repository: Path, tmp_path: Path, ingestion: Ingestion
) -> None:
    serve(repository, tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=ingestion.address)

    paths = {path for path, _ in ingestion.posted}
    assert {"/v1/traces", "/v1/metrics"} <= paths
    traces = b"".join(body for path, body in ingestion.posted if path == "/v1/traces")
    assert b"recommend" in traces
    assert b"cold_start" in traces


def test_both_ends_get_it_where_both_are_set(
    repository: Path, tmp_path: Path, ingestion: Ingestion, collector: Ingestion
) -> None:
    serve(
        repository,
        tmp_path,
        APPLICATIONINSIGHTS_CONNECTION_STRING=ingestion.connection_string,
        OTEL_EXPORTER_OTLP_ENDPOINT=collector.address,
    )

    assert b"cold_start" in otlp_spans(collector)
    assert ingestion.spans("cold_start")
    # The host measures this one too, and sends it to Application Insights: twice, it would be summed there.
    assert otlp_metrics(collector) - ingestion.metrics().keys() == {names.REQUEST_DURATION}
    assert ingestion.metrics().keys() - otlp_metrics(collector) == {"_OTELRESOURCE_"}


def test_end_that_hangs_costs_the_other_nothing(
    repository: Path, tmp_path: Path, ingestion: Ingestion, collector: Ingestion
) -> None:
    collector.delay_s = 60

    serve(
        repository,
        tmp_path,
        *[RECOMMEND] * 5,
        APPLICATIONINSIGHTS_CONNECTION_STRING=ingestion.connection_string,
        OTEL_EXPORTER_OTLP_ENDPOINT=collector.address,
    )

    assert len(ingestion.spans("request")) == 5
    assert sum(point["count"] for point in ingestion.metrics()["faas.invoke_duration"]) == 5


@pytest.mark.parametrize(
    ("setting", "has_spans", "has_metrics"),
    [("OTEL_METRICS_EXPORTER", True, False), ("OTEL_TRACES_EXPORTER", False, True)],
)
def test_signal_that_is_switched_off_leaves_the_other_on(
    setting: str, has_spans: bool, has_metrics: bool, repository: Path, tmp_path: Path, ingestion: Ingestion
) -> None:
    served = serve(
        repository,
        tmp_path,
        APPLICATIONINSIGHTS_CONNECTION_STRING=ingestion.connection_string,
        **{setting: "none"},
    )

    assert statuses(served) == [200, 200]
    assert bool(ingestion.spans()) == has_spans
    assert ("faas.invocations" in ingestion.metrics()) == has_metrics
    assert "Traceback" not in served.stderr


def test_logs_are_left_to_the_host(repository: Path, tmp_path: Path, ingestion: Ingestion) -> None:
    served = serve(repository, tmp_path, APPLICATIONINSIGHTS_CONNECTION_STRING=ingestion.connection_string)

    kinds = {envelope["data"]["baseType"] for envelope in ingestion.envelopes()}
    assert kinds == {"RemoteDependencyData", "MetricData"}
    assert "Request headers" not in served.stderr  # one such line an export would flood a paid log


def test_worker_that_has_set_telemetry_up_is_left_alone(
    repository: Path, tmp_path: Path, ingestion: Ingestion
) -> None:
    served = serve(
        repository,
        tmp_path,
        APPLICATIONINSIGHTS_CONNECTION_STRING=ingestion.connection_string,
        PYTHON_APPLICATIONINSIGHTS_ENABLE_TELEMETRY="true",
    )

    assert statuses(served) == [200, 200]
    assert ingestion.posted == []  # the test's worker has set nothing up


def test_otlp_joins_the_worker_that_has_set_telemetry_up(
    repository: Path, tmp_path: Path, ingestion: Ingestion, collector: Ingestion
) -> None:
    serve(
        repository,
        tmp_path,
        BEFORE=WORKER,
        APPLICATIONINSIGHTS_CONNECTION_STRING=ingestion.connection_string,
        PYTHON_APPLICATIONINSIGHTS_ENABLE_TELEMETRY="true",
        OTEL_EXPORTER_OTLP_ENDPOINT=collector.address,
    )

    invocations = [point["value"] for point in ingestion.metrics()["faas.invocations"]]
    assert len(ingestion.spans("cold_start")) == 1
    assert sum(invocations) == 2
    assert names.REQUEST_DURATION not in ingestion.metrics()
    assert b"cold_start" in otlp_spans(collector)
    assert {"faas.invocations", names.REQUEST_DURATION} <= otlp_metrics(collector)


def test_otlp_has_telemetry_where_the_worker_has_set_none_up(
    repository: Path, tmp_path: Path, collector: Ingestion
) -> None:
    serve(
        repository,
        tmp_path,
        PYTHON_APPLICATIONINSIGHTS_ENABLE_TELEMETRY="true",
        OTEL_EXPORTER_OTLP_ENDPOINT=collector.address,
    )

    assert b"cold_start" in otlp_spans(collector)
    assert "faas.invocations" in otlp_metrics(collector)


def test_broken_connection_string_is_one_line_and_serving_goes_on(repository: Path, tmp_path: Path) -> None:
    served = serve(repository, tmp_path, APPLICATIONINSIGHTS_CONNECTION_STRING="nonsense")

    [line] = [line for line in served.stderr.splitlines() if "telemetry could not be attached" in line]
    assert statuses(served) == [200, 200]
    assert "APPLICATIONINSIGHTS_CONNECTION_STRING cannot be used" in line
    assert "Traceback" not in served.stderr


def test_broken_connection_string_leaves_the_other_end_its_telemetry(
    repository: Path, tmp_path: Path, collector: Ingestion
) -> None:
    served = serve(
        repository,
        tmp_path,
        POPULAR,
        APPLICATIONINSIGHTS_CONNECTION_STRING="nonsense",
        OTEL_EXPORTER_OTLP_ENDPOINT=collector.address,
    )

    assert "APPLICATIONINSIGHTS_CONNECTION_STRING cannot be used" in served.stderr
    assert "Traceback" not in served.stderr
    assert b"cold_start" in otlp_spans(collector)
    assert "faas.invocations" in otlp_metrics(collector)
