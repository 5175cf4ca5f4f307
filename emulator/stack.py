"""What `make run` starts: the function app and the console, side by side, and one request to try."""

import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from emulator.functions_host.settings import load_local_settings

READY_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 8.0
DEMO_USERS = Path(__file__).with_name("demo_users.csv")
EXAMPLE = {"history": [260, 1196, 1210], "k": 5}


class StackError(Exception):
    """A part does not start or has stopped; the message is for the person who ran `make run`."""


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """One process of the stack."""

    name: str
    argv: list[str]
    ready_url: str
    "Answers 200 once the part can be used."
    is_silent: bool = False
    "Its standard output repeats what we say; errors are shown in any case."


def run_stack(root: Path, *, port: int, console_port: int) -> None:
    """Start all parts, show how to use them, and stop them on SIGINT or SIGTERM.

    Args:
        root: the repository.
        port: of the function app, on the loopback address.
        console_port: of the console.

    Raises:
        StackError: a port is taken, or a part fails to start or stops by itself.
        HostStartError: local.settings.json cannot be used.
    """
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):  # a shell starts background jobs deaf to SIGINT
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.default_int_handler)
    host = f"http://127.0.0.1:{port}"
    console = f"http://127.0.0.1:{console_port}"
    streamlit = [
        *("-m", "streamlit", "run", str(root / "console/app.py"), "--server.headless=true"),
        *(f"--server.port={console_port}", "--server.address=127.0.0.1"),
    ]
    parts = [
        Part("functions", ["-m", "emulator", "start", "--port", str(port)], f"{host}/api/health/ready"),
        Part("console", streamlit, f"{console}/_stcore/health", is_silent=True),
    ]
    for name, taken in (("function app", port), ("console", console_port)):
        _require_free(name, taken)
    _load_demo_users(root)
    try:
        with ExitStack() as running:
            environ = os.environ | {"RECSERVE_API_URL": f"{host}/api"}
            processes = {part: running.enter_context(_process(part, root, environ)) for part in parts}
            for part, process in processes.items():
                _wait_until_ready(part, process)
            print(_welcome(host, console), flush=True)
            _wait_for_any(processes)
    except KeyboardInterrupt:
        print("\nstopped", flush=True)


def _require_free(name: str, port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as err:
            raise StackError(
                f"port {port}, for the {name}, is in use; stop what runs there, or choose others with "
                "`python -m emulator up --port ... --console-port ...`"
            ) from err


def _load_demo_users(root: Path) -> None:
    """Put the demo's users where the function app will look for them."""
    settings = load_local_settings(root)
    values = {name: value for name, value in settings.values.items() if value} if settings else {}
    loaded = subprocess.run(
        [sys.executable, "-m", "recserve.state", "load", "--until-now", str(DEMO_USERS)],
        cwd=root,
        env=values | os.environ,
        capture_output=True,
        text=True,
        check=False,
    )
    if loaded.returncode:
        raise StackError(
            f"the demo's users cannot be stored: {loaded.stderr.strip().removeprefix('error: ')}"
        )


@contextmanager
def _process(part: Part, root: Path, environ: Mapping[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """The part's process, in a session of its own so that Ctrl-C reaches it through us alone."""
    process = subprocess.Popen(
        [sys.executable, *part.argv],
        cwd=root,
        env=environ,
        stdout=subprocess.DEVNULL if part.is_silent else None,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_until_ready(part: Part, process: subprocess.Popen[bytes]) -> None:
    deadline_s = time.monotonic() + READY_TIMEOUT_S
    said = "nothing"
    while time.monotonic() < deadline_s:
        if process.poll() is not None:
            raise StackError(f"{part.name} stopped with exit status {process.returncode}; its log is above")
        try:
            answer = httpx.get(part.ready_url, timeout=2)
        except httpx.TransportError:
            time.sleep(0.05)
            continue
        if answer.status_code == 200:
            return
        problem = answer.json()
        if problem["title"] == "Start-up failed":
            raise StackError(f"{part.name}: {problem['detail']}")
        said = problem["detail"]
        time.sleep(0.05)
    raise StackError(f"{part.name} is not ready after {READY_TIMEOUT_S:.0f} s; {part.ready_url} says {said}")


def _wait_for_any(processes: Mapping[Part, subprocess.Popen[bytes]]) -> None:
    while True:
        for part, process in processes.items():
            if process.poll() is not None:
                raise StackError(
                    f"{part.name} stopped with exit status {process.returncode}; its log is above"
                )
        time.sleep(0.5)


def _welcome(host: str, console: str) -> str:
    body = json.dumps(EXAMPLE, separators=(",", ":"))
    url = f"{host}/api/recommend"
    answer = httpx.post(url, json=EXAMPLE, timeout=10).json()
    curl = f"curl -s -X POST {url} -H 'content-type: application/json' -d {shlex.quote(body)}"
    return f"""
Function app  {host}
Console       {console}

Try it:

  {curl}

{json.dumps(answer, indent=2, ensure_ascii=False)}

Ctrl-C stops everything."""
