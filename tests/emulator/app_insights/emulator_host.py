"""Emulators in one process: each line of standard input is a data folder, and starts one with a port of its own.

What `python -m emulator app-insights` runs, without its command line; they end with the process.
"""

import sys
import threading
from pathlib import Path

from emulator.app_insights.faults import Faults
from emulator.app_insights.serving import serve
from emulator.app_insights.store import StoreSettings


def host() -> None:
    """Start an emulator for each line, and say how to use it."""
    for line in sys.stdin:
        threading.Thread(
            target=serve,
            args=(Path(line.strip()), StoreSettings()),
            kwargs={"host": "127.0.0.1", "port": 0, "faults": Faults(), "say": _say},
            daemon=True,
        ).start()


def _say(welcome: str) -> None:
    print(welcome, flush=True)


if __name__ == "__main__":
    host()
