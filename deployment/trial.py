"""A package as it will run: unpacked where nothing else is, under Microsoft's worker library.

The environment holds the worker library, and `requirements.txt` where the package brings no dependencies;
the process inherits no setting of ours. That is Azure but for its host and its disk: the same interpreter,
the same wheels, the same indexing and the same way of an invocation.
"""

import base64
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deployment.errors import DeploymentError
from deployment.interpreter import find_interpreter, run
from deployment.package import REQUIREMENTS, ROOT, SITE_PACKAGES, Package

WORKER = ROOT / "tests" / "worker"
"Where the worker library is driven: its requirements, and the process that speaks to it."
FUNCTION = "recommend"
QUESTION = {"history": [260, 1196, 1210], "k": 5}
LIMIT_S = 60.0
INHERITED = ("PATH", "HOME", "LANG", "SYSTEMROOT")


@dataclass(frozen=True, slots=True)
class Start:
    """One start of the app, in seconds since its process was spawned."""

    indexed_s: float
    "The worker knows the functions."
    answered_s: float
    "The first recommendation is out."
    answer: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Trial:
    """Starts of one package, oldest first; the first of each kind reads the disk."""

    worker: str
    "Version of the worker library."
    python: str
    starts: list[Start]
    without_bytecode: list[Start]
    "The same with every file of bytecode taken out, in turns; empty where it was not asked for."


def median_s(starts: list[Start]) -> float:
    """From the process's start to the first recommendation, without the first start where there are others."""
    return statistics.median(start.answered_s for start in starts[1:] or starts)


def try_package(
    package: Package, *, n_starts: int, is_compared: bool = False, python: Path | None = None
) -> Trial:
    """Unpack a package into a clean environment, start it and ask it, some times over.

    Args:
        package: the zip.
        n_starts: of each kind; at least 1.
        is_compared: start it without its bytecode too.
        python: interpreter of an environment that is there; None makes one.

    Raises:
        DeploymentError: it does not start, or does not recommend.
    """
    starts: dict[str, list[Start]] = {"wwwroot": []}
    described: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="recserve-trial-") as temporary:
        folder = Path(temporary)
        python = python or make_environment(package, folder / "environment")
        unpack(package, folder / "wwwroot")
        if is_compared:
            starts["bare"] = []
            unpack(package, folder / "bare")
            for cache in (folder / "bare").rglob("__pycache__"):
                shutil.rmtree(cache)
        for number in range(n_starts):
            for kind, found in starts.items():
                start, described = _start(python, folder / kind, folder / f"{kind}-{number}")
                found.append(start)
    return Trial(described["worker"], described["python"], starts["wwwroot"], starts.get("bare", []))


def unpack(package: Package, directory: Path) -> None:
    """Lay a package's files out, as the platform mounts them."""
    with zipfile.ZipFile(package.path) as archive:
        archive.extractall(directory)


def make_environment(package: Package, environment: Path) -> Path:
    """Install what a package runs under, and nothing else.

    Returns:
        The environment's interpreter.

    Raises:
        DeploymentError: there is no Python 3.13, or something cannot be installed.
    """
    uv = sys.executable, "-m", "uv"
    run(*uv, "venv", "--quiet", "--python", find_interpreter(), environment)
    python = environment / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    wanted = [WORKER / REQUIREMENTS, *([] if package.has_dependencies else [ROOT / REQUIREMENTS])]
    files = [argument for path in wanted for argument in ("-r", path)]
    # As pip does, which installs in Azure; uv leaves compiling to the first import.
    run(*uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", python, *files)
    return python


def _start(python: Path, wwwroot: Path, folder: Path) -> tuple[Start, dict[str, Any]]:
    folder.mkdir()
    log = folder / "log"
    spawned_s = time.perf_counter()
    with running_worker(python, wwwroot, log) as process, _no_longer_than(LIMIT_S, process):
        described = read_functions(process, log)
        indexed_s = time.perf_counter() - spawned_s
        assert process.stdin is not None
        print(json.dumps([_invocation()]), file=process.stdin, flush=True)
        received = _read(process, log)
        answered_s = time.perf_counter() - spawned_s
    body = base64.b64decode(received.get("body", "")).decode()
    if received.get("status") != 200:
        raise DeploymentError(f"the packaged app does not recommend: {received.get('exception') or body}")
    answer = json.loads(body)
    if not answer["items"]:
        raise DeploymentError(f"the packaged app recommends nothing: {body}")
    return Start(indexed_s, answered_s, answer), described


@contextmanager
def running_worker(
    python: Path, wwwroot: Path, log: Path, settings: Mapping[str, str] | None = None
) -> Iterator["subprocess.Popen[str]"]:
    """Microsoft's worker library with an unpacked package, in a process that inherits no setting of ours.

    Args:
        python: the interpreter of `make_environment`.
        wwwroot: where the package was unpacked.
        log: what it writes besides answers; its folder is the process's, for temporary files too.
        settings: app settings.
    """
    environ = {name: os.environ[name] for name in INHERITED if name in os.environ} | {
        "PYTHONPATH": str(wwwroot / SITE_PACKAGES),
        "PYTHONDONTWRITEBYTECODE": "1",  # the folder of a package cannot be written in Azure
        "TMPDIR": str(log.parent),
        **(settings or {}),
    }
    with log.open("w") as stderr:
        process = subprocess.Popen(
            [python, WORKER / "worker_process.py", wwwroot],
            cwd=log.parent,
            env=environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@contextmanager
def _no_longer_than(limit_s: float, process: "subprocess.Popen[str]") -> Iterator[None]:
    watchdog = threading.Timer(limit_s, process.kill)
    watchdog.start()
    try:
        yield
    finally:
        watchdog.cancel()


def read_functions(process: "subprocess.Popen[str]", log: Path) -> dict[str, Any]:
    """What a worker says of itself and of the functions that it found.

    Raises:
        DeploymentError: it cannot index the package, or it ended.
    """
    described = _read(process, log)
    if "exception" in described:
        raise DeploymentError(f"the worker cannot index the package:\n{described['exception']}")
    return described


def _read(process: "subprocess.Popen[str]", log: Path) -> dict[str, Any]:
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise DeploymentError(
            f"the worker ended or said nothing for {LIMIT_S:g} s:\n{log.read_text()[-2000:]}"
        )
    described: dict[str, Any] = json.loads(line)
    return described


def _invocation() -> dict[str, Any]:
    return {
        "id": 1,
        "name": FUNCTION,
        "argument": "req",
        "method": "POST",
        "url": f"http://127.0.0.1/api/{FUNCTION}",
        "headers": {"content-type": "application/json"},
        "query": {},
        "route_params": {},
        "body": base64.b64encode(json.dumps(QUESTION).encode()).decode(),
    }
