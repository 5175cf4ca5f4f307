"""The store of user histories, as far as the plan can cut instances off from it.

SQLite     the plan takes the file's write lock: writes wait, and fail after the app's own time limit; reads
           go on, since readers of a file in WAL mode never wait
Azurite    of `--state azurite`, started by the plan: its process is frozen, so that connections stay open
           and nothing answers
others     are not the plan's to cut
"""

import sqlite3
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from emulator.azurite import Azurite, running_azurite
from emulator.premium_plan.errors import CommandError

LOCK_TIMEOUT_S = 10.0
TABLES_CONNECTION_STRING = "RECSERVE_STATE_TABLES_CONNECTION_STRING"
TABLES_URL = "RECSERVE_STATE_TABLES_URL"
SQLITE_PATH = "RECSERVE_STATE_PATH"


class StateStore(Protocol):
    """What can be cut off."""

    description: str

    def cut(self) -> None:
        """From here on instances cannot use it.

        Raises:
            CommandError: it cannot be cut.
        """
        ...

    def restore(self) -> None:
        """They can again; nothing happens where they could all along."""
        ...


class SqliteFile:
    """A `StateStore` in a file that all instances share.

    Args:
        path: the file; nothing is created.
    """

    def __init__(self, path: Path) -> None:
        self.description = f"SQLite at {path}: writes wait, reads go on"
        self._path = path
        self._lock: sqlite3.Connection | None = None

    def cut(self) -> None:
        if self._lock is not None:
            return
        try:
            lock = sqlite3.connect(
                f"{self._path.resolve().as_uri()}?mode=rw",
                uri=True,
                timeout=LOCK_TIMEOUT_S,
                isolation_level=None,
                check_same_thread=False,
            )
            lock.execute("BEGIN IMMEDIATE")
        except sqlite3.Error as err:
            raise CommandError(f"cannot lock {self._path}: {err}; is an instance ready?") from err
        self._lock = lock

    def restore(self) -> None:
        lock, self._lock = self._lock, None
        if lock is not None:
            lock.close()


class FrozenAzurite:
    """A `StateStore` in an Azurite that the plan has started."""

    def __init__(self, azurite: Azurite) -> None:
        self.description = "Azurite, frozen: connections stay open and nothing answers"
        self._azurite = azurite

    def cut(self) -> None:
        self._azurite.freeze()

    def restore(self) -> None:
        self._azurite.thaw()


class ForeignStore:
    """A store that is not the plan's."""

    def __init__(self, where: str) -> None:
        self.description = where

    def cut(self) -> None:
        raise CommandError(
            f"{self.description} is not the plan's to cut; start the plan with --state azurite, or with SQLite"
        )

    def restore(self) -> None:
        pass


def store_of(settings: Mapping[str, str], script_root: Path) -> StateStore:
    """The store that app settings name.

    Args:
        settings: as instances will see them.
        script_root: where relative paths start.
    """
    if settings.get(TABLES_CONNECTION_STRING) or settings.get(TABLES_URL):
        return ForeignStore("the storage account of the app settings")
    return SqliteFile(script_root / settings[SQLITE_PATH])


class OwnAzurite:
    """Starts Azurite for a plan, and ends it with the plan, however that ends."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._running = running_azurite(folder)
        self._guard: subprocess.Popen[bytes] | None = None

    def start(self) -> tuple[StateStore, str]:
        """The store, and its connection string.

        Raises:
            RuntimeError: it cannot be installed, or does not start.
        """
        azurite = self._running.__enter__()
        # Killed, the plan can end nothing; a shell that waits for the end of a pipe can.
        self._guard = subprocess.Popen(
            ["sh", "-c", 'read _; kill -9 "$0"', str(azurite.pid)],
            stdin=subprocess.PIPE,
            start_new_session=True,
        )
        return FrozenAzurite(azurite), azurite.connection_string

    def close(self) -> None:
        self._running.__exit__(None, None, None)
        if self._guard is not None:
            self._guard.kill()
            self._guard.wait()
            with suppress(OSError):
                assert self._guard.stdin is not None
                self._guard.stdin.close()
