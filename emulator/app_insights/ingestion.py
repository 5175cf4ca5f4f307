"""Requests in, rows out: what arrives together is read in turn and made durable by one fsync."""

import asyncio
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from queue import SimpleQueue
from typing import TypeAlias

from emulator.app_insights.envelopes import Batch, inflate, read_batch
from emulator.app_insights.errors import Busy
from emulator.app_insights.store import Store

log = logging.getLogger(__name__)

Refuse: TypeAlias = Callable[[int], int | None]
"Status of an item that a fault refuses, by its place in the body; None takes it."
WAITING_BYTES = 64 * 1024 * 1024
"Bodies that wait to be read; beyond, senders are told to come again."
GROUP_BYTES = 4 * 1024 * 1024
"Rows that wait for one fsync; beyond, the next group begins."


@dataclass(frozen=True, slots=True)
class Waiting:
    """A body whose sender waits for an answer."""

    body: bytes
    is_gzip: bool
    refuse: Refuse
    answer: "asyncio.Future[Batch]"
    loop: asyncio.AbstractEventLoop


class Ingestion:
    """One thread that reads bodies and appends their rows; at most one body is inflated at a time.

    Args:
        limit_bytes: of a body, inflated.
    """

    def __init__(self, store: Store, *, limit_bytes: int) -> None:
        self._store = store
        self._limit_bytes = limit_bytes
        self._queue: SimpleQueue[Waiting | None] = SimpleQueue()
        self._n_waiting_bytes = 0
        "Changed on the event loop only."
        self._thread = threading.Thread(target=self._work, name="ingestion", daemon=True)
        self._thread.start()

    async def take(self, body: bytes, *, is_gzip: bool, refuse: Refuse = lambda index: None) -> Batch:
        """Read a body and make its rows durable.

        Raises:
            BadRequest, TooLarge: nothing of it can be read.
            StoreFull: nothing of it is durable.
            Busy: too much waits already.
        """
        if self._n_waiting_bytes >= WAITING_BYTES:
            raise Busy(f"{self._n_waiting_bytes} bytes wait to be read; send again later")
        loop = asyncio.get_running_loop()
        waiting = Waiting(body, is_gzip, refuse, loop.create_future(), loop)
        self._n_waiting_bytes += len(body)
        self._queue.put(waiting)
        try:
            return await waiting.answer
        finally:
            self._n_waiting_bytes -= len(body)

    def close(self) -> None:
        """Finish what waits."""
        self._queue.put(None)
        self._thread.join()

    def _work(self) -> None:
        while (waiting := self._queue.get()) is not None:
            group: list[tuple[Waiting, Batch]] = []
            n_bytes = 0
            while True:
                if waiting is None:
                    self._queue.put(None)
                    break
                if batch := self._read(waiting):
                    group.append((waiting, batch))
                    n_bytes += sum(map(len, batch.lines))
                if n_bytes >= GROUP_BYTES or self._queue.empty():
                    break
                waiting = self._queue.get()
            self._commit(group)

    def _read(self, waiting: Waiting) -> Batch | None:
        try:
            body = waiting.body
            if waiting.is_gzip:
                body = inflate(body, limit_bytes=self._limit_bytes)
            return read_batch(body, now=datetime.now(UTC), refuse=waiting.refuse)
        except Exception as err:
            _tell(waiting, err)
            return None

    def _commit(self, group: list[tuple[Waiting, Batch]]) -> None:
        try:
            self._store.append(line for _, batch in group for line in batch.lines)
        except Exception as err:  # the thread must live on: all that comes later waits for it
            log.error("%s", err)
            for waiting, _ in group:
                _tell(waiting, err)
            return
        for waiting, batch in group:
            batch.lines.clear()
            _tell(waiting, batch)


def _tell(waiting: Waiting, outcome: Batch | Exception) -> None:
    def set_unless_gone() -> None:
        if waiting.answer.done():  # the sender has hung up
            return
        if isinstance(outcome, Exception):
            waiting.answer.set_exception(outcome)
        else:
            waiting.answer.set_result(outcome)

    waiting.loop.call_soon_threadsafe(set_unless_gone)
