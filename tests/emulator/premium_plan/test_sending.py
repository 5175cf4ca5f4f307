"""The platform's telemetry on its way, to a server that is not always there."""

import gzip
import json
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from emulator.premium_plan.errors import PlanError
from emulator.premium_plan.sending import Sender, metric_envelope, trace_envelope

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


class Ingestion(ThreadingHTTPServer):
    """Answers with one status after the other, the last one for ever; keeps what it has taken."""

    def __init__(self, *statuses: int) -> None:
        super().__init__(("127.0.0.1", 0), Track)
        self.statuses = list(statuses)
        self.taken: list[dict[str, Any]] = []

    @property
    def connection_string(self) -> str:
        return f"InstrumentationKey=key;IngestionEndpoint=http://127.0.0.1:{self.server_port}/"

    def wait_for(self, n: int) -> list[dict[str, Any]]:
        deadline_s = time.monotonic() + 20
        while len(self.taken) < n:
            assert time.monotonic() < deadline_s, self.taken
            time.sleep(0.02)
        return self.taken


class Track(BaseHTTPRequestHandler):
    server: Ingestion

    def do_POST(self) -> None:
        body = json.loads(gzip.decompress(self.rfile.read(int(self.headers["content-length"]))))
        statuses = self.server.statuses
        status = statuses.pop(0) if len(statuses) > 1 else statuses[0]
        assert self.path == "/v2.1/track"
        if status == 200:
            self.server.taken += body
        self.send_response(status)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def ingestion() -> Iterator[Ingestion]:
    with Ingestion(200) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,)).start()
        yield server
        server.shutdown()


def test_events_and_seconds_have_the_form_of_the_exporters(ingestion: Ingestion) -> None:
    sender = Sender(ingestion.connection_string, role="shop")
    sender.send(
        trace_envelope(
            NOW, "I1 is ready", role_instance="I1", properties={"event": "state", "n": 2, "x": None}
        )
    )
    sender.send(
        metric_envelope(NOW, "plan.allocated_s", 0.5, role_instance="I1", properties={"class": "idle"})
    )
    sender.close()
    trace, metric = ingestion.wait_for(2)

    assert (trace["iKey"], trace["time"]) == ("key", "2026-11-22T12:00:00Z")
    assert (trace["tags"]["ai.cloud.role"], trace["tags"]["ai.cloud.roleInstance"]) == ("shop", "I1")
    assert trace["data"]["baseData"]["properties"] == {"plan.event": "state", "plan.n": "2"}
    assert metric["data"]["baseType"] == "MetricData"
    assert metric["data"]["baseData"]["metrics"] == [{"name": "plan.allocated_s", "value": 0.5, "count": 1}]


def test_nothing_is_lost_or_disordered_while_the_endpoint_fails(ingestion: Ingestion) -> None:
    ingestion.statuses = [503, 429, 200]
    sender = Sender(ingestion.connection_string, role="shop")
    for number in range(5):
        sender.send(trace_envelope(NOW, str(number), role_instance="I1", properties={}))
    taken = ingestion.wait_for(5)
    sender.close()

    assert [each["data"]["baseData"]["message"] for each in taken] == ["0", "1", "2", "3", "4"]


def test_refused_events_are_not_sent_for_ever(ingestion: Ingestion) -> None:
    ingestion.statuses = [400, 200]
    sender = Sender(ingestion.connection_string, role="shop")
    sender.send(trace_envelope(NOW, "refused", role_instance="I1", properties={}))
    while ingestion.statuses != [200]:
        time.sleep(0.02)
    sender.send(trace_envelope(NOW, "taken", role_instance="I1", properties={}))
    sender.close()

    assert [each["data"]["baseData"]["message"] for each in ingestion.wait_for(1)] == ["taken"]


@pytest.mark.parametrize(
    "text",
    [
        "nonsense",
        "InstrumentationKey=;IngestionEndpoint=http://127.0.0.1",
        "InstrumentationKey=key;IngestionEndpoint=ftp://127.0.0.1",
    ],
)
def test_connection_string_that_cannot_be_used_is_refused(text: str) -> None:
    with pytest.raises(PlanError, match="give its connection string"):
        Sender(text, role="shop")
