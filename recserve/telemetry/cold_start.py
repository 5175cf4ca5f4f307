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
from recserve.telemetry.timeline import Timeline, unix_minus_perf_s

Driver = Literal["none", "request", "warmup", "timer"]
"What met a process first."

HOST_WAIT_S = 1.0
"A process that is ready and not asked for longer than this waits for work, and no longer for its host."

PLACEHOLDER_S = 2.0
"""A process that has idled for longer than this before it imports the app was kept by the platform as a
placeholder, and its start begins with the import. An interpreter that starts is busy, if it gets a core."""


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
        timeline: the phases of the thread that the host imports the app on, from the start of the process, or
            from this import where the process was a placeholder before.
        building: the phases of the thread that builds the service.
        loading: the phases of the thread that loads the models.
        placeholder_s: how long it was one.
        unix_minus_perf_s: of the time of the start.
        is_ready: the service is built, and its models have each run once.
        has_failed: it never will be.
        driver: what met the process first.
        n_impacted: requests that waited for it.
    """

    def __init__(self) -> None:
        now_s = perf_counter()
        process_started_s = process_start_s()
        started_s = now_s if process_started_s is None else process_started_s
        is_placeholder = now_s - started_s - time.process_time() > PLACEHOLDER_S
        self.placeholder_s = now_s - started_s if is_placeholder else 0.0
        self.unix_minus_perf_s = unix_minus_perf_s()
        self.timeline = Timeline(names.COLD_START, started_s + self.placeholder_s)
        self.building = Timeline(names.COLD_START)
        self.loading = Timeline(names.COLD_START)
        self.process = os.urandom(6).hex()
        self.is_ready = False
        self.has_failed = False
        self.ready_s = 0.0
        self.driver: Driver = "none"
        self.n_impacted = 0
        self.models_version = ""
        self._is_warm = False

    def begin_building(self) -> None:
        """The thread that builds the service begins here."""
        self.building.started_s = perf_counter()

    def become_ready(self) -> None:
        self.building.mark("ready")
        self.ready_s = self.building.ended_s
        self.is_ready = True

    def fail(self) -> None:
        """The start ended in an error; the time of the phase that raised it goes to `failed`."""
        self.building.mark("failed")
        self.has_failed = True

    @property
    def is_under_way(self) -> bool:
        """Who comes in waits, for there is something to wait for."""
        return not (self.is_ready or self.has_failed)

    def meet(self, driver: Driver = "request") -> bool:
        """An invocation came in. True when it met a cold process: one that is starting, or that nothing has
        been through before.

        Requests warm the process up for those that come after them, and so does the warmup trigger, but only
        once it is through (`become_warm`). The timer goes another way.
        """
        if self.driver == "none":
            self.driver = driver
            if not self.is_ready or perf_counter() - self.ready_s < HOST_WAIT_S:
                self.timeline.mark("host")
        is_cold = self.is_under_way or not self._is_warm
        if driver == "request":
            self.n_impacted += self.is_under_way
            self._is_warm = True
        return is_cold

    def become_warm(self) -> None:
        """The warm-up is through: the next request goes a way that has been gone."""
        self._is_warm = True

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
