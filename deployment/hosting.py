"""A package over HTTP: the stand-in host in a process of its own, and the worker behind it, as in Azure.

    python -m deployment.hosting --python PYTHON --wwwroot DIRECTORY --worker-log FILE [--setting NAME=VALUE ...]

The host listens, routes, asks for keys and limits bodies. What reaches a function goes to Microsoft's worker library,
which runs the unpacked package in a clean environment and knows nothing of the host but its messages. Keys are
enforced and printed; the first line out is JSON with the port and the worker's process.
"""

import argparse
import asyncio
import base64
import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from azure.functions import HttpRequest, HttpResponse

from deployment.errors import DeploymentError
from deployment.package import ROOT
from deployment.trial import read_functions, running_worker
from emulator.functions_host.functions import HTTP_TRIGGER, HostedFunction, http_trigger
from emulator.functions_host.host import FunctionsHost
from emulator.functions_host.invocation import Invoker
from emulator.functions_host.keys import Keys
from emulator.functions_host.settings import load_host_json
from emulator.listening import bound_socket, run_server

KEEP_ALIVE_S = 130
BODY_LIMIT_BYTES = 4 * 1024 * 1024
"`FUNCTIONS_REQUEST_BODY_SIZE_LIMIT` of infra/modules/function-app.bicep; the host's own limit is 100 MiB."
START_LIMIT_S = 60.0


@dataclass(frozen=True, slots=True)
class Hosted:
    """A package that answers."""

    port: int
    key: str
    "The master key."
    host: "subprocess.Popen[str]"
    worker_pid: int
    host_log: Path
    worker_log: Path

    @property
    def is_alive(self) -> bool:
        return self.host.poll() is None and Path(f"/proc/{self.worker_pid}").exists()


@contextmanager
def hosting(
    python: Path, wwwroot: Path, folder: Path, settings: Mapping[str, str] | None = None
) -> Iterator[Hosted]:
    """Host an unpacked package until the block ends.

    Args:
        python: the interpreter of `trial.make_environment`.
        wwwroot: where the package was unpacked.
        folder: for logs and the app's temporary files; made here.
        settings: app settings; there are no others.

    Raises:
        DeploymentError: it does not get ready.
    """
    folder.mkdir()
    host_log, worker_log = folder / "host.log", folder / "worker.log"
    given = [f"--setting={name}={value}" for name, value in (settings or {}).items()]
    with host_log.open("w") as output:
        host = subprocess.Popen(
            [
                *(sys.executable, "-m", "deployment.hosting", *given),
                *(f"--python={python}", f"--wwwroot={wwwroot}", f"--worker-log={worker_log}"),
            ],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=output,
            text=True,
        )
    try:
        assert host.stdout is not None
        line = host.stdout.readline()
        if not line:
            raise DeploymentError(f"the package cannot be hosted:\n{host_log.read_text()[-2000:]}")
        started = json.loads(line)
        _wait_until_ready(started["port"], worker_log)
        yield Hosted(started["port"], started["key"], host, started["worker_pid"], host_log, worker_log)
    finally:
        host.terminate()
        host.wait()


def _wait_until_ready(port: int, log: Path) -> None:
    give_up_s = time.monotonic() + START_LIMIT_S
    while time.monotonic() < give_up_s:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/api/health/ready", timeout=5).close()
        except (urllib.error.URLError, OSError):
            time.sleep(0.05)
        else:
            return
    raise DeploymentError(f"the package did not get ready:\n{log.read_text()[-2000:]}")


class WorkerFailed(Exception):
    """The worker answered with an exception, or ended."""


class Worker:
    """Requests out to a worker, answers back, told apart by number."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}

    def begin(self) -> None:
        """Read answers from here on; called on the event loop."""
        loop = asyncio.get_running_loop()
        threading.Thread(target=self._read, args=(loop,), name="worker", daemon=True).start()

    async def invoke(self, function: str, argument: str, request: HttpRequest) -> HttpResponse:
        """Have a function answer a request.

        Raises:
            WorkerFailed: it did not.
        """
        number = next(self._numbers)
        invocation = {
            "id": number,
            "name": function,
            "argument": argument,
            "method": request.method,
            "url": request.url,
            "headers": dict(request.headers),
            "query": dict(request.params),
            "route_params": dict(request.route_params),
            "body": base64.b64encode(request.get_body()).decode(),
        }
        future = self._waiting[number] = asyncio.get_running_loop().create_future()
        assert self._process.stdin is not None
        try:
            print(json.dumps([invocation]), file=self._process.stdin, flush=True)
            received = await future
        except BrokenPipeError as err:
            raise WorkerFailed("the worker has ended") from err
        finally:
            del self._waiting[number]
        if "status" not in received:
            raise WorkerFailed(received.get("exception") or "the function returned nothing")
        return HttpResponse(
            base64.b64decode(received["body"]), status_code=received["status"], headers=received["headers"]
        )

    def _read(self, loop: asyncio.AbstractEventLoop) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            loop.call_soon_threadsafe(self._answer, json.loads(line))
        loop.call_soon_threadsafe(self._fail)

    def _answer(self, received: dict[str, Any]) -> None:
        future = self._waiting.get(received["id"])
        if future is not None and not future.done():
            future.set_result(received)

    def _fail(self) -> None:
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(WorkerFailed("the worker has ended"))


def host_function(described: Mapping[str, Any], worker: Worker, wwwroot: Path) -> HostedFunction | None:
    """A function as the host knows it, from what the worker indexed; None where HTTP does not reach it."""
    name, bindings = described["name"], described["bindings"]
    trigger = next(binding for binding in bindings if binding["type"].lower().endswith("trigger"))
    if trigger["type"] != HTTP_TRIGGER:
        return None
    argument = trigger["name"]

    async def call(**arguments: Any) -> HttpResponse:
        return await worker.invoke(name, argument, arguments[argument])

    return HostedFunction(
        name=name,
        call=call,
        is_async=True,
        directory=str(wwwroot),
        script_file=described["script_file"],
        bindings=tuple(bindings),
        trigger_type=HTTP_TRIGGER,
        trigger_argument=argument,
        takes_context=False,
        http=http_trigger(name, trigger),
        returns_http=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m deployment.hosting")
    for option in ("--python", "--wwwroot", "--worker-log"):
        parser.add_argument(option, type=Path, required=True)
    parser.add_argument("--setting", action="append", default=[])
    chosen = parser.parse_args()
    settings = dict(each.split("=", 1) for each in chosen.setting)
    with running_worker(chosen.python, chosen.wwwroot, chosen.worker_log, settings) as process:
        _host(process, chosen.wwwroot, chosen.worker_log)


def _host(process: "subprocess.Popen[str]", wwwroot: Path, worker_log: Path) -> None:
    worker = Worker(process)
    described = read_functions(process, worker_log)["functions"]
    functions = [found for each in described if (found := host_function(each, worker, wwwroot))]
    keys = Keys.generate(functions)
    host_json = load_host_json(wwwroot)
    with bound_socket("127.0.0.1", 0, failure=DeploymentError) as listener:
        port = listener.getsockname()[1]
        application = FunctionsHost(
            functions,
            host_json=host_json,
            invoker=Invoker(timeout_s=host_json.function_timeout_s),
            script_root=wwwroot,
            base_url=f"http://localhost:{port}",
            body_limit_bytes=BODY_LIMIT_BYTES,
            keys=keys,
        )

        def announce() -> None:
            worker.begin()
            print(*keys.lines(), sep="\n", file=sys.stderr, flush=True)
            print(json.dumps({"port": port, "worker_pid": process.pid, "key": keys.master}), flush=True)

        run_server(
            application, listener, failure=DeploymentError, keep_alive_s=KEEP_ALIVE_S, on_start=announce
        )


def give_memory_back(hosted: Hosted) -> None:
    """Let the worker collect its garbage, so that what is resident is alive."""
    os.kill(hosted.worker_pid, signal.SIGUSR1)


if __name__ == "__main__":
    main()
