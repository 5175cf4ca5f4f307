"""A start waits for nothing that only devices need."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

START = """
import asyncio, sys
import function_app
asyncio.run(function_app.startup.service())
print(*(name for name in sys.modules if name.startswith(("recserve.edge", "gzip"))))
"""


@pytest.mark.parametrize("setting", ["off", "public"])
def test_what_only_devices_need_is_not_imported_before_one_asks(
    repository: Path, tmp_path: Path, setting: str
) -> None:
    environ = {
        "RECSERVE_EDGE": setting,
        "RECSERVE_STATE_PATH": str(tmp_path / "state.db"),
    }

    started = subprocess.run(
        [sys.executable, "-c", START],
        cwd=repository,
        env=os.environ | environ,
        capture_output=True,
        text=True,
        check=True,
    )

    assert started.stdout.split() == []
