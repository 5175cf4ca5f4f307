"""An SQLite file and the thread that works on it."""

import asyncio
import logging
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Concatenate, Literal, ParamSpec, TypeVar

from recserve.errors import StateUnavailable

BUSY_TIMEOUT_S = 5.0
"Longest a transaction waits for that of another process."

P = ParamSpec("P")
T = TypeVar("T")

log = logging.getLogger(__name__)


class Database:
    """A file in WAL mode: one transaction at a time writes, readers never wait for it.

    Transactions run on a thread of their own, in the order of the calls, so that a slow disk never stops
    the event loop.

    Args:
        path: the file; it and its folder are made when missing, readable by their owner alone.
        name: what the file is, for messages.
        setting: the app setting that says where it is, for messages.
        prepare: makes or migrates the tables, within one transaction.
        synchronous: `FULL` puts a transaction on the disk before it is reported done; `NORMAL` may lose
            the last ones when the machine (not merely the process) stops.

    Raises:
        StateUnavailable: the file cannot be opened.
    """

    def __init__(
        self,
        path: Path,
        *,
        name: str,
        setting: str,
        prepare: Callable[[sqlite3.Connection], None],
        synchronous: Literal["NORMAL", "FULL"],
    ) -> None:
        self._path = path
        self._name = name
        self._synchronous = synchronous
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=name.replace(" ", "-"))
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            path.touch(mode=0o600)
            self._connection = self._thread.submit(self._open, prepare).result()
        except (OSError, sqlite3.Error) as err:
            self._thread.shutdown()
            log.error("cannot open %s", path)
            raise StateUnavailable(
                f"the {name} cannot be opened: {err}; set {setting} to a file that can be written"
            ) from err

    def _open(self, prepare: Callable[[sqlite3.Connection], None]) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, timeout=BUSY_TIMEOUT_S, isolation_level=None)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute(f"PRAGMA synchronous={self._synchronous}")
        _in_transaction(connection, prepare)
        return connection

    def reader(self) -> sqlite3.Connection:
        """A further connection for short reads on any one thread; it never waits for a lock."""
        return sqlite3.connect(self._path, timeout=0.0, isolation_level=None, check_same_thread=False)

    async def run(
        self, work: Callable[Concatenate[sqlite3.Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Do some work on the file, as one transaction; cancelling the caller does not stop it.

        Raises:
            StateUnavailable: SQLite failed, and nothing was changed.
        """

        def transaction() -> T:
            return _in_transaction(self._connection, work, *args, **kwargs)

        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, transaction)
        except sqlite3.Error as err:
            raise StateUnavailable(f"the {self._name} cannot be used: {err}") from err

    async def close(self) -> None:
        await asyncio.get_running_loop().run_in_executor(self._thread, self._connection.close)
        self._thread.shutdown()


def _in_transaction(
    connection: sqlite3.Connection,
    work: Callable[Concatenate[sqlite3.Connection, P], T],
    *args: P.args,
    **kwargs: P.kwargs,
) -> T:
    connection.execute("BEGIN IMMEDIATE")
    try:
        result = work(connection, *args, **kwargs)
        connection.execute("COMMIT")
        return result
    except BaseException:
        if connection.in_transaction:  # SQLite has rolled some errors back itself
            connection.execute("ROLLBACK")
        raise
