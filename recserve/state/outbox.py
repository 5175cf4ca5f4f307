"""Events that were acknowledged while the store was down, on local disk until it takes them."""

import asyncio
import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from recserve.errors import StateUnavailable
from recserve.state.database import Database
from recserve.state.store import Event, Recorded

SCHEMA = """
CREATE TABLE IF NOT EXISTS outbox (
    arrival INTEGER PRIMARY KEY AUTOINCREMENT,
    event_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    item_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    at_s REAL NOT NULL,
    recommendation_id TEXT NOT NULL,
    UNIQUE (user_id, event_id)
)
"""

INSERT = """
INSERT INTO outbox (event_id, user_id, item_id, kind, at_s, recommendation_id) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (user_id, event_id) DO NOTHING
"""


class Letter(NamedTuple):
    """An event in the outbox."""

    arrival: int
    "Its number; smaller ones came earlier."
    event: Event


class _Unwritten(NamedTuple):
    events: Sequence[Event]
    recorded: "asyncio.Future[Recorded]"


class Outbox:
    """A queue of events that survives a crash of the process and of the machine.

    The file is the truth; a copy in memory answers questions without touching the disk. Batches that come
    while the disk is busy share its next write, since a write that waits for the platter costs the same
    for one event as for hundreds. Processes of one instance may share the file: each then sends what it
    finds there, and sending twice is harmless.

    Args:
        path: the file, on a disk that outlives the process; user ids stand there in clear.
        max_events: how many may wait.

    Raises:
        StateUnavailable: the file cannot be opened.
    """

    def __init__(self, path: Path, *, max_events: int = 50_000) -> None:
        self._max_events = max_events
        self._waiting: dict[str, dict[str, Event]] = {}
        "By user id and event id, in the order of arrival."
        self._n_waiting = 0
        self._unwritten: list[_Unwritten] = []
        self._writing: asyncio.Task[None] | None = None
        self._database = Database(
            path, name="outbox", setting="RECSERVE_OUTBOX_PATH", prepare=self._prepare, synchronous="FULL"
        )

    def _prepare(self, connection: sqlite3.Connection) -> None:
        connection.execute(SCHEMA)
        self._remember(letter.event for letter in _oldest(connection, -1))

    def __len__(self) -> int:
        return self._n_waiting

    def waiting(self, user_id: str) -> list[Event]:
        """A user's events that wait, in the order of arrival."""
        return list(self._waiting.get(user_id, {}).values())

    async def add(self, events: Sequence[Event]) -> Recorded:
        """Keep events; when this returns they are on the disk.

        Raises:
            StateUnavailable: the outbox is full or cannot be written.
        """
        n_unwritten = sum(len(batch.events) for batch in self._unwritten)
        if self._n_waiting + n_unwritten + len(events) > self._max_events:
            raise StateUnavailable(
                f"the user store is down and the outbox is full: {self._n_waiting + n_unwritten} events wait,"
                f" {len(events)} came, {self._max_events} may wait; try again later"
            )
        loop = asyncio.get_running_loop()
        batch = _Unwritten(events, loop.create_future())
        self._unwritten.append(batch)
        if self._writing is None:
            self._writing = loop.create_task(self._write())
        return await batch.recorded

    async def _write(self) -> None:
        try:
            while self._unwritten:
                batches, self._unwritten = self._unwritten, []
                await self._write_together(batches)
        finally:
            self._writing = None

    async def _write_together(self, batches: list[_Unwritten]) -> None:
        try:
            counts = await self._database.run(_insert, [batch.events for batch in batches])
        except Exception as err:
            for batch in batches:
                if not batch.recorded.done():
                    batch.recorded.set_exception(err)
            return
        for batch, n_new in zip(batches, counts, strict=True):
            self._remember(batch.events)
            if not batch.recorded.done():
                batch.recorded.set_result(Recorded(n_new, len(batch.events) - n_new, is_deferred=True))

    async def oldest(self, n: int) -> list[Letter]:
        """Up to n events, in the order of arrival.

        Raises:
            StateUnavailable: the file cannot be read.
        """
        letters = await self._database.run(_oldest, n)
        if not letters:  # another process has sent ours; whatever is being added is remembered after this
            self._waiting.clear()
            self._n_waiting = 0
        return letters

    async def remove(self, letters: Sequence[Letter]) -> None:
        """Forget events that the store has taken.

        Raises:
            StateUnavailable: the file cannot be written; they will be sent again.
        """
        await self._database.run(_remove, [letter.arrival for letter in letters])
        for _, event in letters:
            self._forget(event.user_id, event.event_id)

    async def purge(self, user_id: str) -> int:
        """Remove a user's events unsent; returns how many.

        Raises:
            StateUnavailable: the file cannot be written.
        """
        n_removed = await self._database.run(_purge, user_id)
        for event in self.waiting(user_id):
            self._forget(user_id, event.event_id)
        return n_removed

    async def close(self) -> None:
        if self._writing is not None:
            await asyncio.wait([self._writing])
        await self._database.close()

    def _remember(self, events: Iterable[Event]) -> None:
        for event in events:
            of_user = self._waiting.setdefault(event.user_id, {})
            self._n_waiting += event.event_id not in of_user
            of_user.setdefault(event.event_id, event)

    def _forget(self, user_id: str, event_id: str) -> None:
        of_user = self._waiting.get(user_id, {})
        self._n_waiting -= of_user.pop(event_id, None) is not None
        if not of_user:
            self._waiting.pop(user_id, None)


def _insert(connection: sqlite3.Connection, batches: Sequence[Sequence[Event]]) -> list[int]:
    """New events of each batch."""
    counts = []
    for events in batches:
        before = connection.total_changes
        connection.executemany(INSERT, events)
        counts.append(connection.total_changes - before)
    return counts


def _oldest(connection: sqlite3.Connection, n: int) -> list[Letter]:
    rows = connection.execute(
        "SELECT arrival, event_id, user_id, item_id, kind, at_s, recommendation_id FROM outbox"
        " ORDER BY arrival LIMIT ?",
        (n,),
    )
    return [Letter(arrival, Event(*event)) for arrival, *event in rows]


def _remove(connection: sqlite3.Connection, arrivals: Sequence[int]) -> None:
    connection.executemany("DELETE FROM outbox WHERE arrival = ?", [(arrival,) for arrival in arrivals])


def _purge(connection: sqlite3.Connection, user_id: str) -> int:
    return connection.execute("DELETE FROM outbox WHERE user_id = ?", (user_id,)).rowcount
