"""How this process started, and who met it cold.

Warmth belongs to the worker process, not to the instance: the warmup trigger reaches one worker only
(Azure-Functions issue 2462), and the host's own `faas.coldstart` knows nothing of Python.
"""

import os
import time
from pathlib import Path
from time import perf_counter

from recserve.telemetry import names
from recserve.telemetry.timeline import Timeline


def process_start_s() -> float | None:
    """When the kernel started this process, on the clock of `time.perf_counter`; None off Linux."""
    try:
        started_ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
        since_boot_s = time.clock_gettime(time.CLOCK_BOOTTIME)
    except (OSError, AttributeError, ValueError, IndexError):
        return None
    age_s = since_boot_s - started_ticks / os.sysconf("SC_CLK_TCK")
    return perf_counter() - age_s


class ColdStart:
    """One process's way from its start to being ready.

    Attributes:
        timeline: the phases, from the start of the process.
        is_ready: the service is built, and its models have each run once.
    """

    def __init__(self) -> None:
        self.timeline = Timeline(names.COLD_START, process_start_s())
        self.is_ready = False
        self._is_invoked = False

    def meet(self) -> bool:
        """An invocation came in. True when it met a cold process: one that is not ready, or the first."""
        is_cold = not (self.is_ready and self._is_invoked)
        self._is_invoked = True
        return is_cold
