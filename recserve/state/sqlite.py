"""What users did, in an SQLite file beside the process: the embedded store."""

import math
import sqlite3
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from time import perf_counter

from recserve.state.database import Database
from recserve.state.store import MAX_HISTORY, Event, History, Recorded, derive_event_id

MAX_INLINE_S = 1e-3
"Below this, holding up the event loop costs less than waking a thread."
SMOOTHING = 0.2
"Weight of the newest read in the smoothed duration."
MAX_EXPIRED = 500
"Expired events that one call deletes in passing: as many as it can bring."

SCHEMA = """
CREATE TABLE IF NOT EXISTS events (
    arrival INTEGER PRIMARY KEY,
    user_id TEXT NOT NULL,
    event_id TEXT NOT NULL,
    item_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    at_s REAL NOT NULL,
    recommendation_id TEXT NOT NULL,
    UNIQUE (user_id, event_id)
);
CREATE INDEX IF NOT EXISTS events_of_user ON events (user_id, at_s, arrival, item_id);
CREATE INDEX IF NOT EXISTS events_by_time ON events (at_s);
"""

INSERT = """
INSERT INTO events (event_id, user_id, item_id, kind, at_s, recommendation_id) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (user_id, event_id) DO NOTHING
"""


class SqliteStore:
    """A `UserStateStore` in one file.

    Writes run on a thread of their own. Reads happen where they are called: the event loop's way to a
    thread and back takes 30 us, where a history of 20 items takes 12 us and one of 100 takes 43 us
    (`docs/decisions.md`). Should reads slow down, as on a cold disk, they move to the thread.

    Args:
        path: the file; one of the first release, with a table `interactions`, is migrated.
        ttl_s: events older than this are gone; infinity keeps them.
        clock: Unix time.

    Raises:
        StateUnavailable: the file cannot be opened.
    """

    def __init__(
        self, path: Path, *, ttl_s: float = math.inf, clock: Callable[[], float] = time.time
    ) -> None:
        self._ttl_s = ttl_s
        self._clock = clock
        self._database = Database(
            path,
            name="user store",
            setting="RECSERVE_STATE_PATH",
            prepare=self._prepare,
            synchronous="NORMAL",
        )
        self._reader = self._database.reader()
        self._read_s = 0.0
        "Smoothed duration of a read."

    def _prepare(self, connection: sqlite3.Connection) -> None:
        for statement in filter(str.strip, SCHEMA.split(";")):
            connection.execute(statement)
        if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'interactions'").fetchone():
            _migrate(connection)
        _delete_expired(connection, self._oldest_s())

    def _oldest_s(self) -> float:
        return self._clock() - self._ttl_s

    async def history(self, user_id: str) -> History:
        if self._read_s <= MAX_INLINE_S:
            with suppress(sqlite3.Error):  # a lock is waited for, and an error reported, by the thread
                return self._history(self._reader, user_id)
        return await self._database.run(self._history, user_id)

    def _history(self, connection: sqlite3.Connection, user_id: str) -> History:
        started_s = perf_counter()
        newest_first = connection.execute(
            "SELECT item_id, at_s FROM events WHERE user_id = ? AND at_s >= ?"
            " ORDER BY at_s DESC, arrival DESC LIMIT ?",
            (user_id, self._oldest_s(), MAX_HISTORY),
        ).fetchall()
        self._read_s += SMOOTHING * (perf_counter() - started_s - self._read_s)
        newest_at_s = newest_first[0][1] if newest_first else -math.inf
        return History([item_id for item_id, _ in reversed(newest_first)], newest_at_s=newest_at_s)

    async def record(self, events: Sequence[Event]) -> Recorded:
        oldest_s = self._oldest_s()
        alive = [event for event in events if event.at_s >= oldest_s]
        n_new = await self._database.run(_record, alive, oldest_s)
        return Recorded(n_new, len(alive) - n_new)

    async def export(self, user_id: str) -> list[Event]:
        return await self._database.run(_export, user_id, self._oldest_s())

    async def erase(self, user_id: str) -> int:
        return await self._database.run(_erase, user_id)

    async def close(self) -> None:
        self._reader.close()
        await self._database.close()


def _record(connection: sqlite3.Connection, events: Sequence[Event], oldest_s: float) -> int:
    before = connection.total_changes
    connection.executemany(INSERT, events)
    n_new = connection.total_changes - before
    connection.executemany(
        "DELETE FROM events WHERE arrival IN (SELECT arrival FROM events WHERE user_id = ?"
        f" ORDER BY at_s DESC, arrival DESC LIMIT -1 OFFSET {MAX_HISTORY})",
        [(user_id,) for user_id in {event.user_id for event in events}],
    )
    _delete_expired(connection, oldest_s)
    return n_new


def _delete_expired(connection: sqlite3.Connection, oldest_s: float) -> None:
    connection.execute(
        "DELETE FROM events WHERE arrival IN (SELECT arrival FROM events WHERE at_s < ? LIMIT ?)",
        (oldest_s, MAX_EXPIRED),
    )


def _export(connection: sqlite3.Connection, user_id: str, oldest_s: float) -> list[Event]:
    newest_first = connection.execute(
        "SELECT event_id, user_id, item_id, kind, at_s, recommendation_id FROM events"
        " WHERE user_id = ? AND at_s >= ? ORDER BY at_s DESC, arrival DESC LIMIT ?",
        (user_id, oldest_s, MAX_HISTORY),
    )
    return [Event(*row) for row in newest_first][::-1]


def _erase(connection: sqlite3.Connection, user_id: str) -> int:
    return connection.execute("DELETE FROM events WHERE user_id = ?", (user_id,)).rowcount


def _migrate(connection: sqlite3.Connection) -> None:
    """Take over the first release's table, which had neither event ids nor kinds."""
    connection.create_function("derive_event_id", 3, derive_event_id, deterministic=True)
    connection.execute(
        "INSERT INTO events (event_id, user_id, item_id, kind, at_s, recommendation_id)"
        " SELECT derive_event_id(user_id, item_id, at_s), user_id, item_id, 'view', at_s, ''"
        " FROM interactions WHERE true ORDER BY at_s, item_id ON CONFLICT (user_id, event_id) DO NOTHING"
    )
    connection.execute("DROP TABLE interactions")
