"""What users did, in Azure Table Storage: the store that all instances share."""

import asyncio
import hashlib
import math
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

import numpy as np

from recserve.errors import StateUnavailable
from recserve.state.packing import Unreadable, pack, unpack
from recserve.state.store import Event, History, Recorded, by_user, merge, to_history

if TYPE_CHECKING:
    from recserve.state.table_client import UserTable

MAX_ATTEMPTS = 12
"Times a user's entity is read and written again because somebody else wrote in between."
BACKOFF_S = 0.005
"Longest pause before the second attempt; it doubles with each, up to `MAX_BACKOFF_S`."
MAX_BACKOFF_S = 0.2
MAX_USERS_AT_ONCE = 16
"Users of one batch whose entities are written side by side."


class TableStore:
    """A `UserStateStore` with one entity per user, so that a history is one point read.

    An entity's key is the SHA-256 of the user id, which is stored nowhere: any text makes a valid key, and
    whoever reads the table finds no names. It holds the user's newest events, packed; ids far longer than
    usual may leave room for fewer than `MAX_HISTORY`. Writers compare ETags and start over when another
    was faster. Expired events leave an entity when it is next written: those of a user who never comes
    back stay, unseen.

    The SDK is imported at the first call, on a thread; `attach` does so before.

    Args:
        table: its name; it is made when missing.
        connection_string: of the storage account or of Azurite; when empty, the next two count.
        account_url: `https://<account>.table.core.windows.net`, entered with a managed identity in Azure
            and the developer's own login elsewhere.
        client_id: which user-assigned identity; empty: whatever `DefaultAzureCredential` finds.
        ttl_s: events older than this are gone; infinity keeps them.
        clock: Unix time.
        rng: spreads the attempts of writers that meet.
    """

    def __init__(
        self,
        *,
        table: str = "recserveusers",
        connection_string: str = "",
        account_url: str = "",
        client_id: str = "",
        ttl_s: float = math.inf,
        clock: Callable[[], float] = time.time,
        rng: np.random.Generator | None = None,
    ) -> None:
        self._table_name = table
        self._connection_string = connection_string
        self._account_url = account_url
        self._client_id = client_id
        self._ttl_s = ttl_s
        self._clock = clock
        self._rng = rng if rng is not None else np.random.default_rng()
        self._connecting: asyncio.Task[UserTable] | None = None
        self._table: UserTable | None = None
        self._writing: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        "Held while a user's entity is written, so that this process does not compete with itself."

    def attach(self) -> None:
        """Import the SDK, which takes a third of a second; for a thread that nobody waits for."""
        import recserve.state.table_client  # noqa: F401

    async def history(self, user_id: str) -> History:
        return to_history(await self.export(user_id))

    async def record(self, events: Sequence[Event]) -> Recorded:
        alive = by_user(self._alive(events))
        at_once = asyncio.Semaphore(MAX_USERS_AT_ONCE)

        async def add(user_id: str, added: list[Event]) -> int:
            async with at_once:
                kept = await self._change(user_id, lambda kept: merge(kept, added))
            return len({event.event_id for event in added} - {event.event_id for event in kept})

        counts = await asyncio.gather(
            *(add(user_id, added) for user_id, added in alive.items()), return_exceptions=True
        )
        n_new = 0
        for count in counts:
            if isinstance(count, BaseException):
                raise count
            n_new += count
        return Recorded(n_new, sum(map(len, alive.values())) - n_new)

    async def export(self, user_id: str) -> list[Event]:
        table = await self._connected()
        found = await table.read(_key(user_id))
        return list(self._alive(_unpack(found[0], user_id))) if found else []

    async def erase(self, user_id: str) -> int:
        return len(await self._change(user_id, lambda _: []))

    async def close(self) -> None:
        if self._connecting is not None:
            with suppress(StateUnavailable):
                await (await self._connecting).close()

    def _alive(self, events: Iterable[Event]) -> Iterable[Event]:
        oldest_s = self._clock() - self._ttl_s
        return (event for event in events if event.at_s >= oldest_s)

    async def _change(self, user_id: str, change: Callable[[list[Event]], list[Event]]) -> list[Event]:
        """Replace a user's events by what `change` makes of them, and return what they were.

        Raises:
            StateUnavailable: the service cannot be used, or other writers were faster every time.
        """
        table, key = await self._connected(), _key(user_id)
        from recserve.state.table_client import MAX_ENTITY_BYTES, EntityChanged  # at hand once connected

        async with self._writing.setdefault(key, asyncio.Lock()):
            for attempt in range(MAX_ATTEMPTS):
                found = await table.read(key)
                stored = _unpack(found[0], user_id) if found else []
                kept = list(self._alive(stored))
                changed = change(kept)
                try:
                    if found is None and changed:
                        await table.insert(key, pack(changed, max_bytes=MAX_ENTITY_BYTES))
                    elif found is not None and not changed:
                        await table.delete(key, found[1])
                    elif found is not None and changed != stored:
                        await table.replace(key, pack(changed, max_bytes=MAX_ENTITY_BYTES), found[1])
                    return kept
                except EntityChanged:
                    await asyncio.sleep(self._rng.uniform(0, min(BACKOFF_S * 2**attempt, MAX_BACKOFF_S)))
        raise StateUnavailable(
            f"other writers changed the user's entity {MAX_ATTEMPTS} times in a row; send the batch again"
        )

    async def _connected(self) -> "UserTable":
        if self._table is None:
            if self._connecting is None:
                self._connecting = asyncio.create_task(asyncio.to_thread(self._connect))
            try:
                # A caller that gives up leaves the import to those that come after it.
                self._table = await asyncio.shield(self._connecting)
            except Exception:
                self._connecting = None
                raise
        return self._table

    def _connect(self) -> "UserTable":
        from recserve.state.table_client import connect

        return connect(
            self._table_name,
            account_url=self._account_url,
            client_id=self._client_id,
            connection_string=self._connection_string,
        )


def _key(user_id: str) -> str:
    return hashlib.sha256(user_id.encode()).hexdigest()


def _unpack(content: bytes, user_id: str) -> list[Event]:
    try:
        return unpack(content, user_id)
    except Unreadable as err:
        raise StateUnavailable(f"the user table holds what this release cannot read: {err}") from err
