"""The Application Insights emulator as a process of its own, and the console's way to ask it."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from azure.core.credentials import AccessToken
from azure.core.pipeline.policies import SansIOHTTPPolicy
from azure.monitor.query import LogsQueryClient, LogsQueryStatus

from benchmarks.server import ROOT
from emulator.app_insights.tables import WORKSPACE_ID


class AppInsights:
    """One data folder, served by one process after the other on one port.

    Attributes:
        url: where it listens.
        connection_string: for an app that sends to it.
    """

    def __init__(self, data: Path, *, core: int | None = None) -> None:
        self._data = data
        self._core = core
        self._process, self.url, self.connection_string = self._launch(port=0)

    @property
    def pid(self) -> int:
        """Of the process that runs."""
        return self._process.pid

    def kill(self) -> None:
        """End it as a power cut does."""
        self._process.kill()
        self._process.wait()

    def start(self) -> None:
        """Start it again, where it was."""
        self._process, *_ = self._launch(port=int(self.url.rpartition(":")[2]))

    def freeze(self) -> None:
        """Let it hold its connections and answer nothing."""
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def query(self, text: str, timespan: tuple[datetime, datetime]) -> list[dict[str, Any]]:
        """Rows of one table, through the client that the console uses.

        Raises:
            RuntimeError: the answer is not whole.
        """
        client = LogsQueryClient(
            _NoCredential(), endpoint=f"{self.url}/v1", authentication_policy=SansIOHTTPPolicy()
        )
        with client:
            answer = client.query_workspace(WORKSPACE_ID, text, timespan=timespan)
        if answer.status != LogsQueryStatus.SUCCESS:
            raise RuntimeError(f"the query failed: {answer}")
        table = answer.tables[0]
        return [dict(zip(table.columns, row, strict=True)) for row in table.rows]

    def close(self) -> None:
        if self._process.poll() is None:
            self.thaw()
            self._process.terminate()
            self._process.wait()

    def _launch(self, *, port: int) -> tuple[subprocess.Popen[str], str, str]:
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "emulator",
                "app-insights",
                "--port",
                str(port),
                "--data",
                str(self._data),
            ],
            cwd=ROOT,
            env=os.environ,
            stdout=subprocess.PIPE,
            text=True,
        )
        if self._core is not None:
            os.sched_setaffinity(process.pid, {self._core})
        assert process.stdout is not None
        for line in process.stdout:
            if said := re.search(r"(InstrumentationKey=\S+;IngestionEndpoint=(\S+)/)", line):
                return process, said[2], said[1]
        raise RuntimeError(f"the Application Insights emulator ended with exit status {process.wait()}")


class _NoCredential:
    """The emulator asks for none."""

    def get_token(self, *scopes: str, **options: object) -> AccessToken:
        return AccessToken("none", 0)


@contextmanager
def running_app_insights(data: Path, *, core: int | None = None) -> Iterator[AppInsights]:
    emulator = AppInsights(data, core=core)
    try:
        yield emulator
    finally:
        emulator.close()
