"""Every import on the way to the first answer is cold-start time."""

import subprocess
import sys
from pathlib import Path

NOT_NEEDED_TO_INDEX = {"onnxruntime", "numpy", "sqlite3", "opentelemetry", "azure.monitor", "azure.data"}
NEVER_NEEDED_TO_SERVE = {"pandas", "torch", "onnx", "fastapi", "requests", "typer", "azure.identity"}


def modules_after(statements: str, repository: Path) -> set[str]:
    script = f"import sys, threading\n{statements}\nprint('\\n'.join(sys.modules))"
    run = subprocess.run(
        [sys.executable, "-c", script], cwd=repository, capture_output=True, text=True, check=True
    )
    return set(run.stdout.split())


def test_modules_that_the_functions_import_are_light(repository: Path) -> None:
    without_start = "threading.Thread.start = lambda self: None\nimport function_app"

    assert not NOT_NEEDED_TO_INDEX & modules_after(without_start, repository)


def test_service_that_is_ready_has_loaded_nothing_it_does_not_need(repository: Path) -> None:
    until_ready = "import asyncio, function_app\nasyncio.run(function_app.startup.service())"

    loaded = modules_after(until_ready, repository)

    assert "onnxruntime" in loaded
    assert not (NEVER_NEEDED_TO_SERVE | {"opentelemetry", "azure.monitor"}) & loaded
