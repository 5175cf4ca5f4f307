"""What `make run` starts: an emulated plan with the function app, telemetry, the console, and visitors.

app insights    takes and answers telemetry
plan            instances of the function app behind one address
console         shows it
visitors        a gentle load of real arrivals, where there are some; left out with DEMO=0
"""

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

from emulator.app_insights.tables import connection_string
from emulator.functions_host.settings import load_local_settings

READY_TIMEOUT_S = 60.0
VISITORS_FOR_S = 24 * 3600
REAL_ARRIVALS = Path("../shared/traces/azure-llm-conv.csv")
"Relative to the repository; elsewhere the day's curve of a Poisson process stands in."
STOP_TIMEOUT_S = 8.0
DEMO_USERS = Path(__file__).with_name("demo_users.csv")
STATE_PATH = "RECSERVE_STATE_PATH"
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
    may_end: bool = False
    "The others go on without it."


def run_stack(
    root: Path, *, port: int, console_port: int, app_insights_port: int, with_visitors: bool
) -> None:
    """Start all parts, show how to use them, and stop them on SIGINT or SIGTERM.

    Args:
        root: the repository.
        port: of the function app's plan, on the loopback address.
        console_port: of the console.
        app_insights_port: of the Application Insights emulator.
        with_visitors: send a gentle load, so that there is something to see.

    Raises:
        StackError: a port is taken, or a part fails to start or stops by itself.
        HostStartError: local.settings.json cannot be used.
    """
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):  # a shell starts background jobs deaf to SIGINT
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.default_int_handler)
    host = f"http://127.0.0.1:{port}"
    console = f"http://127.0.0.1:{console_port}"
    for name, taken in (
        ("function app", port),
        ("console", console_port),
        ("Application Insights emulator", app_insights_port),
    ):
        _require_free(name, taken)
    environ = _environment(root) | {
        "RECSERVE_API_URL": f"{host}/api",
        "RECSERVE_LOGS_URL": f"http://127.0.0.1:{app_insights_port}",
    }
    _load_demo_users(root, environ)
    running: dict[Part, subprocess.Popen[bytes]] = {}
    try:
        with ExitStack() as stack:
            for part in _parts(port, console_port, app_insights_port):
                running[part] = stack.enter_context(_process(part, root, environ))
            for part, process in running.items():
                _wait_until_ready(part, process)
            if with_visitors:
                visitors = _visitors(root, host)
                running[visitors] = stack.enter_context(_process(visitors, root, environ))
            print(_welcome(host, console, app_insights_port, with_visitors=with_visitors), flush=True)
            _wait_for_any(running)
    except KeyboardInterrupt:
        print("\nstopped", flush=True)


def _parts(port: int, console_port: int, app_insights_port: int) -> list[Part]:
    app_insights = f"http://127.0.0.1:{app_insights_port}"
    plan = [
        *("-m", "emulator", "plan", "--no-welcome", "--port", str(port)),
        *("--always-ready", "1", "--pre-warmed", "1", "--max-burst", "3"),
        *("--app-insights", connection_string(app_insights)),
    ]
    streamlit = [
        *("-m", "streamlit", "run", "console/app.py", "--server.headless=true"),
        *(f"--server.port={console_port}", "--server.address=127.0.0.1"),
    ]
    return [
        Part(
            "app insights",
            ["-m", "emulator", "app-insights", "--port", str(app_insights_port)],
            f"{app_insights}/",
            is_silent=True,
        ),
        Part("plan", plan, f"http://127.0.0.1:{port}/api/health/ready"),
        Part("console", streamlit, f"http://127.0.0.1:{console_port}/_stcore/health", is_silent=True),
    ]


def _visitors(root: Path, host: str) -> Part:
    real = root / REAL_ARRIVALS
    shape = ["--trace", str(real)] if real.exists() else ["--shape", "diurnal", "--period", "3600"]
    argv = [
        *("-m", "benchmarks", "load", "--quiet", "--url", f"{host}/api", "--rate", "4", *shape),
        *("--duration", str(VISITORS_FOR_S), "--out", str(root / ".local/visitors/load.json")),
    ]
    return Part("visitors", argv, "", is_silent=True, may_end=True)


def _require_free(name: str, port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as err:
            raise StackError(
                f"port {port}, for the {name}, is in use; stop what runs there, or choose others with "
                "`python -m emulator up --port ... --console-port ... --app-insights-port ...`"
            ) from err


def _environment(root: Path) -> dict[str, str]:
    """Of all parts: app settings behind the environment, and one place for histories where neither names any."""
    settings = load_local_settings(root)
    values = {name: value for name, value in settings.values.items() if value} if settings else {}
    return {STATE_PATH: str(root / ".local/state.db")} | values | os.environ


def _load_demo_users(root: Path, environ: Mapping[str, str]) -> None:
    """Put the demo's users where the function app will look for them."""
    (root / ".local").mkdir(exist_ok=True)
    loaded = subprocess.run(
        [sys.executable, "-m", "recserve.state", "load", "--until-now", str(DEMO_USERS)],
        cwd=root,
        env=environ,
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
        stdin=subprocess.DEVNULL,
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
            if process.poll() is not None and not part.may_end:
                raise StackError(
                    f"{part.name} stopped with exit status {process.returncode}; its log is above"
                )
        time.sleep(0.5)


def _welcome(host: str, console: str, app_insights_port: int, *, with_visitors: bool) -> str:
    body = json.dumps(EXAMPLE, separators=(",", ":"))
    url = f"{host}/api/recommend"
    answer = httpx.post(url, json=EXAMPLE, timeout=10).json()
    curl = f"curl -s -X POST {url} -H 'content-type: application/json' -d {shlex.quote(body)}"
    visitors = "four requests a second; DEMO=0 leaves them out" if with_visitors else "none, with DEMO=0"
    return f"""
Function app  {host}, 1 instance always ready, 1 pre-warmed, up to 3
Console       {console}
Telemetry     http://127.0.0.1:{app_insights_port}
Visitors      {visitors}

Try it:

  {curl}

{json.dumps(answer, indent=2, ensure_ascii=False)}

Ctrl-C stops everything."""
