"""A stand-in for the API that says what a test wants, and the real service in a process of its own."""

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from console.settings import settings
from tests.emulator.app_insights.emulator_process import Emulator, EmulatorHost

REPOSITORY = Path(__file__).parents[2]
OpenConsole = Callable[..., AppTest]
START_TIMEOUT_S = 30.0
DEMO_USER = "user_id,item_id,timestamp\nana,260,1700000000\nana,1196,1700000060\n"

FILMS = [
    {"id": 356, "title": "Forrest Gump (1994)", "year": 1994, "genres": ["Comedy"], "n_interactions": 337},
    {"id": 296, "title": "Pulp Fiction (1994)", "year": 1994, "genres": ["Crime"], "n_interactions": 320},
    {"id": 318, "title": "Heat & Dust <b>", "year": None, "genres": [], "n_interactions": 307},
    {"id": 593, "title": "Heat (1995)", "year": 1995, "genres": ["Action"], "n_interactions": 300},
    {"id": 594, "title": "Heat (1995)", "year": 1995, "genres": ["Crime"], "n_interactions": 200},
]

ANSWER = {
    "recommendation_id": "756fae5e602b4cdf835725c683054a4a",
    "items": [
        {"id": 593, "title": "Heat (1995)", "score": 8.0},
        {"id": 318, "title": "Heat & Dust <b>", "score": 2.0},
    ],
    "model": {"variant": "blend", "version": "2026-11-22-73687669"},
    "basis": "history",
    "n_unknown_items": 0,
    "cold_start": False,
}

MODELS = {
    "version": "v1",
    "dataset": "films",
    "n_items": 5,
    "serving": ["blend"],
    "ladder": [
        {
            "name": "blend",
            "description": "a network",
            "bytes": 2_000_000,
            "parameters": 500_000,
            "latency_ms": 0.2,
            "metrics": {"ndcg@10": 0.09, "ndcg@10_low": 0.07, "ndcg@10_high": 0.11, "hr@10": 0.16},
        },
        {
            "name": "counts",
            "description": "a table",
            "bytes": 43_000,
            "parameters": 10_000,
            "latency_ms": 0.06,
            "metrics": {"ndcg@10": 0.07, "hr@10": 0.12},
        },
    ],
}

SERVER_TIMING = "startup;dur=0.008, admit;dur=0.105, state;dur=2.795, infer;dur=0.345"


@dataclass(frozen=True, slots=True)
class Reply:
    """What the stand-in says."""

    body: object = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    delay_s: float = 0.0


@dataclass(slots=True)
class StandIn:
    """An HTTP server that answers by path, and keeps what it was asked."""

    url: str
    replies: dict[str, Reply]
    "By path below the route prefix, without the query."
    asked: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)
    "Method, path with query, headers (names in lower case) and body of each request."


@pytest.fixture
def stand_in() -> Iterator[StandIn]:
    """A stand-in that is ready, with a small catalogue and one answer to every question."""
    replies = {
        "health/ready": Reply({"status": "ready"}),
        "items": Reply({"total": len(FILMS), "items": FILMS}),
        "recommend": Reply(ANSWER, headers={"server-timing": SERVER_TIMING}),
    }

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            stand_in.asked.append((self.command, self.path, headers, body))
            path = self.path.partition("?")[0].removeprefix("/api/")
            reply = replies.get(path, Reply("no such page", 404))
            time.sleep(reply.delay_s)
            content = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
            self.send_response(reply.status)
            for name, value in {**reply.headers, "content-length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_GET  # noqa: N815

        def log_message(self, *_: object) -> None:
            """Tests print nothing of their own."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            """A client that went away before its answer is what some tests are about."""

    with Server(("127.0.0.1", 0), Handler) as server:
        stand_in = StandIn(f"http://127.0.0.1:{server.server_port}/api", replies)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield stand_in
        server.shutdown()


@pytest.fixture
def nowhere() -> str:
    """An address where nothing answers."""
    return f"http://127.0.0.1:{free_port()}/api"


@pytest.fixture(autouse=True)
def _start_afresh(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LOGS_URL", "WORKSPACES", "CONSOLE_ROLES"):
        monkeypatch.delenv(f"RECSERVE_{name}", raising=False)
    st.cache_data.clear()
    st.cache_resource.clear()
    settings.cache_clear()


@pytest.fixture(autouse=True)
def same_main() -> Iterator[None]:
    """Streamlit leaves a page behind as `__main__`, which a process that is spawned later would run."""
    main = sys.modules["__main__"]
    yield
    sys.modules["__main__"] = main


@pytest.fixture(scope="session")
def emulators() -> Iterator[EmulatorHost]:
    """Where emulators are started; all of them end with the run."""
    host = EmulatorHost()
    yield host
    host.kill()


@pytest.fixture(scope="module")
def telemetry(emulators: EmulatorHost, tmp_path_factory: pytest.TempPathFactory) -> Emulator:
    """An Application Insights emulator of the test module's own; `track` gives it records."""
    return emulators.start(tmp_path_factory.mktemp("telemetry") / "data")


@pytest.fixture
def open_console(monkeypatch: pytest.MonkeyPatch) -> OpenConsole:
    """Open one view in the console's shell; the app after its first run, which has not raised.

    Its arguments: the view's module in `console.views`; the address of telemetry, if not the environment's; query
    parameters of the link.
    """

    def open_at(view: str, logs_url: str | None = None, link: Mapping[str, str] = {}) -> AppTest:
        if logs_url is not None:
            monkeypatch.setenv("RECSERVE_LOGS_URL", logs_url)
        monkeypatch.setattr("console.access._peer", lambda: None)  # AppTest has no connection to tell it from
        script = f"from console.shell import View, run\nrun([View({view!r}, 'A view', has_bar={view != 'try_it'})])"
        app = AppTest.from_string(script, default_timeout=20)
        for name, value in link.items():
            app.query_params[name] = value
        app.run()
        assert not app.exception, app.exception[0].stack_trace
        return app

    return open_at


@pytest.fixture(scope="session")
def service_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The real service, hosted by the emulator, that knows the user `ana`."""
    if not (REPOSITORY / "models/manifest.json").exists():
        pytest.skip("models/manifest.json does not exist; run `make train`")
    directory = tmp_path_factory.mktemp("service")
    users = directory / "users.csv"
    users.write_text(DEMO_USER)
    environ = os.environ | {"RECSERVE_STATE_PATH": str(directory / "state.db")}
    load = [sys.executable, "-m", "recserve.state", "load", "--until-now", str(users)]
    subprocess.run(load, cwd=REPOSITORY, env=environ, check=True, capture_output=True)
    port = free_port()
    url = f"http://127.0.0.1:{port}/api"
    host = [sys.executable, "-m", "emulator", "start", "--port", str(port)]
    with running(host, environ, directory / "log.txt", ready_url=f"{url}/health/ready"):
        yield url


@contextmanager
def running(argv: list[str], environ: Mapping[str, str], log: Path, *, ready_url: str) -> Iterator[None]:
    """A process, from when it answers 200 at `ready_url` to the end of the block."""
    with log.open("w") as output:
        process = subprocess.Popen(argv, cwd=REPOSITORY, env=environ, stdout=output, stderr=subprocess.STDOUT)
        try:
            deadline_s = time.monotonic() + START_TIMEOUT_S
            while not _answers(ready_url):
                assert process.poll() is None, f"{argv} ended at once:\n{log.read_text()}"
                assert time.monotonic() < deadline_s, f"{argv} did not get ready:\n{log.read_text()}"
                time.sleep(0.05)
            yield
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2).status_code == 200
    except httpx.TransportError:
        return False


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
