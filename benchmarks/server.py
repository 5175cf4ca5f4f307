"""The app under test: the real function app behind the stand-in host, in a process and on a core of its own."""

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
START_LIMIT_S = 60.0


@dataclass(frozen=True, slots=True)
class Server:
    port: int
    pid: int
    log: Path

    def cpu_s(self) -> float:
        """Processor time that the process has used."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def rss_mib(self) -> float:
        """Resident memory of the process."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


@contextmanager
def serving(
    settings: Mapping[str, str], *, core: int, log: Path, options: Sequence[str] = ()
) -> Generator[Server, None, None]:
    """Start the app with these settings on one core, wait until it is ready, stop it in the end.

    Args:
        settings: app settings, over those of `local.settings.json`.
        core: the processor core it runs on.
        log: where its output goes.
        options: of `python -m emulator start`.

    Raises:
        RuntimeError: it did not get ready; the message ends with its log.
    """
    port = free_port()
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "emulator", "start", "--port", str(port), *options],
            cwd=ROOT,
            env={**os.environ, "PYTHONUNBUFFERED": "1", "OMP_NUM_THREADS": "1", **settings},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        os.sched_setaffinity(process.pid, {core})
        _wait_until_ready(process, port, log)
        yield Server(port, process.pid, log)
    finally:
        process.terminate()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def _wait_until_ready(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    give_up_s = time.monotonic() + START_LIMIT_S
    while time.monotonic() < give_up_s and process.poll() is None:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/api/health/ready", timeout=5).close()
        except (urllib.error.URLError, OSError):
            time.sleep(0.05)
        else:
            return
    raise RuntimeError(f"the app did not get ready:\n{log.read_text()[-2000:]}")
