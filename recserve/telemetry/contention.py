"""What the process competes for, once a second: processor, memory, its own event loop, its own queue.

A source that the platform lacks is left out: cgroups and `/proc` exist on Linux only, and not in every
container. Windows and macOS have what psutil knows.
"""

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import NamedTuple

from recserve.telemetry import names

CGROUPS = Path("/sys/fs/cgroup")
PROC = Path("/proc")


class Source(NamedTuple):
    """One number that can be read.

    `read` raises what it likes where there is nothing to read.
    """

    name: str
    read: Callable[[], float]
    is_total: bool = False
    "It only grows; its growth a second is what is sampled."


class ContentionSampler:
    """Reads every source there is.

    Args:
        sources: what to try; those that fail the first time are not tried again.
        now_s: monotonic.
    """

    def __init__(self, sources: Iterator[Source], now_s: float) -> None:
        self._totals: dict[str, float] = {}
        self._at_s = now_s
        self._sources = []
        for source in sources:
            if (value := _try(source)) is not None:
                self._sources.append(source)
                self._totals[source.name] = value

    @property
    def names(self) -> set[str]:
        return {source.name for source in self._sources}

    def sample(self, now_s: float) -> dict[str, float]:
        """What the sources say; of totals, the growth a second since the last sample."""
        elapsed_s = now_s - self._at_s
        sampled = {}
        for source in self._sources:
            value = _try(source)
            if value is None:
                continue
            if not source.is_total:
                sampled[source.name] = value
            elif elapsed_s > 0:
                sampled[source.name] = max(0.0, value - self._totals[source.name]) / elapsed_s
                self._totals[source.name] = value
        self._at_s = now_s
        return sampled


def _try(source: Source) -> float | None:
    try:
        return float(source.read())
    except Exception:  # whatever a platform does instead of telling
        return None


def process_sources(*, proc: Path = PROC, platform: str = sys.platform) -> Iterator[Source]:
    """This process, on any platform."""
    yield Source(names.CPU_USAGE, time.process_time, is_total=True)
    yield Source(names.THREADS, threading.active_count)
    if (proc / "self" / "statm").exists():
        page_bytes = os.sysconf("SC_PAGE_SIZE")
        yield Source(names.MEM_USAGE, lambda: int((proc / "self/statm").read_text().split()[1]) * page_bytes)
        yield Source(names.PREEMPTIONS, _preemptions, is_total=True)
        yield from _pressures(proc / "pressure")
    else:
        yield from _psutil_sources(platform)


def _preemptions() -> float:
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw


def _psutil_sources(platform: str) -> Iterator[Source]:
    try:
        import psutil
    except ImportError:
        return
    process = psutil.Process()
    yield Source(names.MEM_USAGE, lambda: process.memory_info().rss)
    if platform not in ("darwin", "win32"):  # where psutil knows no kinds of switches, and says 0
        yield Source(names.PREEMPTIONS, lambda: process.num_ctx_switches().involuntary, is_total=True)
    yield Source(names.MEM_LIMIT, lambda: psutil.virtual_memory().total)
    yield Source(names.CORES, lambda: os.cpu_count() or 1)


def _pressures(directory: Path) -> Iterator[Source]:
    """Pressure stall information: "some avg10=0.00 avg60=0.00 avg300=0.00 total=12345", in microseconds."""
    for resource_name, name in (
        ("cpu", names.PRESSURE_CPU),
        ("memory", names.PRESSURE_MEMORY),
        ("io", names.PRESSURE_IO),
    ):
        yield Source(name, partial(_stalled_s, directory / resource_name), is_total=True)


def _stalled_s(path: Path) -> float:
    return int(path.read_text().split("total=")[1].split()[0]) / 1e6


def cgroup_sources(*, cgroups: Path = CGROUPS, proc: Path = PROC) -> Iterator[Source]:
    """The container: cgroup version 2, or else 1."""
    own = _own_cgroup(cgroups, proc)
    if (own / "cpu.stat").exists() and (cgroups / "cgroup.controllers").exists():
        yield Source(names.CGROUP_CPU, lambda: _field(own / "cpu.stat", "usage_usec") / 1e6, is_total=True)
        yield Source(names.THROTTLED, lambda: _field(own / "cpu.stat", "throttled_usec") / 1e6, is_total=True)
        yield Source(names.CORES, lambda: _cores_v2(own / "cpu.max"))
        yield Source(names.MEM_LIMIT, lambda: _limit(own / "memory.max", proc))
    elif proc.exists():
        cpu, account, memory = cgroups / "cpu", cgroups / "cpuacct", cgroups / "memory"
        yield Source(
            names.CGROUP_CPU, lambda: int((account / "cpuacct.usage").read_text()) / 1e9, is_total=True
        )
        yield Source(names.THROTTLED, lambda: _field(cpu / "cpu.stat", "throttled_time") / 1e9, is_total=True)
        yield Source(names.CORES, lambda: _cores_v1(cpu))
        yield Source(names.MEM_LIMIT, lambda: _limit(memory / "memory.limit_in_bytes", proc))


def _own_cgroup(cgroups: Path, proc: Path) -> Path:
    """Where this process stands; inside a container that is usually the root."""
    try:
        unified = next(line for line in (proc / "self/cgroup").read_text().splitlines() if line[:3] == "0::")
    except (OSError, StopIteration):
        return cgroups
    own = cgroups / unified[3:].lstrip("/")
    return own if (own / "cpu.stat").exists() else cgroups


def _field(path: Path, name: str) -> int:
    """The number in a line "name number"."""
    return next(int(line.split()[1]) for line in path.read_text().splitlines() if line.startswith(f"{name} "))


def _cores_v2(cpu_max: Path) -> float:
    try:
        quota, period = cpu_max.read_text().split()
    except OSError:
        return _usable_cores()
    return _usable_cores() if quota == "max" else min(_usable_cores(), int(quota) / int(period))


def _cores_v1(cpu: Path) -> float:
    try:
        quota, period = (int((cpu / f"cpu.cfs_{name}_us").read_text()) for name in ("quota", "period"))
    except OSError:
        return _usable_cores()
    return _usable_cores() if quota <= 0 else min(_usable_cores(), quota / period)


def _usable_cores() -> float:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _limit(path: Path, proc: Path) -> float:
    """Bytes that may be used; without a limit of the container, the machine's memory."""
    machine = _field(proc / "meminfo", "MemTotal:") * 1024
    try:
        text = path.read_text().strip()
    except OSError:
        return machine
    return machine if text == "max" else min(machine, int(text))


def service_sources(read: Mapping[str, Callable[[], float]]) -> Iterator[Source]:
    """What the service knows of itself, by name."""
    for name, source in read.items():
        yield Source(name, source)


class LoopLag:
    """How long a callback waits for an event loop, measured from another thread.

    Args:
        call_soon: the loop's `call_soon_threadsafe`.
        clock: monotonic, in seconds.
    """

    def __init__(
        self,
        call_soon: Callable[[Callable[[], None]], object],
        *,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._call_soon = call_soon
        self._clock = clock
        self._sent_s: float | None = None
        self._lag_s = 0.0

    def send(self) -> None:
        """Ask the loop to answer, unless it still owes the last answer."""
        if self._sent_s is None:
            self._sent_s = self._clock()
            self._call_soon(self._come_back)

    def read(self) -> float:
        """What the last callback waited, or what the present one has waited so far when that is longer."""
        sent_s = self._sent_s
        return self._lag_s if sent_s is None else max(self._lag_s, self._clock() - sent_s)

    def _come_back(self) -> None:
        assert self._sent_s is not None
        self._lag_s = self._clock() - self._sent_s
        self._sent_s = None
