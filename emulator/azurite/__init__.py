"""Azurite, Microsoft's emulator of Azure Storage, where the real protocol is needed: tests and benchmarks.

`package-lock.json` pins what npm installs, once, below `.local`.
"""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from emulator.npm import NpmMissing, install_pinned

HERE = Path(__file__).resolve().parent
START_TIMEOUT_S = 60.0
SAVE_TIMEOUT_S = 30.0
ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"The account and key that every Azurite has; they are no secret."


class AzuriteMissing(RuntimeError):
    """Azurite cannot be installed on this machine; the message says what it needs."""


@contextmanager
def running_azurite(folder: Path) -> Iterator["Azurite"]:
    """Azurite on a data folder, which must exist; ended as by a power cut.

    Raises:
        AzuriteMissing: it is not installed and cannot be.
        RuntimeError: it does not start; the message ends with its log.
    """
    azurite = Azurite(_install(), folder)
    try:
        azurite.start()
        yield azurite
    finally:
        azurite.kill()


class Azurite:
    """One Azurite process: blobs and tables on loopback ports of its own, data in its own folder.

    Args:
        program: Azurite's main script.
        folder: where it keeps its data.
    """

    def __init__(self, program: Path, folder: Path) -> None:
        self._program = program
        self._folder = folder
        self.blob_port, self.table_port, self._queue_port = _free_ports(3)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def connection_string(self) -> str:
        """For any client of blobs or tables."""
        return (
            f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={KEY};"
            f"BlobEndpoint=http://127.0.0.1:{self.blob_port}/{ACCOUNT};"
            f"TableEndpoint=http://127.0.0.1:{self.table_port}/{ACCOUNT};"
        )

    @property
    def pid(self) -> int:
        """Of its process, which runs."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start, on the same ports and data as before, and wait until blobs and tables can be used."""
        log = (self._folder / "azurite.log").open("ab")
        options = {
            "--location": self._folder,
            "--blobPort": self.blob_port,
            "--tablePort": self.table_port,
            "--queuePort": self._queue_port,
            # Longer than clients keep a connection, or each pause in a test ends in a race for the socket.
            "--blobKeepAliveTimeout": 60,
            "--tableKeepAliveTimeout": 60,
        }
        self._process = subprocess.Popen(
            [
                *("node", str(self._program), "--silent", "--disableTelemetry", "--skipApiVersionCheck"),
                *(str(part) for option in options.items() for part in option),
            ],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        log.close()
        deadline_s = time.monotonic() + START_TIMEOUT_S
        for port in (self.blob_port, self.table_port):
            while not _accepts(port):
                if self._process.poll() is not None or time.monotonic() > deadline_s:
                    self.kill()
                    said = (self._folder / "azurite.log").read_text(errors="replace")[-2000:]
                    raise RuntimeError(f"Azurite does not start; it said:\n{said}")
                time.sleep(0.02)

    def kill(self) -> None:
        """End it as a power cut would.

        Azurite saves its tables and its list of blobs only every five seconds: call `settle` before, where
        what it has taken must be there again after `start`.
        """
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def settle(self) -> None:
        """Wait until all tables taken so far are on the disk; something must have been written."""
        saved = self._folder / "__azurite_db_table__.json"
        since_s = time.time()
        while not saved.exists() or saved.stat().st_mtime <= since_s:
            if time.time() > since_s + SAVE_TIMEOUT_S:
                raise RuntimeError(f"Azurite has not saved its tables in {SAVE_TIMEOUT_S} s")
            time.sleep(0.02)

    def freeze(self) -> None:
        """Leave its connections open and answer nothing, until `thaw`."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGCONT)


def _install() -> Path:
    """Azurite's main script, installed when it is not there yet."""
    try:
        return install_pinned(HERE, name="Azurite") / "azurite" / "dist" / "src" / "azurite.js"
    except NpmMissing as err:
        raise AzuriteMissing(str(err)) from err


def _free_ports(n: int) -> list[int]:
    with ExitStack() as open_sockets:
        sockets = [open_sockets.enter_context(socket.socket()) for _ in range(n)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def _accepts(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex(("127.0.0.1", port)) == 0
