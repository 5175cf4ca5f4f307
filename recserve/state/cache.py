"""The histories that this process read last, in front of the store."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from recserve.errors import StateUnavailable
from recserve.state.store import MAX_HISTORY, Event, History, Recorded, UserStateStore, by_user

EXPIRED = float("-inf")


class _Entry(NamedTuple):
    history: History
    expires_s: float
    "When the store must be asked again; an answer from here is stale then."


class CachedStore:
    """A `UserStateStore` that remembers histories: those of the users seen last, each for a short while.

    What this process records is in the very next history that it reads. Other instances' events show up
    when an entry expires. Callers that want the same history at the same time share one read.

    A read that overlaps with a change to the same user may have seen either side of it: it answers those
    who asked, and nobody who asks after the change. All calls come from one event loop.

    Args:
        inner: the store.
        max_users: how many histories are remembered; the one unused longest goes first.
        ttl_s: for how long one answers for the store.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        inner: UserStateStore,
        *,
        max_users: int,
        ttl_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._inner = inner
        self._max_users = max_users
        self._ttl_s = ttl_s
        self._clock = clock
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._reads: dict[str, asyncio.Task[History]] = {}
        "Reads on their way, but those that began before a change to the user had ended."

    async def history(self, user_id: str) -> History:
        entry = self._entries.get(user_id)
        if entry is not None and self._clock() < entry.expires_s:
            self._entries.move_to_end(user_id)
            return entry.history
        read = self._reads.get(user_id)
        if read is None:
            read = self._reads[user_id] = asyncio.create_task(self._read(user_id))
            read.add_done_callback(_retrieve)
        return await asyncio.shield(read)  # a caller that goes away leaves the read to the others

    async def _read(self, user_id: str) -> History:
        this = asyncio.current_task()
        try:
            history = await self._inner.history(user_id)
        except StateUnavailable:
            if (entry := self._entries.get(user_id)) is not None:
                return entry.history._replace(is_stale=True)
            raise
        finally:
            is_current = self._reads.get(user_id) is this
            if is_current:
                del self._reads[user_id]
        if history.is_stale:  # what waits to be sent, all of which is in the entry
            entry = self._entries.get(user_id)
            return entry.history._replace(is_stale=True) if entry is not None else history
        if is_current:
            self._remember(user_id, _Entry(history, self._clock() + self._ttl_s))
        return history

    async def record(self, events: Sequence[Event]) -> Recorded:
        users = by_user(events)
        before = {user_id: self._entries.get(user_id) for user_id in users}
        try:
            recorded = await self._inner.record(events)
        except BaseException:  # some of it may have been stored
            self._expire(users)
            raise
        finally:
            self._disown_reads(users)
        is_exact = recorded.n_new == len(events) and not recorded.is_deferred
        for user_id, added in users.items():
            self._append(user_id, added, before[user_id], is_exact=is_exact)
        return recorded

    def _expire(self, user_ids: Iterable[str]) -> None:
        for user_id in user_ids:
            if (entry := self._entries.get(user_id)) is not None:
                self._entries[user_id] = entry._replace(expires_s=EXPIRED)

    def _disown_reads(self, user_ids: Iterable[str]) -> None:
        """Reads that began before a change had ended are neither remembered nor shared any further."""
        for user_id in user_ids:
            self._reads.pop(user_id, None)

    def _append(self, user_id: str, added: list[Event], before: _Entry | None, *, is_exact: bool) -> None:
        """Put a user's events at the end of the entry; if that may not be what the store did, it expires.

        An entry other than the one `before` stems from a read or a record during this one.
        """
        entry = self._entries.get(user_id)
        if entry is None:
            return
        history = entry.history
        added = sorted(added, key=lambda event: event.at_s)
        is_exact = is_exact and entry is before and added[0].at_s >= history.newest_at_s
        item_ids = [*history.item_ids, *(event.item_id for event in added)][-MAX_HISTORY:]
        newest_at_s = max(history.newest_at_s, added[-1].at_s)
        expires_s = entry.expires_s if is_exact else EXPIRED
        self._remember(user_id, _Entry(History(item_ids, newest_at_s=newest_at_s), expires_s))

    async def export(self, user_id: str) -> list[Event]:
        return await self._inner.export(user_id)

    async def erase(self, user_id: str) -> int:
        try:
            return await self._inner.erase(user_id)
        finally:
            self._entries.pop(user_id, None)
            self._disown_reads([user_id])

    async def close(self) -> None:
        if self._reads:
            await asyncio.wait(list(self._reads.values()))
        await self._inner.close()

    def _remember(self, user_id: str, entry: _Entry) -> None:
        self._entries[user_id] = entry
        self._entries.move_to_end(user_id)
        if len(self._entries) > self._max_users:
            self._entries.popitem(last=False)


def _retrieve(read: asyncio.Task[History]) -> None:
    """Nobody may be left to hear of an error."""
    if not read.cancelled():
        read.exception()
