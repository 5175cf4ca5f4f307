"""User histories in an SQLite file beside the process: the embedded store."""

import asyncio
import logging
import sqlite3
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from recserve.errors import StateUnavailable
from recserve.state.store import MAX_HISTORY, Interaction

log = logging.getLogger(__name__)

SCHEMA = """
CREATE TABLE IF NOT EXISTS interactions (
    user_id TEXT NOT NULL,
    at_s REAL NOT NULL,
    item_id TEXT NOT NULL,
    PRIMARY KEY (user_id, at_s, item_id)
) WITHOUT ROWID
"""


class SqliteStore:
    """A `UserStateStore` in one file, in WAL mode: readers never wait for the writer.

    Statements run on a thread of their own, so a slow disk never stops the event loop.

    Raises:
        StateUnavailable: the file cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="sqlite")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = self._thread.submit(self._open, path).result()
        except (OSError, sqlite3.Error) as err:
            self._thread.shutdown()
            log.error("cannot open %s", path)
            raise StateUnavailable(
                f"the user store cannot be opened: {err}; set RECSERVE_STATE_PATH to a file that can be written"
            ) from err

    @staticmethod
    def _open(path: Path) -> sqlite3.Connection:
        connection = sqlite3.connect(path, timeout=5.0)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute(SCHEMA)
        connection.commit()
        return connection

    async def history(self, user_id: str) -> list[str]:
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._history, user_id)

    def _history(self, user_id: str) -> list[str]:
        newest_first = self._connection.execute(
            "SELECT item_id FROM interactions WHERE user_id = ? ORDER BY at_s DESC, item_id DESC LIMIT ?",
            (user_id, MAX_HISTORY),
        ).fetchall()
        return [item_id for (item_id,) in reversed(newest_first)]

    async def record(self, interactions: Iterable[Interaction]) -> int:
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._record, interactions)

    def _record(self, interactions: Iterable[Interaction]) -> int:
        before = self._connection.total_changes
        with self._connection:
            self._connection.executemany(
                "INSERT OR IGNORE INTO interactions (user_id, item_id, at_s) VALUES (?, ?, ?)", interactions
            )
        return self._connection.total_changes - before

    async def close(self) -> None:
        await asyncio.get_running_loop().run_in_executor(self._thread, self._connection.close)
        self._thread.shutdown()
