"""Clocks, stores and servers for the tests of user state."""

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import numpy as np
import pytest

from recserve.errors import StateUnavailable
from recserve.state.outbox import Outbox
from recserve.state.resilience import CircuitBreaker, ResilientStore
from recserve.state.store import Event, History, Recorded, UserStateStore, merge, to_history

NOW_S = 1_700_000_000.0
PATIENCE_S = 30.0
"For what happens in the background; only a failing test waits that long."
DEAD_END = (
    "DefaultEndpointsProtocol=http;AccountName=a;AccountKey=a2V5;TableEndpoint=http://127.0.0.1:{port}/a"
)


class Clock:
    def __init__(self, now_s: float = NOW_S) -> None:
        self.now_s = now_s

    def __call__(self) -> float:
        return self.now_s


class MemoryStore:
    """A store that fails, or waits, when told to, and counts how often it is asked."""

    def __init__(self) -> None:
        self.events: dict[str, list[Event]] = {}
        self.is_down = False
        self.n_calls = 0
        self.is_closed = False

    def _meet(self) -> None:
        self.n_calls += 1
        if self.is_down:
            raise StateUnavailable("the store is down")

    async def history(self, user_id: str) -> History:
        self._meet()
        return to_history(self.events.get(user_id, []))

    async def record(self, events: list[Event]) -> Recorded:
        self._meet()
        n_new = 0
        for event in events:
            kept = self.events.setdefault(event.user_id, [])
            n_new += event.event_id not in {each.event_id for each in kept}
            self.events[event.user_id] = merge(kept, [event])
        return Recorded(n_new, len(events) - n_new)

    async def export(self, user_id: str) -> list[Event]:
        self._meet()
        return list(self.events.get(user_id, []))

    async def erase(self, user_id: str) -> int:
        self._meet()
        return len(self.events.pop(user_id, []))

    async def close(self) -> None:
        self.is_closed = True


def event(item_id: str, *, user_id: str = "ana", at_s: float = NOW_S, event_id: str | None = None) -> Event:
    """An event with an id of its own, unless it is given one."""
    return Event(event_id if event_id is not None else uuid4().hex, user_id, item_id, "click", at_s, "rec-1")


def resilient(inner: UserStateStore, outbox: Path, **changes: object) -> ResilientStore:
    """A resilient store with limits fit for tests."""
    arguments = {
        "timeout_s": 5.0,
        "write_timeout_s": 20.0,
        "n_retries": 2,
        "breaker": CircuitBreaker(n_failures=3, open_s=0.05),
        "rng": np.random.default_rng(7),
    } | changes
    return ResilientStore(inner, Outbox(outbox), **arguments)


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not is_so():  # noqa: ASYNC110 - nothing in the product announces it
            await asyncio.sleep(0.01)


class DeafServer:
    """Accepts connections, and answers none or hangs up at once."""

    def __init__(self, *, hangs_up: bool) -> None:
        self._hangs_up = hangs_up
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._connections: list[socket.socket] = []
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def n_connections(self) -> int:
        return len(self._connections)

    @property
    def connection_string(self) -> str:
        return DEAD_END.format(port=self.port)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._connections.append(connection)
            if self._hangs_up:
                connection.close()

    def close(self) -> None:
        self._listener.close()
        for connection in self._connections:
            connection.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def silent_server() -> Iterator[DeafServer]:
    """Accepts and never answers."""
    server = DeafServer(hangs_up=False)
    yield server
    server.close()


@pytest.fixture
def rude_server() -> Iterator[DeafServer]:
    """Accepts and hangs up."""
    server = DeafServer(hangs_up=True)
    yield server
    server.close()
