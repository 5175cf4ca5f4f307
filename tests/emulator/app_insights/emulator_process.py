"""Emulators, alone or several in a process of their own, what is sent to them, and what they are asked."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Any

import httpx
from azure.core.credentials import AzureKeyCredential
from azure.core.pipeline.policies import SansIOHTTPPolicy
from azure.monitor.query import LogsQueryClient, LogsTable

from emulator.app_insights.tables import INSTRUMENTATION_KEY, WORKSPACE_ID

REPOSITORY = Path(__file__).parents[3]
TIMEOUT_S = 30.0
ALL_TIME = timedelta(days=3)


class Emulator:
    """What is sent to an emulator, and what it is asked.

    Args:
        welcome: what it said when it started; without an address if it ended instead.
    """

    def __init__(self, welcome: str) -> None:
        self.welcome = welcome
        found = re.search(r"IngestionEndpoint=(\S+)/", welcome)
        self.url = found[1] if found else ""
        self.http = httpx.Client(base_url=self.url, timeout=TIMEOUT_S)

    @property
    def connection_string(self) -> str:
        return f"InstrumentationKey={INSTRUMENTATION_KEY};IngestionEndpoint={self.url}/"

    def track(self, *items: Mapping[str, Any]) -> httpx.Response:
        return self.http.post("/v2.1/track", json=list(items))

    def client(self) -> LogsQueryClient:
        """Microsoft's client, as the console has it."""
        policy: SansIOHTTPPolicy[Any, Any] = SansIOHTTPPolicy()
        credential: Any = AzureKeyCredential("none is asked for")
        return LogsQueryClient(credential, endpoint=self.url, authentication_policy=policy, retry_total=0)

    def ask(self, query: str, timespan: Any = ALL_TIME) -> LogsTable:
        """The table that answers a query."""
        with self.client() as client:
            [table] = client.query_workspace(WORKSPACE_ID, query, timespan=timespan).tables  # type: ignore[union-attr]
        return table

    def rows(self, query: str, timespan: Any = ALL_TIME) -> list[list[Any]]:
        return [list(row) for row in self.ask(query, timespan).rows]


class EmulatorProcess(Emulator):
    """One emulator on a data folder and a port of its own.

    Args:
        options: of the command line.
        prefix: what the command is run by, such as a shell that lowers a limit.
    """

    def __init__(self, data: Path, *options: str, prefix: tuple[str, ...] = ()) -> None:
        self.data = data
        self.stderr = data.with_suffix(".stderr")
        command = [sys.executable, "-m", "emulator", "app-insights", "--data", str(data)]
        port = () if "--port" in options else ("--port", "0")
        with self.stderr.open("w") as stderr:
            self.process = subprocess.Popen(
                [*prefix, *command, *port, *options],
                cwd=REPOSITORY,
                env=os.environ,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
            )
        assert self.process.stdout is not None
        super().__init__(_read_welcome(self.process.stdout))

    @property
    def log(self) -> str:
        return self.stderr.read_text()

    def wait_for_parquet(self, n: int = 1) -> list[Path]:
        """Wait until the journal is empty and there are at least so many Parquet files."""
        deadline_s = time.monotonic() + TIMEOUT_S
        while True:
            files = sorted(self.data.rglob("*.parquet"))
            if len(files) >= n and not list(self.data.glob("journal/*")):
                return files
            assert time.monotonic() < deadline_s, f"the journal never became Parquet: {self.log}"
            time.sleep(0.05)

    def kill(self) -> None:
        """End it as a power cut would."""
        self.process.kill()
        self._wait()

    def stop(self) -> int:
        self.process.terminate()
        return self._wait()

    def _wait(self) -> int:
        self.http.close()
        assert self.process.stdout is not None
        status = self.process.wait(TIMEOUT_S)
        self.process.stdout.close()
        return status


class EmulatorHost:
    """Emulators in one process, which starts once and translates each query once for all of them."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.emulator.app_insights.emulator_host"],
            cwd=REPOSITORY,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def start(self, data: Path) -> Emulator:
        """An emulator on a data folder, which runs for as long as its host."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(data, file=self._process.stdin, flush=True)
        return Emulator(_read_welcome(self._process.stdout))

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate()


def _read_welcome(output: IO[str]) -> str:
    lines: list[str] = []
    for line in output:
        lines.append(line)
        if line.startswith("Faults"):
            break
    return "".join(lines)


def envelope(
    base_type: str = "RequestData",
    *,
    time: datetime | str | None = None,
    sample_rate: float | None = None,
    tags: Mapping[str, str] | None = None,
    **base_data: Any,
) -> dict[str, Any]:
    """An envelope as the exporters write it; a request of 12 ms unless told otherwise."""
    if not isinstance(time, str):
        time = (time or datetime.now(UTC)).isoformat().replace("+00:00", "Z")
    request = {
        "id": "0102",
        "name": "GET /",
        "duration": "0.00:00:00.012",
        "responseCode": "200",
        "success": True,
    }
    data = request | base_data if base_type in ("RequestData", "RemoteDependencyData") else base_data
    given = {} if sample_rate is None else {"sampleRate": sample_rate}
    return {
        "ver": 1,
        "name": f"Microsoft.ApplicationInsights.{base_type}",
        "time": time,
        "iKey": INSTRUMENTATION_KEY,
        "tags": dict(tags or {}),
        "data": {"baseType": base_type, "baseData": data},
    } | given
