import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from emulator.premium_plan.isolation import GIB, Isolation, resident_bytes
from planner.plans import SKUS

pytestmark = pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="affinity is Linux's")


@pytest.fixture
def pid() -> Iterator[int]:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process.pid
        process.kill()


def test_instances_get_the_least_used_cores(pid: int, tmp_path: Path) -> None:
    isolation = Isolation(SKUS["EP1"], cgroups=tmp_path)
    n_cores = len(os.sched_getaffinity(0))
    given = [isolation.confine(pid, f"I{n}") for n in range(n_cores)]

    assert sorted(given) == [(core,) for core in sorted(os.sched_getaffinity(0))]

    isolation.release(given[-1], "I9")

    assert isolation.confine(pid, "I10") == given[-1]
    assert os.sched_getaffinity(pid) == set(given[-1])


def test_larger_size_gets_more_cores_as_far_as_there_are_any(pid: int, tmp_path: Path) -> None:
    cores = Isolation(SKUS["EP2"], cgroups=tmp_path).confine(pid, "I1")

    assert len(cores) == min(2, len(os.sched_getaffinity(0)))


def test_machine_with_too_few_cores_is_told(tmp_path: Path) -> None:
    said = Isolation(SKUS["EP3"], cgroups=tmp_path).describe(100)

    assert said.startswith(
        "an instance (EP3) has 4 vCPU by affinity, 14 GiB watched; 100 of them want 400 cores"
    )


def test_writable_cgroup_holds_cores_and_memory(pid: int, tmp_path: Path) -> None:
    (tmp_path / "cgroup.subtree_control").write_text("cpu memory\n")
    isolation = Isolation(SKUS["EP2"], cgroups=tmp_path)
    isolation.confine(pid, "I1")
    [group] = (path for path in tmp_path.iterdir() if path.is_dir())

    assert (group / "cpu.max").read_text() == "200000 100000"
    assert (group / "memory.max").read_text() == str(7 * GIB)
    assert (group / "cgroup.procs").read_text() == str(pid)
    assert "2 vCPU and 7 GiB by cgroup" in isolation.describe(1)


def test_process_that_has_ended_is_no_error(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()

    assert Isolation(SKUS["EP1"], cgroups=tmp_path).confine(process.pid, "I1")
    assert resident_bytes(process.pid) == 0
