"""The app in Microsoft's Python 3.13 worker and in our stand-in host, each in a process of its own."""

import base64
import hashlib
import importlib.util
import itertools
import json
import os
import queue
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import httpx
import pytest
from filelock import FileLock

REPOSITORY = Path(__file__).parents[2]
WORKER_VENV = REPOSITORY / ".venv-worker"
REQUIREMENTS = (REPOSITORY / "requirements.txt", Path(__file__).with_name("requirements.txt"))
DEPLOYED = ("function_app.py", "host.json", "recserve")
MODELS_DIR = REPOSITORY / "models"
TIMEOUT_S = 30.0
KNOWN_USER = "known-user"
WHAT_PROCESSES_INHERIT = ("PATH", "HOME", "LANG", "TMPDIR", "SYSTEMROOT")
"Nothing of ours: a developer's own settings must not decide a test."


def find_python() -> str:
    """The Python 3.13 to run the worker on, or a skipped test."""
    if chosen := os.environ.get("RECSERVE_WORKER_PYTHON"):
        found = _is_313(chosen)
        assert found, f"RECSERVE_WORKER_PYTHON={chosen} is not a Python 3.13"
        return found
    candidates = [sys.executable]
    if on_path := shutil.which("python3.13"):
        # pyenv's shim refuses where 3.13 is not the chosen version; the interpreters lie beside it.
        beside = Path(on_path).parents[1] / "versions"
        candidates += [on_path, *map(str, sorted(beside.glob("3.13*/bin/python3.13"), reverse=True))]
    for candidate in candidates:
        if found := _is_313(candidate):
            return found
    pytest.skip(
        "no Python 3.13, which Microsoft's worker library needs: put python3.13 on PATH or name one in "
        "RECSERVE_WORKER_PYTHON"
    )


def _is_313(executable: str) -> str | None:
    """The interpreter behind a command, if it is a Python 3.13."""
    ask = "import sys; print(sys.version_info[:2] == (3, 13), sys.executable)"
    try:
        said = subprocess.run([executable, "-c", ask], capture_output=True, text=True, check=False).stdout
    except OSError:
        return None
    return said.strip().removeprefix("True ") if said.startswith("True") else None


@pytest.fixture(scope="session")
def worker_python() -> Path:
    """The interpreter of `.venv-worker`: `requirements.txt` and the worker library, nothing else."""
    python = find_python()
    wanted = hashlib.sha256(python.encode())
    for path in REQUIREMENTS:
        wanted.update(path.read_bytes())
    inside = WORKER_VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    with FileLock(f"{WORKER_VENV}.lock"):  # several processes run the tests
        stamp = WORKER_VENV / "requirements.sha256"
        if not stamp.exists() or stamp.read_text() != wanted.hexdigest():
            _install(python, inside)
            stamp.write_text(wanted.hexdigest())
    return inside


def _install(python: str, inside: Path) -> None:
    """Make `.venv-worker` anew."""
    files = [argument for path in REQUIREMENTS for argument in ("-r", path)]
    if importlib.util.find_spec("uv"):
        uv = sys.executable, "-m", "uv"
        _run(*uv, "venv", "--clear", "--python", python, WORKER_VENV)
        _run(*uv, "pip", "install", "--python", inside, *files)
    else:
        _run(python, "-m", "venv", "--clear", WORKER_VENV)
        _run(inside, "-m", "pip", "install", *files)


def _run(*command: str | Path, **options: Any) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    assert not done.returncode, f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An HTTP answer, from either side."""

    status: int
    headers: dict[str, str]
    "By lower-case name."
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Worker:
    """The worker in a process of its own. Routes requests as the host does, by what the worker indexed."""

    def __init__(self, python: Path, app: Path, log: Path, env: dict[str, str]) -> None:
        self._log = log
        self._app = app
        with log.open("w") as stderr:
            self.process = subprocess.Popen(
                [python, Path(__file__).with_name("worker_process.py"), app],
                cwd=log.parent,
                env=env,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
                encoding="utf-8",
            )
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        threading.Thread(target=self._read, daemon=True).start()
        self._ids = itertools.count(1)

    def wait_until_ready(self) -> None:
        """Read what the worker indexed."""
        self.description = self._receive()
        assert "exception" not in self.description, self.description["exception"]
        self.bindings = {function["name"]: function["bindings"] for function in self.description["functions"]}
        prefix = json.loads((self._app / "host.json").read_text())["extensions"]["http"]["routePrefix"]
        self._routes = [
            (name, re.compile(f"/{prefix}/{_pattern(trigger['route'])}"), trigger["methods"])
            for name, (trigger, *_) in self.bindings.items()
            if trigger["type"] == "httpTrigger"
        ]

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line)
        self._lines.put("")

    def _receive(self) -> dict[str, Any]:
        try:
            line = self._lines.get(timeout=TIMEOUT_S)
        except queue.Empty:
            line = ""
        assert line, f"the worker ended, or said nothing for {TIMEOUT_S} s:\n{self._log.read_text()}"
        return json.loads(line)

    def _invoke(self, *invocations: dict[str, Any]) -> list[dict[str, Any]]:
        """Begin invocations together and wait for all their answers, in the invocations' order."""
        assert self.process.stdin is not None
        for invocation in invocations:
            trigger = self.bindings[invocation["name"]][0]
            invocation |= {"id": next(self._ids), "argument": trigger["name"]}
        print(json.dumps(invocations), file=self.process.stdin, flush=True)
        received = {answer["id"]: answer for answer in (self._receive() for _ in invocations)}
        return [received[invocation["id"]] for invocation in invocations]

    def run(self, name: str) -> str:
        """Invoke a function that has a trigger other than HTTP; returns what it raised, or nothing."""
        (answer,) = self._invoke({"name": name})
        return answer.get("exception", "")

    def route(self, method: str, target: str) -> tuple[str, dict[str, str]]:
        """The function that answers a request, and its route values."""
        for name, pattern, methods in self._routes:
            if method in methods and (matched := pattern.fullmatch(urlsplit(target).path)):
                return name, {key: _unquote(value) for key, value in matched.groupdict().items() if value}
        raise AssertionError(f"no function answers {method} {target}")

    def ask(self, *requests: httpx.Request) -> list[Answer]:
        """Send requests that are all under way at the same time; answers come in the requests' order."""
        return [_answer(received) for received in self._invoke(*map(self._http_invocation, requests))]

    def _http_invocation(self, request: httpx.Request) -> dict[str, Any]:
        target = request.url.raw_path.decode()
        name, route_params = self.route(request.method, target)
        return {
            "name": name,
            "method": request.method,
            "url": str(request.url),
            "headers": {key.lower(): value for key, value in request.headers.items()},
            "query": _query(target),
            "route_params": route_params,
            "body": base64.b64encode(request.read()).decode(),
        }

    def stop(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        try:
            self.process.wait(TIMEOUT_S)
        finally:
            self.process.kill()


def _pattern(route: str) -> str:
    """A route template as a regular expression; a parameter that may be absent takes its slash along."""
    literals_and_names = re.split(r"(/\{\w+\?\}|\{\w+\})", route)
    return "".join(
        (f"(?:/(?P<{part[2:-2]}>[^/]+))?" if part.endswith("?}") else f"(?P<{part[1:-1]}>[^/]+)")
        if is_name
        else re.escape(part)
        for part, is_name in zip(literals_and_names, itertools.cycle((False, True)), strict=False)
    )


def _unquote(value: str) -> str:
    """A route value as ASP.NET Core decodes it: all but slashes."""
    return unquote(value.replace("%2F", "%252F").replace("%2f", "%252f"))


def _query(target: str) -> dict[str, str]:
    """Query values as the host sends them: repeated ones joined by commas, empty ones left out."""
    values: dict[str, list[str]] = {}
    for name, value in parse_qsl(urlsplit(target).query):
        values.setdefault(name, []).append(value)
    return {name: ",".join(joined) for name, joined in values.items()}


def _answer(received: dict[str, Any]) -> Answer:
    assert "exception" not in received, received["exception"]
    return Answer(
        status=received["status"],
        headers={key.lower(): value for key, value in received["headers"].items()},
        body=base64.b64decode(received["body"]),
    )


class StandIn:
    """`python -m emulator start`, spoken to over HTTP."""

    def __init__(self, app: Path, log: Path, env: dict[str, str]) -> None:
        self._log = log
        with log.open("w") as stderr:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "emulator", "start", "--script-root", app, "--port", "0"],
                cwd=REPOSITORY,
                env=env | {"PYTHONUNBUFFERED": "1"},
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
            )
        self.client = httpx.Client(timeout=TIMEOUT_S)

    def wait_until_ready(self) -> None:
        """Read the function list up to its first address; it is printed once requests are accepted."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if address := re.search(r"http://localhost:\d+", line):
                break
        else:
            raise AssertionError(f"the stand-in ended:\n{self._log.read_text()}")
        self.client.base_url = httpx.URL(address.group())

    def ask(self, *requests: httpx.Request) -> list[Answer]:
        return [self._send(request) for request in requests]

    def _send(self, request: httpx.Request) -> Answer:
        sent = self.client.build_request(
            request.method, request.url.raw_path.decode(), headers=request.headers, content=request.read()
        )
        response = self.client.send(sent)
        return Answer(status=response.status_code, headers=dict(response.headers), body=response.content)

    @property
    def bindings(self) -> dict[str, list[dict[str, Any]]]:
        functions = self.client.get("/admin/functions").json()
        return {function["name"]: function["config"]["bindings"] for function in functions}

    def stop(self) -> None:
        self.client.close()
        self.process.terminate()
        try:
            self.process.communicate(timeout=TIMEOUT_S)
        finally:
            self.process.kill()


@pytest.fixture(scope="session")
def app(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The app as it is deployed: none of its neighbours, and no local.settings.json of a developer."""
    directory = tmp_path_factory.mktemp("wwwroot")
    for name in DEPLOYED:
        source = REPOSITORY / name
        copy = shutil.copytree if source.is_dir() else shutil.copy
        copy(source, directory / name)
    return directory


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of both: the repository's models, and a state that knows one user."""
    if not (MODELS_DIR / "manifest.json").exists():
        pytest.skip(f"{MODELS_DIR} holds no manifest.json; train models first")
    directory = tmp_path_factory.mktemp("state")
    histories = directory / "histories.csv"
    histories.write_text(f"user_id,item_id,timestamp\n{KNOWN_USER},356,1\n{KNOWN_USER},296,2\n")
    inherited = {name: os.environ[name] for name in WHAT_PROCESSES_INHERIT if name in os.environ}
    env = inherited | {
        # A busy machine must not turn answers into refusals or cheaper ones.
        "RECSERVE_DEADLINE_MS": "60000",
        "RECSERVE_SLO_MS": "60000",
        "RECSERVE_BROWNOUT_AT": "1",
        "RECSERVE_MODELS_DIR": str(MODELS_DIR),
        "RECSERVE_EDGE": "key",
        "RECSERVE_EDGE_DIR": str(MODELS_DIR / "edge"),
        "RECSERVE_STATE_PATH": str(directory / "state.db"),
    }
    _run(sys.executable, "-m", "recserve.state", "load", "--until-now", histories, cwd=REPOSITORY, env=env)
    return env


class Starter:
    """Starts workers and stand-ins and, at the end, stops them."""

    def __init__(self, python: Path, app: Path, environment: dict[str, str], directory: Path) -> None:
        self._python = python
        self._app = app
        self._environment = environment
        self._directory = directory
        self._started: list[Worker | StandIn] = []

    def worker(self, **settings: str) -> Worker:
        """Start the app in the worker, with app settings beside the usual ones."""
        worker = Worker(self._python, self._app, self._log(), self._environment | settings)
        self._started.append(worker)
        worker.wait_until_ready()
        return worker

    def stand_in(self, **settings: str) -> StandIn:
        """Start the app in the stand-in, with app settings beside the usual ones."""
        stand_in = StandIn(self._app, self._log(), self._environment | settings)
        self._started.append(stand_in)
        stand_in.wait_until_ready()
        return stand_in

    def _log(self) -> Path:
        return self._directory / f"{len(self._started)}.log"

    def stop(self) -> None:
        for process in self._started:
            process.stop()


@pytest.fixture
def start(worker_python: Path, app: Path, environment: dict[str, str], tmp_path: Path) -> Iterator[Starter]:
    """Processes for one test."""
    starter = Starter(worker_python, app, environment, tmp_path)
    yield starter
    starter.stop()


@pytest.fixture(scope="module")
def shared(
    worker_python: Path, app: Path, environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Starter]:
    """Processes for all tests of a module."""
    starter = Starter(worker_python, app, environment, tmp_path_factory.mktemp("shared"))
    yield starter
    starter.stop()


@pytest.fixture(scope="module")
def worker(shared: Starter) -> Worker:
    """A worker that is past its first request."""
    return _past_first_request(shared.worker())


@pytest.fixture(scope="module")
def stand_in(shared: Starter) -> StandIn:
    """A stand-in that is past its first request."""
    return _past_first_request(shared.stand_in())


def _past_first_request(side: Any) -> Any:
    side.ask(httpx.Request("GET", "http://localhost/api/recommend/nobody"))
    return side
