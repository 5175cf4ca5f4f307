"""A contender's processes, all on one core, from their start to their end."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from benchmarks.peers.contenders import Launch
from benchmarks.peers.measuring import ask
from benchmarks.server import ROOT

START_LIMIT_S = 60.0
STOP_LIMIT_S = 5.0
POLL_S = 0.002


@dataclass(frozen=True, slots=True)
class Running:
    port: int
    first_answer_s: float
    "From the start of the process to the first recommendation."
    pid: int
    "The process that was started; others descend from it."

    def cpu_s(self) -> float:
        """Processor time of it and all its descendants that live."""
        ticks = sum(process.ticks for process in _family(self.pid))
        return ticks / os.sysconf("SC_CLK_TCK")


class _Process(NamedTuple):
    pid: int
    parent: int
    ticks: int


def _family(pid: int) -> list[_Process]:
    """A process and its descendants; some servers give their workers sessions of their own."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:  # it has just ended
            continue
        found.append(_Process(int(stat.parent.name), int(fields[1]), int(fields[11]) + int(fields[12])))
    family = {pid}
    while descendants := {process.pid for process in found if process.parent in family} - family:
        family |= descendants
    return [process for process in found if process.pid in family]


def busy_s(cores: Sequence[int]) -> float:
    """Time that these cores have not been idle, whoever used them, the hypervisor's other guests included."""
    names = {f"cpu{core}" for core in cores}
    rows = (line.split() for line in Path("/proc/stat").read_text().splitlines())
    # user, nice, system, idle, iowait, irq, softirq, steal
    ticks = sum(sum(map(int, row[1:4])) + sum(map(int, row[6:9])) for row in rows if row[0] in names)
    return ticks / os.sysconf("SC_CLK_TCK")


@contextmanager
def on_core(core: int) -> Iterator[None]:
    """This process, and those that it starts meanwhile, on one core."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextmanager
def running(launch: Launch, *, port: int, request: bytes, core: int, log: Path) -> Iterator[Running]:
    """Start a contender, knock until it answers a recommendation, and end all its processes at last.

    Args:
        launch: what to start.
        port: where it will listen.
        request: a whole HTTP request for a recommendation.
        core: the processor core of all its processes.
        log: where its output goes.

    Raises:
        RuntimeError: it did not answer; the message ends with its log.
    """
    with log.open("w") as output, on_core(core):
        started_s = time.perf_counter()
        process = subprocess.Popen(
            launch.command,
            cwd=ROOT,
            env={**os.environ, "OMP_NUM_THREADS": "1", **launch.environment},
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _knock(process, port, request, log)
        yield Running(port, time.perf_counter() - started_s, process.pid)
    finally:
        _end(process)


def _knock(process: subprocess.Popen[bytes], port: int, request: bytes, log: Path) -> None:
    give_up_s = time.monotonic() + START_LIMIT_S
    said = ""
    while time.monotonic() < give_up_s and process.poll() is None:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=START_LIMIT_S) as connection:
                status, answer = ask(connection, request)
        except OSError:
            pass
        else:
            if status == 200:
                return
            said = f" ({status}: {answer[:200]!r})"
        time.sleep(POLL_S)
    raise RuntimeError(f"no answer came on port {port}{said}; the log ends with:\n{log.read_text()[-2000:]}")


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ask it to end, wait, and kill what is left of it and its descendants."""
    family = [member.pid for member in _family(process.pid)]
    process.terminate()
    give_up_s = time.monotonic() + STOP_LIMIT_S
    while time.monotonic() < give_up_s and any(map(_is_alive, family)):
        process.poll()
        time.sleep(0.02)
    for pid in family:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.wait()


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
