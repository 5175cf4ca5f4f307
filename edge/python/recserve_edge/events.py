"""What users did, on the device: kept until the service has it, and after that as their local history.

An SQLite file in the cache directory, in WAL mode, which several processes may share; where it cannot be opened
events stay in memory, and that is said. An event goes from *waiting* to *sent* only once the service said that it
keeps it, and the service counts it once by its id, however often it is sent.
"""

import json
import logging
import sqlite3
import threading
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from recserve_edge.errors import EventNotKept, InvalidRequest
from recserve_edge.request import ItemId, require_id

EVENTS_NAME = "events.db"
KINDS = ("view", "click", "add", "purchase")
MAX_WAITING = 50_000
"Events that may wait for the service."
MAX_LOCAL_HISTORY = 500
"Newest events of a user that are kept on the device."
MAX_AGE_S = 90 * 86_400.0
"Events that were sent leave the device after this."
MAX_REPORTS = 20
"Reports that may wait; older ones are dropped."
BUSY_TIMEOUT_S = 5.0

SCHEMA = """
CREATE TABLE IF NOT EXISTS events (
    arrival INTEGER PRIMARY KEY AUTOINCREMENT,
    event_id TEXT NOT NULL UNIQUE,
    user_id TEXT NOT NULL,
    item_id TEXT NOT NULL,
    body TEXT NOT NULL,
    at_s REAL NOT NULL,
    is_waiting INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS events_of_user ON events (user_id, arrival);
CREATE INDEX IF NOT EXISTS events_waiting ON events (arrival) WHERE is_waiting;
CREATE TABLE IF NOT EXISTS reports (
    arrival INTEGER PRIMARY KEY AUTOINCREMENT,
    report_id TEXT NOT NULL UNIQUE,
    body TEXT NOT NULL
);
"""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something a user did with an item, as `POST /api/events` reads it."""

    event_id: str
    user_id: str
    item_id: ItemId
    kind: str
    at: str = ""
    "ISO 8601, UTC; empty where the device cannot know, and the service takes the time of arrival."
    recommendation_id: str = ""

    def body(self) -> dict[str, Any]:
        return {name: value for name, value in asdict(self).items() if value != ""}


class Waiting(NamedTuple):
    """Something that is to be sent."""

    arrival: int
    body: dict[str, Any]


class EventStore:
    """Events and reports on disk, or in memory where that cannot be.

    Args:
        folder: the cache directory; None: in memory.
        max_waiting: events that may wait.

    Attributes:
        error: why events are in memory only; empty when they are on disk.
    """

    def __init__(self, folder: Path | None, *, max_waiting: int = MAX_WAITING) -> None:
        self.error = "" if folder else "no directory was given"
        self._max_waiting = max_waiting
        self._lock = threading.Lock()
        if folder is not None:
            try:
                folder.mkdir(parents=True, exist_ok=True, mode=0o700)
                self._connection = _open_or_replace(folder / EVENTS_NAME)
            except (OSError, sqlite3.Error) as err:
                self.error = f"cannot write events to {folder}: {err}"
                log.warning("events stay in memory and are lost with the process: %s", self.error)
        if self.error:
            self._connection = _open(Path(":memory:"))

    def record(
        self, *, item_id: ItemId, user_id: str, kind: str, at_s: float | None, recommendation_id: str = ""
    ) -> Event:
        """Write an event down; when this returns it is on the disk.

        Raises:
            InvalidRequest: a value is not allowed.
            EventNotKept: too many wait, or the disk is full.
        """
        require_id("item_id", item_id)
        require_id("user_id", user_id, kinds=(str,))
        if kind not in KINDS:
            raise InvalidRequest(
                f"kind: {kind!r} is not allowed; send {', '.join(KINDS[:-1])} or {KINDS[-1]}"
            )
        event = Event(
            event_id=str(uuid.uuid4()),
            user_id=user_id,
            item_id=item_id,
            kind=kind,
            at="" if at_s is None else _as_text(at_s),
            recommendation_id=recommendation_id,
        )
        with self._transaction() as connection:
            if _n_waiting(connection) >= self._max_waiting:
                raise EventNotKept(
                    f"{self._max_waiting} events wait for the service already; connect the device"
                )
            connection.execute(
                "INSERT INTO events (event_id, user_id, item_id, body, at_s, is_waiting) VALUES (?, ?, ?, ?, ?, 1)",
                (event.event_id, user_id, json.dumps(item_id), json.dumps(event.body()), at_s or 0.0),
            )
            connection.execute(
                "DELETE FROM events WHERE NOT is_waiting AND arrival IN (SELECT arrival FROM events"
                f" WHERE user_id = ? ORDER BY arrival DESC LIMIT -1 OFFSET {MAX_LOCAL_HISTORY})",
                (user_id,),
            )
        return event

    def local_history(self, user_id: str) -> list[ItemId]:
        """Items of a user's events on this device, sent or not, oldest first."""
        return self._items_of("user_id = ?", user_id)

    def waiting_items(self, user_id: str) -> list[ItemId]:
        """Items of a user's events that the service does not have yet, oldest first."""
        return self._items_of("user_id = ? AND is_waiting", user_id)

    def _items_of(self, condition: str, user_id: str) -> list[ItemId]:
        try:
            rows = self._read(
                f"SELECT item_id FROM events WHERE {condition} ORDER BY arrival DESC LIMIT {MAX_LOCAL_HISTORY}",
                user_id,
            )
        except EventNotKept as err:  # an answer without them is better than none
            log.warning("%s", err)
            return []
        return [json.loads(item_id) for (item_id,) in reversed(rows)]

    def n_waiting(self) -> int:
        """How many events the service does not have yet.

        Raises:
            EventNotKept: they cannot be read.
        """
        n: int = self._read("SELECT count(*) FROM events WHERE is_waiting = ?", 1)[0][0]
        return n

    def oldest_waiting(self, n: int) -> list[Waiting]:
        """Up to n events that the service does not have yet, in the order they happened."""
        rows = self._read("SELECT arrival, body FROM events WHERE is_waiting ORDER BY arrival LIMIT ?", n)
        return [Waiting(arrival, json.loads(body)) for arrival, body in rows]

    def mark_sent(self, events: Sequence[Waiting], *, now_s: float) -> None:
        """The service keeps these; here they stay as local history."""
        with self._transaction() as connection:
            connection.executemany(
                "UPDATE events SET is_waiting = 0 WHERE arrival = ?", [(event.arrival,) for event in events]
            )
            connection.execute(
                "DELETE FROM events WHERE NOT is_waiting AND at_s > 0 AND at_s < ?", (now_s - MAX_AGE_S,)
            )

    def drop(self, event: Waiting) -> None:
        """Forget an event that the service refuses."""
        with self._transaction() as connection:
            connection.execute("DELETE FROM events WHERE arrival = ?", (event.arrival,))

    def erase(self, user_id: str) -> int:
        """Forget a user's events, those that wait too; returns how many there were."""
        with self._transaction() as connection:
            return connection.execute("DELETE FROM events WHERE user_id = ?", (user_id,)).rowcount

    def keep_report(self, report: dict[str, Any]) -> None:
        """Write a report down: a retry must send the same one."""
        with self._transaction() as connection:
            connection.execute(
                "INSERT INTO reports (report_id, body) VALUES (?, ?)",
                (report["report_id"], json.dumps(report)),
            )
            connection.execute(
                "DELETE FROM reports WHERE arrival IN"
                f" (SELECT arrival FROM reports ORDER BY arrival DESC LIMIT -1 OFFSET {MAX_REPORTS})"
            )

    def oldest_report(self) -> Waiting | None:
        rows = self._read("SELECT arrival, body FROM reports ORDER BY arrival LIMIT ?", 1)
        return Waiting(rows[0][0], json.loads(rows[0][1])) if rows else None

    def drop_report(self, report: Waiting) -> None:
        """Forget a report that the service has, or refuses."""
        with self._transaction() as connection:
            connection.execute("DELETE FROM reports WHERE arrival = ?", (report.arrival,))

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    def _read(self, query: str, parameter: str | int) -> list[tuple[Any, ...]]:
        with self._lock:
            try:
                return self._connection.execute(query, (parameter,)).fetchall()
            except sqlite3.Error as err:
                raise EventNotKept(f"events cannot be read: {err}; see to the device's disk") from err

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        connection = self._connection
        with self._lock:
            try:
                connection.execute("BEGIN IMMEDIATE")
                yield connection
                connection.execute("COMMIT")
            except sqlite3.Error as err:
                _roll_back(connection)
                raise EventNotKept(
                    f"events cannot be written: {err}; make room on the device's disk"
                ) from err
            except BaseException:
                _roll_back(connection)
                raise


def _open_or_replace(path: Path) -> sqlite3.Connection:
    """Open the file; one that is damaged is put aside, so that the device does not stay without for ever."""
    try:
        return _open(path)
    except sqlite3.DatabaseError as err:
        if getattr(err, "sqlite_errorcode", None) not in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
            raise
        aside = path.with_suffix(".damaged")
        log.error("%s is damaged: %s; it is put aside as %s", path, err, aside.name)
        path.replace(aside)
        for suffix in ("-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        return _open(path)


def _open(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.executescript(SCHEMA)
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _roll_back(connection: sqlite3.Connection) -> None:
    if connection.in_transaction:  # SQLite has rolled some errors back itself
        connection.execute("ROLLBACK")


def _as_text(at_s: float) -> str:
    return datetime.fromtimestamp(at_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _n_waiting(connection: sqlite3.Connection) -> int:
    n: int = connection.execute("SELECT count(*) FROM events WHERE is_waiting").fetchone()[0]
    return n
