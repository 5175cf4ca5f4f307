"""How this process started, and who met it cold.

Warmth belongs to the worker process, not to the instance: the warmup trigger reaches one worker only
(Azure-Functions issue 2462), and the host's own `faas.coldstart` knows nothing of Python.
"""

import importlib
import os
import time
from pathlib import Path
from time import perf_counter
from typing import Literal

from recserve.telemetry import names
from recserve.telemetry.timeline import Timeline

Driver = Literal["none", "request", "warmup", "timer"]
"What met a process first."

HOST_WAIT_S = 1.0
"A process that is ready and not asked for longer than this waits for work, and no longer for its host."


def process_start_s() -> float | None:
    """When the kernel started this process, on the clock of `time.perf_counter`; None off Linux."""
    try:
        started_ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
        since_boot_s = time.clock_gettime(time.CLOCK_BOOTTIME)
    except (OSError, AttributeError, ValueError, IndexError):
        return None
    age_s = since_boot_s - started_ticks / os.sysconf("SC_CLK_TCK")
    return perf_counter() - age_s


def import_packages(lane: Timeline, *packages: str) -> None:
    """Import packages, each a phase of the lane."""
    for package in packages:
        importlib.import_module(package)
        lane.mark(f"import {package}")


class ColdStart:
    """One process's way from its start to being ready.

    Three threads walk it side by side: the one that imports the app and goes on to serve it, the one that
    builds the service, and the one that loads its models. Each has a lane of phases; together they explain
    the time.

    Attributes:
        timeline: the phases of the thread that the host imports the app on, from the start of the process.
        building: the phases of the thread that builds the service.
        loading: the phases of the thread that loads the models.
        is_ready: the service is built, and its models have each run once.
        driver: what met the process first.
        n_impacted: requests that waited for it.
    """

    def __init__(self) -> None:
        self.timeline = Timeline(names.COLD_START, process_start_s())
        self.building = Timeline(names.COLD_START)
        self.loading = Timeline(names.COLD_START)
        self.process = os.urandom(6).hex()
        self.is_ready = False
        self.ready_s = 0.0
        self.driver: Driver = "none"
        self.n_impacted = 0
        self._is_invoked = False
        self.models_version = ""

    def begin_building(self) -> None:
        """The thread that builds the service begins here."""
        self.building.started_s = perf_counter()

    def become_ready(self) -> None:
        self.building.mark("ready")
        self.ready_s = self.building.ended_s
        self.is_ready = True

    def meet(self, driver: Driver = "request") -> bool:
        """An invocation came in. True when it met a cold process: one that is not ready, or the first."""
        if self.driver == "none":
            self.driver = driver
            if not self.is_ready or perf_counter() - self.ready_s < HOST_WAIT_S:
                self.timeline.mark("host")
        if driver == "timer":  # it goes another way than requests, and warms nothing up for them
            return not self.is_ready
        is_cold = not (self.is_ready and self._is_invoked)
        self._is_invoked = True
        if not self.is_ready and driver == "request":
            self.n_impacted += 1
        return is_cold

    @property
    def ended_s(self) -> float:
        """When it was ready, or gave up."""
        return self.ready_s or max(self.building.ended_s, self.loading.ended_s)

    def phases(self) -> list[tuple[str, float, float]]:
        """Name, start and end of each phase, by start; those of different lanes overlap."""
        lanes = (self.timeline, self.building, self.loading)
        return sorted((phase for lane in lanes for phase in lane.phases()), key=lambda phase: phase[1])

    @property
    def explained_s(self) -> float:
        """The part of the time until it ended that lies in some phase."""
        explained_s, covered_s = 0.0, self.timeline.started_s
        for _, start_s, end_s in self.phases():
            end_s = min(end_s, self.ended_s)
            explained_s += max(0.0, end_s - max(start_s, covered_s))
            covered_s = max(covered_s, end_s)
        return explained_s
