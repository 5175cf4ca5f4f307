"""Telemetry as it leaves a real process, received by a real server."""

import gzip
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from recserve.settings import read_settings
from recserve.telemetry.export import QUEUE_SIZE, Telemetry
from recserve.telemetry.timeline import Timeline

SERVE_ONCE = """
import asyncio, logging, azure.functions as func, function_app
logging.basicConfig(level=logging.INFO)
async def ask():
    by_name = {f.get_function_name(): f.get_user_function() for f in function_app.app.get_functions()}
    request = func.HttpRequest(method="POST", url="http://localhost/api/recommend",
        headers={"content-type": "application/json"}, body=b'{"history":[260]}')
    await by_name["popular"](func.HttpRequest(method="GET", url="http://localhost/api/popular", body=b""))
    print((await by_name["recommend"](request)).status_code)
asyncio.run(ask())
function_app.startup.close()
"""


class Collector(ThreadingHTTPServer):
    """Keeps what is posted, as (path, body)."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Receive)
        self.posted: list[tuple[str, bytes]] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Receive(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        self.server.posted.append((self.path, body))
        accepted = len(json.loads(body)) if self.path.endswith("/track") else 0
        answer = json.dumps({"itemsReceived": accepted, "itemsAccepted": accepted, "errors": []}).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def serve_once(repository: Path, tmp_path: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    environ = {"RECSERVE_STATE_PATH": str(tmp_path / "state.db"), "TMPDIR": str(tmp_path)}
    return subprocess.run(
        [sys.executable, "-c", SERVE_ONCE],
        cwd=repository,
        env=os.environ | environ | settings,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )


def envelopes(collector: Collector) -> list[dict[str, Any]]:
    return [item for path, body in collector.posted if path.endswith("/track") for item in json.loads(body)]


def test_request_and_cold_start_arrive_in_application_insights(
    repository: Path, tmp_path: Path, collector: Collector
) -> None:
    connection = (
        f"InstrumentationKey=00000000-0000-0000-0000-000000000001;IngestionEndpoint={collector.address}/"
    )
    served = serve_once(
        repository,
        tmp_path,
        APPLICATIONINSIGHTS_CONNECTION_STRING=connection,
        APPLICATIONINSIGHTS_STATSBEAT_DISABLED_ALL="true",
        WEBSITE_INSTANCE_ID="instance-7",
    )
    spans = {e["data"]["baseData"]["name"]: e for e in envelopes(collector) if "Dependency" in e["name"]}

    assert served.stdout.strip() == "200"
    assert {"cold_start", "imports", "model_read", "sessions"} <= set(spans)
    assert "popular" in spans
    assert {"recommend", "admit", "state", "queue", "infer", "rank", "encode"} <= set(spans)
    properties = spans["recommend"]["data"]["baseData"]["properties"]
    assert (properties["recserve.variant"], properties["recserve.status_code"]) == ("student", "200")
    assert spans["recommend"]["tags"]["ai.cloud.roleInstance"] == "instance-7"
    assert "Request headers" not in served.stderr  # one such line an export would flood a paid log


def test_same_telemetry_goes_to_an_otlp_endpoint(
    repository: Path, tmp_path: Path, collector: Collector
) -> None:
    serve_once(repository, tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=collector.address)

    paths = {path for path, _ in collector.posted}
    assert {"/v1/traces", "/v1/metrics"} <= paths
    traces = b"".join(body for path, body in collector.posted if path == "/v1/traces")
    assert b"recommend" in traces
    assert b"cold_start" in traces


def test_dead_endpoint_does_not_stop_an_answer(repository: Path, tmp_path: Path) -> None:
    served = serve_once(repository, tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:1")

    assert served.stdout.strip() == "200"


def test_without_an_endpoint_nothing_is_kept() -> None:
    telemetry = Telemetry(read_settings({}))

    telemetry.attach()
    telemetry.record(Timeline("recommend"))

    assert telemetry.n_queued == 0


def test_full_queue_drops_and_counts_instead_of_growing() -> None:
    telemetry = Telemetry(read_settings({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}))

    for _ in range(QUEUE_SIZE + 3):
        telemetry.record(Timeline("recommend"))

    assert (telemetry.n_queued, telemetry.n_dropped) == (QUEUE_SIZE, 3)


def test_broken_connection_string_is_logged_and_serving_goes_on(repository: Path, tmp_path: Path) -> None:
    served = serve_once(repository, tmp_path, APPLICATIONINSIGHTS_CONNECTION_STRING="nonsense")

    assert served.stdout.strip() == "200"
    assert "telemetry could not be attached" in served.stderr
