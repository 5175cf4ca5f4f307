"""A server that takes telemetry in, as the ingestion endpoint of Application Insights and OTLP collectors do."""

import gzip
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

KEY = "00000000-0000-0000-0000-000000000001"


class Ingestion(ThreadingHTTPServer):
    """Keeps what is posted, as (path, body).

    Attributes:
        status: answered to all; what is not answered with 200 is not kept.
        delay_s: before each answer.
    """

    daemon_threads = True

    def __init__(self, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Receive)
        self.posted: list[tuple[str, bytes]] = []
        self.status = 200
        self.delay_s = 0.0

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    @property
    def connection_string(self) -> str:
        return f"InstrumentationKey={KEY};IngestionEndpoint={self.address}/"

    def envelopes(self) -> list[dict[str, Any]]:
        return [item for path, body in self.posted if path.endswith("/track") for item in json.loads(body)]

    def spans(self, kind: str = "") -> list[dict[str, Any]]:
        """`baseData` of dependencies, with the envelope's tags and sample rate; of one `recserve.kind`, or all."""
        found = [
            e["data"]["baseData"] | {"tags": e["tags"], "sampleRate": e.get("sampleRate")}
            for e in self.envelopes()
            if e["data"]["baseType"] == "RemoteDependencyData"
        ]
        return [span for span in found if not kind or span["properties"].get("recserve.kind") == kind]

    def metrics(self) -> dict[str, list[dict[str, Any]]]:
        """Data points, each with its properties, by name."""
        found: dict[str, list[dict[str, Any]]] = {}
        for e in self.envelopes():
            if e["data"]["baseType"] == "MetricData":
                data = e["data"]["baseData"]
                for point in data["metrics"]:
                    found.setdefault(point["name"], []).append(
                        point | {"properties": data.get("properties", {})}
                    )
        return found


class _Receive(BaseHTTPRequestHandler):
    server: Ingestion

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        time.sleep(self.server.delay_s)
        if self.server.status == 200:
            self.server.posted.append((self.path, body))
        accepted = len(json.loads(body)) if self.path.endswith("/track") else 0
        answer = json.dumps({"itemsReceived": accepted, "itemsAccepted": accepted, "errors": []}).encode()
        try:
            self.send_response(self.server.status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)
        except OSError:
            pass  # the sender had no patience

    def log_message(self, *arguments: object) -> None:
        pass


@contextmanager
def ingesting(port: int = 0) -> Iterator[Ingestion]:
    with Ingestion(port) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()
