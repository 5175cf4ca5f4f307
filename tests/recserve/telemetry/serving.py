"""A process that serves and sends telemetry, as the worker would run it."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

SERVE = """
import asyncio, json, logging, os, sys, time
logging.basicConfig(level=logging.DEBUG)
exec(os.environ.get("BEFORE", ""))  # what a worker does before it imports the app
from tests.recserve.conftest import Invocation, http_request
import function_app
async def ask():
    functions = {f.get_function_name(): f.get_user_function() for f in function_app.app.get_functions()}
    async def call(name, **request):
        traceparent = request.pop("traceparent", "")
        return await functions[name](http_request(**request), Invocation(name, traceparent))
    for name, request in json.loads(sys.argv[1]):
        started = time.perf_counter()
        response = await call(name, **request)
        print(response.status_code, round((time.perf_counter() - started) * 1e3, 3), flush=True)
    await asyncio.sleep(float(os.environ.get("STAY_S", "0")))
asyncio.run(ask())
function_app.startup.close()
"""
RECOMMEND = ("recommend", {"method": "POST", "json_body": {"history": [260], "k": 5}})
POPULAR = ("popular", {"params": {"k": "3"}})


def start(
    repository: Path, tmp_path: Path, *requests: tuple[str, Any], **settings: str
) -> subprocess.Popen[str]:
    """Serve the requests, one after the other, and end; `STAY_S` later where that is set."""
    environ = {
        "RECSERVE_STATE_PATH": str(tmp_path / "state.db"),
        "RECSERVE_TRACE_RATE": "1",
        "RECSERVE_USER_KEY": "a key",
        "TMPDIR": str(tmp_path),
    }
    return subprocess.Popen(
        [sys.executable, "-c", SERVE, json.dumps(requests or [POPULAR, RECOMMEND])],
        cwd=repository,
        env={**os.environ, "PYTHONPATH": str(repository), **environ, **settings},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def serve(
    repository: Path, tmp_path: Path, *requests: tuple[str, Any], **settings: str
) -> subprocess.CompletedProcess[str]:
    """Serve the requests to the end of the process, which must be a good one."""
    with start(repository, tmp_path, *requests, **settings) as process:
        try:
            stdout, stderr = process.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
    served = subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)
    served.check_returncode()
    return served


def statuses(served: subprocess.CompletedProcess[str]) -> list[int]:
    """What the requests were answered with."""
    return [int(line.split()[0]) for line in served.stdout.splitlines()]
