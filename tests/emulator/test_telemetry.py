"""Spans of requests, as the host exports them beside the app's."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.ingestion import Ingestion, ingesting
from emulator.functions_host.telemetry import RequestSpans

TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
CALLER_ID = "00f067aa0ba902b7"


@pytest.fixture
def ingestion() -> Iterator[Ingestion]:
    with ingesting() as server:
        yield server


def test_apps_spans_lie_below_the_hosts(repository: Path, tmp_path: Path, ingestion: Ingestion) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environ = {
        "APPLICATIONINSIGHTS_CONNECTION_STRING": ingestion.connection_string,
        "RECSERVE_STATE_PATH": str(tmp_path / "state.db"),
        "RECSERVE_SPOOL_DIR": str(tmp_path / "spool"),
        "TMPDIR": str(tmp_path),
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "emulator", "start", "--port", str(port)],
        cwd=repository,
        env=os.environ | environ,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        url = f"http://127.0.0.1:{port}/api/recommend/ana?k=3"
        request = urllib.request.Request(url, headers={"traceparent": f"00-{TRACE_ID}-{CALLER_ID}-01"})
        answer = _when_up(request)
        time.sleep(3)  # both exporters attach in the background
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)

    [served] = [e for e in ingestion.envelopes() if e["data"]["baseType"] == "RequestData"]
    [recommended] = ingestion.spans("request")
    data, properties = served["data"]["baseData"], served["data"]["baseData"]["properties"]
    assert answer == 200
    assert (data["name"], data["responseCode"], data["success"]) == (
        "GET /api/recommend/{user_id}",
        "200",
        True,
    )
    assert properties["faas.name"] == "recserve/recommend_user"
    assert properties["faas.invocation_id"] == recommended["properties"]["faas.invocation_id"]
    assert served["tags"]["ai.operation.parentId"] == CALLER_ID
    assert recommended["tags"]["ai.operation.parentId"] == data["id"]
    assert recommended["tags"]["ai.operation.id"] == served["tags"]["ai.operation.id"] == TRACE_ID
    assert b"/recommend/ana" not in b"".join(body for _, body in ingestion.posted)


def _when_up(request: urllib.request.Request) -> int:
    give_up_s = time.monotonic() + 30
    while True:
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return int(answer.status)
        except OSError:
            if time.monotonic() > give_up_s:
                raise
            time.sleep(0.05)


@pytest.mark.parametrize("mode", ["", "ApplicationInsights"])
def test_host_exports_nothing_unless_told(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APPLICATIONINSIGHTS_CONNECTION_STRING", "InstrumentationKey=x")

    assert RequestSpans.from_environment(mode) is None


def test_host_exports_nothing_without_a_place_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("APPLICATIONINSIGHTS_CONNECTION_STRING", raising=False)

    assert RequestSpans.from_environment("OpenTelemetry") is None


MALFORMED = [
    "00-" + "z" * 32 + f"-{CALLER_ID}-01",
    f"00-{TRACE_ID}-" + "z" * 16 + "-01",
    "00-" + "0" * 32 + f"-{CALLER_ID}-01",
    f"00-{TRACE_ID}-" + "0" * 16 + "-01",
    f"ff-{TRACE_ID}-{CALLER_ID}-01",
    "",
]


def test_request_with_a_malformed_context_begins_a_trace_and_costs_no_other(
    ingestion: Ingestion, caplog: pytest.LogCaptureFixture
) -> None:
    spans = RequestSpans(ingestion.connection_string, app="shop", instance="one")

    for trace_parent in [*MALFORMED, f"00-{TRACE_ID}-{CALLER_ID}-01"]:
        span = spans.begin({"traceparent": trace_parent}, "an invocation")
        spans.end(span, name="popular", method="GET", route="/api/popular", status=200)
    spans.close()

    tags = [e["tags"] for e in ingestion.envelopes() if e["data"]["baseType"] == "RequestData"]
    assert [of["ai.operation.id"] for of in tags].count(TRACE_ID) == 1
    assert len({of["ai.operation.id"] for of in tags}) == len(MALFORMED) + 1
    assert [of.get("ai.operation.parentId") for of in tags].count(CALLER_ID) == 1
    assert not caplog.records


def test_time_that_the_plan_held_a_request_is_measured(ingestion: Ingestion) -> None:
    spans = RequestSpans(ingestion.connection_string, app="shop", instance="one")

    for held in ("1250", "", "soon"):
        span = spans.begin({"x-recserve-held-ms": held}, "an invocation")
        spans.end(span, name="recommend", method="POST", route="/api/recommend", status=200)
    spans.close()

    served = [e["data"]["baseData"] for e in ingestion.envelopes() if e["data"]["baseType"] == "RequestData"]
    assert [data.get("measurements") or {} for data in served] == [{"held_ms": 1250.0}, {}, {}]
