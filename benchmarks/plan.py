"""The emulated Premium plan under test: its processes, its commands, its events."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmarks.server import ROOT
from emulator.premium_plan.control import send_command
from emulator.premium_plan.events import EVENTS_FILE

START_LIMIT_S = 90.0
STOP_LIMIT_S = 30.0


class Plan:
    """A running plan.

    Attributes:
        url: of its front end.
        pid: of the process that holds front end and controller.
    """

    def __init__(self, process: subprocess.Popen[bytes], data: Path) -> None:
        self._process, self._data = process, data
        self.pid = process.pid
        self.url = str(self.wait_for("started", limit_s=START_LIMIT_S)["url"])

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def events(self, event: str, **properties: Any) -> list[dict[str, Any]]:
        """Events of a kind that have these properties, the oldest first; `at_s` is their time as Unix seconds."""
        path = self._data / EVENTS_FILE
        lines = path.read_text().splitlines(keepends=True) if path.exists() else []
        read = (json.loads(line) for line in lines if line.endswith("\n"))
        wanted = {"event": event} | {name.rstrip("_"): value for name, value in properties.items()}
        return [
            each | {"at_s": datetime.fromisoformat(each["time"]).timestamp()}
            for each in read
            if wanted.items() <= each.items()
        ]

    def wait_for(self, event: str, *, limit_s: float, **properties: Any) -> dict[str, Any]:
        """The first such event, once it is there.

        Raises:
            RuntimeError: it does not come.
        """
        give_up_s = time.monotonic() + limit_s
        while time.monotonic() < give_up_s and self._process.poll() is None:
            if found := self.events(event, **properties):
                return found[0]
            time.sleep(0.02)
        raise RuntimeError(f"the plan told of no {event} {properties} within {limit_s:g} s")

    def command(self, line: str) -> str:
        return send_command(self._data, line)

    def status(self) -> dict[str, Any]:
        status: dict[str, Any] = json.loads(self.command("status"))
        return status

    def stop(self) -> None:
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(STOP_LIMIT_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def allocated_s(self) -> dict[str, float]:
        """Seconds by class, once it has stopped."""
        total: dict[str, float] = self.events("stopped")[-1]["total_s"]
        return total


@contextmanager
def running_plan(
    data: Path, settings: Mapping[str, str], *, options: Sequence[str] = (), n_ready: int = 1
) -> Iterator[Plan]:
    """Start a plan, wait until this many instances are ready, stop it in the end.

    Args:
        data: its folder.
        settings: app settings, over those of `local.settings.json`.
        options: of `python -m emulator plan`.
    """
    data.mkdir(parents=True, exist_ok=True)
    with (data / "output.log").open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "emulator", "plan", "--port", "0", "--data", str(data), *options],
            cwd=ROOT,
            env={**os.environ, **settings},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    plan = None
    try:
        plan = Plan(process, data)
        _wait_until_ready(plan, n_ready)
        yield plan
    finally:
        if plan is not None:
            plan.stop()
        else:
            process.kill()
            process.wait()


def _wait_until_ready(plan: Plan, n_ready: int) -> None:
    give_up_s = time.monotonic() + START_LIMIT_S
    while time.monotonic() < give_up_s:
        ready = {event["instance"] for event in plan.events("state", to="active")}
        if len(ready) >= n_ready:
            plan.wait_for("notice", limit_s=1)
            time.sleep(0.2)  # its control endpoint opens after the first instance is ready
            return
        time.sleep(0.05)
    raise RuntimeError(f"{n_ready} instances did not get ready")
