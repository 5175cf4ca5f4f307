from collections.abc import Callable
from pathlib import Path

import pytest

from recserve.telemetry import names
from recserve.telemetry.contention import (
    ContentionSampler,
    LoopLag,
    Source,
    cgroup_sources,
    process_sources,
    service_sources,
)


def write(root: Path, files: dict[str, str]) -> Path:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)
    return root


def sample(root: Path, then: dict[str, str], *, seconds: float = 1.0) -> dict[str, float]:
    """What the container's sources say after the files have changed."""
    sampler = ContentionSampler(cgroup_sources(cgroups=root / "cgroup", proc=root / "proc"), 0.0)
    write(root, then)
    return sampler.sample(seconds)


MEMINFO = {"proc/meminfo": "MemTotal:       16384 kB\nMemFree: 1 kB\n"}


def test_second_version_of_cgroups_tells_use_throttling_and_limits(tmp_path: Path) -> None:
    root = write(
        tmp_path,
        MEMINFO
        | {
            "proc/self/cgroup": "0::/app\n",
            "cgroup/cgroup.controllers": "cpu memory",
            "cgroup/app/cpu.stat": "usage_usec 1000000\nthrottled_usec 500000\n",
            "cgroup/app/cpu.max": "50000 100000\n",
            "cgroup/app/memory.max": "4194304\n",
        },
    )

    sampled = sample(
        root, {"cgroup/app/cpu.stat": "usage_usec 2500000\nthrottled_usec 700000\n"}, seconds=2.0
    )

    assert sampled == {
        names.CGROUP_CPU: pytest.approx(0.75),
        names.THROTTLED: pytest.approx(0.1),
        names.CORES: 0.5,
        names.MEM_LIMIT: 4194304,
    }


def test_first_version_of_cgroups_tells_the_same(tmp_path: Path) -> None:
    root = write(
        tmp_path,
        MEMINFO
        | {
            "cgroup/cpuacct/cpuacct.usage": "1000000000",
            "cgroup/cpu/cpu.stat": "nr_periods 3\nthrottled_time 0\n",
            "cgroup/cpu/cpu.cfs_quota_us": "-1",
            "cgroup/cpu/cpu.cfs_period_us": "100000",
            "cgroup/memory/memory.limit_in_bytes": "9223372036854771712",
        },
    )

    sampled = sample(root, {"cgroup/cpu/cpu.stat": "nr_periods 3\nthrottled_time 250000000\n"})

    assert sampled[names.THROTTLED] == pytest.approx(0.25)
    assert sampled[names.CGROUP_CPU] == 0.0
    assert sampled[names.CORES] >= 1
    assert sampled[names.MEM_LIMIT] == 16384 * 1024


def test_container_without_any_of_it_is_survived(tmp_path: Path) -> None:
    assert sample(tmp_path, {}) == {}


def test_pressure_is_the_share_of_the_second_that_was_lost(tmp_path: Path) -> None:
    stalled = (
        "some avg10=0.00 avg60=0.00 avg300=0.00 total={}\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n"
    )
    root = write(
        tmp_path,
        {"self/statm": "100 50 0", "pressure/cpu": stalled.format(1_000_000), "pressure/io": "unreadable"},
    )
    sampler = ContentionSampler(process_sources(proc=root), 0.0)
    write(root, {"pressure/cpu": stalled.format(1_300_000)})

    sampled = sampler.sample(1.0)

    assert sampled[names.PRESSURE_CPU] == pytest.approx(0.3)
    assert not {names.PRESSURE_MEMORY, names.PRESSURE_IO} & sampled.keys()


def test_platform_without_proc_has_what_psutil_knows(tmp_path: Path) -> None:
    sampler = ContentionSampler(process_sources(proc=tmp_path), 0.0)

    assert {names.CPU_USAGE, names.THREADS, names.MEM_USAGE, names.MEM_LIMIT, names.CORES} <= sampler.names


def test_source_that_fails_later_is_left_out_of_that_sample() -> None:
    readings = iter([1.0, 2.0])
    sampler = ContentionSampler(
        service_sources({"queue": lambda: next(readings), "limit": lambda: 16.0}), 0.0
    )

    assert sampler.sample(1.0) == {"queue": 2.0, "limit": 16.0}
    assert sampler.sample(2.0) == {"limit": 16.0}


def test_total_that_starts_over_is_no_growth() -> None:
    readings = iter([10.0, 3.0])
    sampler = ContentionSampler(iter([Source("total", lambda: next(readings), is_total=True)]), 0.0)

    assert sampler.sample(1.0) == {"total": 0.0}


def test_lag_of_a_loop_is_what_a_callback_waits() -> None:
    now_s = 0.0
    waiting: list[Callable[[], None]] = []
    lag = LoopLag(waiting.append, clock=lambda: now_s)
    lag.send()
    now_s = 0.25
    stuck_s = lag.read()
    lag.send()
    waiting.pop()()

    assert (stuck_s, lag.read(), waiting) == (0.25, 0.25, [])


def test_every_source_has_an_instrument() -> None:
    sampler = ContentionSampler(process_sources(), 0.0)

    assert sampler.names <= set(names.SAMPLED)


@pytest.mark.parametrize(("platform", "is_told"), [("darwin", False), ("win32", False), ("freebsd14", True)])
def test_switches_are_sampled_where_psutil_counts_them(platform: str, is_told: bool, tmp_path: Path) -> None:
    sources = process_sources(proc=tmp_path, platform=platform)

    assert (names.PREEMPTIONS in {source.name for source in sources}) == is_told
