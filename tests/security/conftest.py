"""The app in the stand-in host, with keys enforced, secrets in every setting that holds one, and telemetry kept."""

import base64
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import pytest

from emulator.app_insights.tables import TABLES
from recserve.openapi import OPERATIONS
from tests.emulator.app_insights.emulator_process import EmulatorProcess
from tests.emulator.conftest import HostProcess
from tests.recserve.conftest import write_models

SHIPPED = ("function_app.py", "host.json", "recserve")
NOWHERE = "http://127.0.0.1:9"
"An address that refuses connections."
CANARIES = {
    name: f"canary-{name}-5e0f"
    for name in ("table-key", "host-key", "sas", "user-key", "app-key", "otlp-header")
}


def in_base64(name: str) -> str:
    return base64.b64encode(CANARIES[name].encode()).decode()


SAS = f"sv=2026-02-06&sp=rl&sig={CANARIES['sas']}"
SECRET_SETTINGS = {
    "AzureWebJobsStorage": f"AccountName=shop;AccountKey={in_base64('host-key')};BlobEndpoint={NOWHERE}/shop",
    "RECSERVE_STATE_TABLES_CONNECTION_STRING": (
        f"AccountName=shop;AccountKey={in_base64('table-key')};TableEndpoint={NOWHERE}/shop"
    ),
    "RECSERVE_USER_KEY": CANARIES["user-key"],
    "WEBSITE_AUTH_ENCRYPTION_KEY": CANARIES["app-key"],
}
SECRETS = {
    *CANARIES.values(),
    *(in_base64(name) for name in CANARIES),
    *(in_base64(name).rstrip("=") for name in CANARIES),
}


@dataclass
class LiveApp:
    """The real app behind the stand-in host.

    Attributes:
        keys: by what they open: `master`, `host` and each function of level `function`.
        answers: everything that was answered, headers and body.
    """

    host: HostProcess
    client: httpx.Client
    insights: EmulatorProcess
    keys: dict[str, str]
    answers: list[str]

    def ask(self, method: str, path: str, **request: Any) -> httpx.Response:
        """Ask with the host's key, unless `headers` say otherwise."""
        headers = {"x-functions-key": self.keys["host"]} | request.pop("headers", {})
        return self.ask_as_given(method, path, headers=headers, **request)

    def ask_as_given(self, method: str, path: str, **request: Any) -> httpx.Response:
        answer = self.client.request(method, path, **request)
        self.answers.append(f"{answer.headers}\n{answer.text}")
        return answer

    def records(self) -> str:
        """Every record of telemetry that has arrived, all columns."""
        return "\n".join(f"{table}: {row}" for table in TABLES for row in self.insights.rows(table))


def copy_app(target: Path, repository: Path) -> Path:
    """What ships, with six films for models."""
    for name in SHIPPED:
        source = repository / name
        if source.is_dir():
            shutil.copytree(source, target / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            target.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target / name)
    write_models(target / "models")
    return target


class Refuse(BaseHTTPRequestHandler):
    """A storage account that lets nobody in."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("content-length", 0)))
        self.send_response(403)
        self.send_header("content-length", "0")
        self.end_headers()

    do_POST = do_PUT = do_HEAD = do_GET  # noqa: N815  the server's names

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def storage() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Refuse) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def models_dir(tmp_path: Path) -> Path:
    return write_models(tmp_path / "models")


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory, repository: Path, storage: str) -> Iterator[LiveApp]:
    folder = tmp_path_factory.mktemp("security")
    insights = EmulatorProcess(folder / "telemetry")
    environ = SECRET_SETTINGS | {
        "APPLICATIONINSIGHTS_CONNECTION_STRING": insights.connection_string,
        "AzureWebJobs.reload_models_on_schedule.Disabled": "true",
        "FUNCTIONS_REQUEST_BODY_SIZE_LIMIT": "4194304",
        "OTEL_METRIC_EXPORT_INTERVAL": "1000",
        "RECSERVE_MODELS_CACHE": str(folder / "cache"),
        "RECSERVE_MODELS_URL": f"{storage}/models?{SAS}",
        "RECSERVE_OUTBOX_PATH": str(folder / "outbox.db"),
        "RECSERVE_SPOOL_DIR": str(folder / "spool"),
        "RECSERVE_TRACE_RATE": "1",
        "RECSERVE_TRACES_PER_S": "10000",
        "TMPDIR": str(folder),
    }
    host = HostProcess(copy_app(folder / "app", repository), "--port", "0", "--enable-auth", env=environ)
    try:
        host.wait_until_ready()
        with host.client() as client:
            yield LiveApp(host, client, insights, read_keys(host), [])
    finally:
        host.kill()
        insights.kill()


def read_keys(host: HostProcess) -> dict[str, str]:
    """The keys that the host prints after its function list."""
    assert host.process.stdout is not None
    wanted = {"master", "host"} | {name for name, asked in OPERATIONS.items() if asked.key == "function"}
    keys: dict[str, str] = {}
    while not wanted <= keys.keys():
        line = host.process.stdout.readline()
        assert line, f"the host printed no key of {sorted(wanted - keys.keys())}"
        if found := re.fullmatch(r" {8}(\w+) +([\w-]{50,})\n", line):
            keys[found[1]] = found[2]
    return keys
