"""What one instance may use of this machine: cores and memory, as its size says.

Cores are an affinity: each instance gets as many as its size has vCPUs, the least used ones first, and shares
them when there are no others left. Where a cgroup v2 with the cpu and memory controllers can be written, its
`cpu.max` and `memory.max` hold the instance; else the plan watches the resident memory, and ends what exceeds
the size's, as the platform does.
"""

import os
from collections import Counter
from contextlib import suppress
from pathlib import Path

from planner.plans import Sku

CGROUPS = Path("/sys/fs/cgroup")
CPU_PERIOD_US = 100_000
GIB = 2**30


class Isolation:
    """Cores and memory for the instances of one plan.

    Args:
        sku: the size of each.
        cgroups: where the cgroup file system is mounted.
    """

    def __init__(self, sku: Sku, *, cgroups: Path = CGROUPS) -> None:
        self._sku = sku
        self._cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
        self._used: Counter[int] = Counter(dict.fromkeys(self._cores, 0))
        self._group = _writable_group(cgroups)
        self.memory_limit_bytes = int(sku.memory_gib * GIB)

    def describe(self, most_instances: int) -> str:
        """How instances are held, and what this machine lacks, in one sentence."""
        n_cores, n_wanted = len(self._cores) or os.cpu_count() or 1, most_instances * self._sku.vcpu
        vcpu, gib = f"{self._sku.vcpu} vCPU", f"{self._sku.memory_gib:g} GiB"
        if self._group is not None:
            held = f"{vcpu} and {gib} by cgroup"
        else:
            cpu = "by affinity" if self._cores else "not limited, without affinity on this system"
            memory = (
                "watched"
                if Path("/proc/self/statm").exists()
                else "not limited, without /proc on this system"
            )
            held = f"{vcpu} {cpu}, {gib} {memory}"
        short = ""
        if n_cores < n_wanted:
            short = (
                f"; {most_instances} of them want {n_wanted} cores and this machine has {n_cores}: "
                "they share them, and slow each other down"
            )
        return f"an instance ({self._sku.name}) has {held}{short}"

    def confine(self, pid: int, instance: str) -> tuple[int, ...]:
        """Hold a process, from right after its start; gives the cores that it got."""
        cores = tuple(sorted(self._cores, key=lambda core: (self._used[core], core))[: self._sku.vcpu])
        self._used.update(cores)
        with suppress(ProcessLookupError):  # it has ended at once; who waits for it will tell
            if cores:
                os.sched_setaffinity(pid, cores)
            if self._group is not None:
                group = self._group / f"recserve-{os.getpid()}-{instance}"
                group.mkdir(exist_ok=True)
                (group / "cpu.max").write_text(f"{self._sku.vcpu * CPU_PERIOD_US} {CPU_PERIOD_US}")
                (group / "memory.max").write_text(str(self.memory_limit_bytes))
                (group / "cgroup.procs").write_text(str(pid))
        return cores

    def release(self, cores: tuple[int, ...], instance: str) -> None:
        """Give back what an ended instance had."""
        self._used.subtract(cores)
        if self._group is not None:
            with suppress(OSError):
                (self._group / f"recserve-{os.getpid()}-{instance}").rmdir()


def resident_bytes(pid: int) -> int:
    """Memory that a process holds; 0 where it cannot be read."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def _writable_group(cgroups: Path) -> Path | None:
    """A cgroup v2 that children with limits of cpu and memory can be made in."""
    try:
        if not {"cpu", "memory"} <= set((cgroups / "cgroup.subtree_control").read_text().split()):
            return None
        return cgroups if os.access(cgroups, os.W_OK) else None
    except OSError:
        return None
