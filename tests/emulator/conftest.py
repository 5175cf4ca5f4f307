"""Function apps written to disk, hosted for real by `python -m emulator start` and spoken to over HTTP."""

import json
import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

REPOSITORY = Path(__file__).parents[2]
TIMEOUT_S = 20.0


class HostProcess:
    """A host in a process of its own."""

    def __init__(self, script_root: Path, *options: str, env: dict[str, str] | None = None) -> None:
        self.script_root = script_root
        self._stderr_path = script_root / "stderr.txt"
        self._stderr = self._stderr_path.open("w")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "emulator", "start", "--script-root", str(script_root), *options],
            cwd=REPOSITORY,
            env=os.environ | (env or {}),
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            text=True,
        )
        self.stdout = ""
        self.base_url = ""

    def wait_until_ready(self) -> "HostProcess":
        """Read the function list up to its first address; it is printed once requests are accepted."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.stdout += line
            if address := re.search(r"http://localhost:\d+", line):
                self.base_url = address.group()
                return self
        raise AssertionError(f"the host ended at once: {self.stdout}\n{self.log}")

    @property
    def log(self) -> str:
        return self._stderr_path.read_text()

    @property
    def port(self) -> int:
        return int(self.base_url.rpartition(":")[2])

    def wait_for_log(self, text: str) -> str:
        """Wait until a text is in the log, and give all of the log."""
        deadline = time.monotonic() + TIMEOUT_S
        while text not in self.log:
            assert time.monotonic() < deadline, f"{text!r} never came:\n{self.log}"
            time.sleep(0.01)
        return self.log

    def client(self, **options: object) -> httpx.Client:
        return httpx.Client(base_url=self.base_url, timeout=TIMEOUT_S, **options)  # type: ignore[arg-type]

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and give the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(number)
            return self.wait()
        return self.process.returncode

    def kill(self) -> None:
        """End a host that is of no further interest."""
        if self.process.poll() is None:
            self.process.kill()
            self.wait()

    def wait(self) -> int:
        assert self.process.stdout is not None
        status = self.process.wait(TIMEOUT_S)
        with self.process.stdout as rest:
            self.stdout += rest.read()
        self._stderr.close()
        return status


def write_app(
    script_root: Path,
    functions: str,
    *,
    host_json: object = None,
    local_settings: object = None,
) -> Path:
    """Write a function app; `functions` follows the imports and `app = func.FunctionApp(...)`."""
    script_root.mkdir(parents=True, exist_ok=True)
    head = (
        "import asyncio, logging, os, threading, time\n"
        "import azure.functions as func\n"
        "app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)\n"
    )
    (script_root / "function_app.py").write_text(head + textwrap.dedent(functions))
    (script_root / "host.json").write_text(json.dumps(host_json or {"version": "2.0"}))
    if local_settings is not None:
        (script_root / "local.settings.json").write_text(json.dumps(local_settings))
    return script_root


def launcher(directory: Path) -> Iterator[Callable[..., HostProcess]]:
    """Write and host apps under a directory; what is not stopped by the test is stopped after it."""
    hosts: list[HostProcess] = []

    def launch(
        functions: str,
        *options: str,
        host_json: object = None,
        local_settings: object = None,
        env: dict[str, str] | None = None,
    ) -> HostProcess:
        root = write_app(
            directory / f"app{len(hosts)}", functions, host_json=host_json, local_settings=local_settings
        )
        port = () if "--port" in options else ("--port", "0")
        hosts.append(HostProcess(root, *port, *options, env=env))
        return hosts[-1].wait_until_ready()

    yield launch
    for host in hosts:
        host.kill()


@pytest.fixture
def start_host(tmp_path: Path) -> Iterator[Callable[..., HostProcess]]:
    """Host apps for one test."""
    yield from launcher(tmp_path)


@pytest.fixture(scope="module")
def start_shared_host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., HostProcess]]:
    """Host apps for all tests of a module."""
    yield from launcher(tmp_path_factory.mktemp("shared"))


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Write an app without hosting it."""
    return lambda functions, **files: write_app(tmp_path / "app", functions, **files)


@pytest.fixture
def fail_to_start(tmp_path: Path) -> Callable[..., str]:
    """Start the host on a directory where it cannot, and give what it said."""

    def start(script_root: Path, *options: str, env: dict[str, str] | None = None) -> str:
        host = HostProcess(script_root, "--port", "0", *options, env=env)
        assert host.wait() == 1
        return host.log

    return start
