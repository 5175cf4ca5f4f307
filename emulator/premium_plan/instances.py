"""One instance: a process that hosts the function app as `python -m emulator start` does, and what it says."""

import asyncio
import ctypes
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from emulator.premium_plan.settings import REPOSITORY

N_LAST_LINES = 20
PR_SET_PDEATHSIG = 1

# The kernel is to kill an instance when the plan's process is gone. `setpriv` asks for that without code between
# fork and exec, for which Python would copy the plan's memory and hold up its event loop: 0.4 ms instead of 4.
_setpriv = shutil.which("setpriv") if sys.platform == "linux" else None
_prctl = getattr(ctypes.CDLL(None), "prctl", None) if sys.platform == "linux" and not _setpriv else None


class InstanceProcess:
    """A host process on a port of its own; it ends with the plan, however the plan ends.

    Args:
        instance: its id.
        log: file that gets all that it says.
        on_exit: called on the event loop once it has ended.

    Attributes:
        exit_status: None while it runs; negative is the signal that ended it.
    """

    def __init__(
        self,
        instance: str,
        *,
        script_root: Path,
        environment: Mapping[str, str],
        log: Path,
        on_exit: Callable[[], None],
    ) -> None:
        self.instance = instance
        self.port = free_port()
        self.log = log
        self.exit_status: int | None = None
        self.ended = asyncio.Event()
        self._lines: deque[str] = deque(maxlen=N_LAST_LINES)
        self._on_exit = on_exit
        self._loop = asyncio.get_running_loop()
        bound = (_setpriv, "--pdeathsig", "KILL") if _setpriv else ()
        command = ("-m", "emulator", "start", "--host", "127.0.0.1", "--port", str(self.port))
        self._process = subprocess.Popen(
            [*bound, sys.executable, *command, "--script-root", str(script_root)],
            cwd=REPOSITORY,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C reaches it through the plan alone
            preexec_fn=_die_with_parent if _prctl is not None else None,
        )
        self.pid = self._process.pid
        threading.Thread(target=self._listen, name=f"output-{instance}", daemon=True).start()

    @property
    def last_lines(self) -> list[str]:
        """What it has said last, standard output and error together."""
        return list(self._lines)

    def send_signal(self, number: int) -> None:
        """Nothing happens to a process that has ended."""
        with suppress(ProcessLookupError):
            self._process.send_signal(number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    async def stop(self, timeout_s: float) -> None:
        """Let it end by itself, for so long; returns when it has ended."""
        self.send_signal(signal.SIGTERM)
        self.send_signal(signal.SIGCONT)
        try:
            async with asyncio.timeout(timeout_s):
                await self.ended.wait()
        except TimeoutError:
            self.kill()
            await self.ended.wait()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as said, self.log.open("ab") as log:
            for line in said:
                if text := line.decode(errors="replace").rstrip():
                    self._lines.append(text)
                with suppress(OSError):  # a full disk must not stop the instance
                    log.write(line)
                    log.flush()
        status = self._process.wait()
        with suppress(RuntimeError):  # the loop is closed: the plan has ended
            self._loop.call_soon_threadsafe(self._exited, status)

    def _exited(self, status: int) -> None:
        self.exit_status = status
        self.ended.set()
        self._on_exit()


def free_port() -> int:
    """A port of the loopback address that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def ending_of(status: int | None) -> str:
    """How a process ended, in words."""
    if status is not None and status < 0:
        with suppress(ValueError):
            return f"killed by {signal.Signals(-status).name}"
    return f"exit status {status}"


def _die_with_parent() -> None:
    """Runs in the child, between fork and exec."""
    if _prctl is not None:
        _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
