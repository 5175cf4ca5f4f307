import asyncio

import pytest

from recserve.errors import StateUnavailable
from recserve.state.cache import CachedStore
from recserve.state.store import MAX_HISTORY, Event, History, Recorded
from tests.recserve.state.conftest import NOW_S, Clock, MemoryStore, event

TTL_S = 30.0


class GatedStore(MemoryStore):
    """Reads and writes happen at once, but are reported only when the gates open."""

    def __init__(self) -> None:
        super().__init__()
        self.read_gate, self.write_gate = asyncio.Event(), asyncio.Event()
        self.read_gate.set()
        self.write_gate.set()

    async def history(self, user_id: str) -> History:
        history = await super().history(user_id)
        await self.read_gate.wait()
        return history

    async def record(self, events: list[Event]) -> Recorded:
        recorded = await super().record(events)
        await self.write_gate.wait()
        return recorded


class DeferringStore(MemoryStore):
    """While down it acknowledges what it is given, as a store with an outbox does."""

    async def record(self, events: list[Event]) -> Recorded:
        if self.is_down:
            return Recorded(len(events), 0, is_deferred=True)
        return await super().record(events)


@pytest.fixture
def inner() -> GatedStore:
    return GatedStore()


@pytest.fixture
def cache(inner: GatedStore, clock: Clock) -> CachedStore:
    return CachedStore(inner, max_users=3, ttl_s=TTL_S, clock=clock)


async def items(store: CachedStore, user_id: str = "ana") -> list[str]:
    return (await store.history(user_id)).item_ids


async def let_others_run() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_fresh_entry_answers_without_the_store(cache: CachedStore, inner: GatedStore) -> None:
    await inner.record([event("a")])
    await items(cache)
    inner.n_calls = 0

    assert await items(cache) == ["a"]
    assert inner.n_calls == 0


async def test_expired_entry_is_read_again(cache: CachedStore, inner: GatedStore, clock: Clock) -> None:
    await items(cache)
    await inner.record([event("from another instance")])
    clock.now_s += TTL_S

    assert await items(cache) == ["from another instance"]


async def test_expired_entry_is_stale_and_served_while_the_store_is_down(
    cache: CachedStore, inner: GatedStore, clock: Clock
) -> None:
    await inner.record([event("a")])
    assert not (await cache.history("ana")).is_stale
    inner.is_down = True
    assert not (await cache.history("ana")).is_stale
    clock.now_s += TTL_S

    stale = await cache.history("ana")
    with pytest.raises(StateUnavailable):
        await cache.history("ben")
    inner.is_down = False
    fresh = await cache.history("ana")

    assert (stale.item_ids, stale.is_stale) == (["a"], True)
    assert (fresh.item_ids, fresh.is_stale) == (["a"], False)


async def test_next_history_after_a_record_holds_it_and_needs_no_read(
    cache: CachedStore, inner: GatedStore
) -> None:
    await items(cache)
    await cache.record([event("b", at_s=NOW_S + 1), event("a", at_s=NOW_S)])
    inner.n_calls = 0

    assert await items(cache) == ["a", "b"]
    assert inner.n_calls == 0


@pytest.mark.parametrize(
    "late",
    [
        pytest.param([event("x", at_s=NOW_S - 5)], id="older than the newest"),
        pytest.param([event("y"), event("a", event_id="1")], id="with a duplicate"),
    ],
)
async def test_record_that_may_not_belong_at_the_end_is_read_again(
    cache: CachedStore, inner: GatedStore, late: list[Event]
) -> None:
    await cache.record([event("a", event_id="1")])
    await items(cache)

    await cache.record(late)

    assert await items(cache) == (await inner.history("ana")).item_ids


async def test_entry_that_grew_keeps_the_newest(cache: CachedStore) -> None:
    await cache.record([event(str(i), at_s=NOW_S + i) for i in range(MAX_HISTORY)])
    before = await items(cache)
    await cache.record([event("last", at_s=NOW_S + MAX_HISTORY)])

    assert await items(cache) == [*before[1:], "last"]


async def test_record_does_not_prolong_an_entry(cache: CachedStore, inner: GatedStore, clock: Clock) -> None:
    await items(cache)
    clock.now_s += TTL_S - 1
    await cache.record([event("a")])
    await inner.record([event("from another instance")])
    clock.now_s += 1

    assert await items(cache) == ["a", "from another instance"]


async def test_read_that_began_before_a_record_is_not_remembered(
    cache: CachedStore, inner: GatedStore
) -> None:
    inner.read_gate.clear()
    early = asyncio.create_task(items(cache))
    await let_others_run()

    await cache.record([event("a")])
    after = asyncio.create_task(items(cache))
    await let_others_run()
    inner.read_gate.set()

    assert await early == []
    assert await after == ["a"]
    assert await items(cache) == ["a"]


async def test_read_during_a_record_is_not_remembered(cache: CachedStore, inner: GatedStore) -> None:
    inner.write_gate.clear()
    recording = asyncio.create_task(cache.record([event("a")]))
    await let_others_run()  # the store has it, and has not said so

    during = await items(cache)
    inner.write_gate.set()
    await recording

    assert during == ["a"]
    assert await items(cache) == ["a"]


async def test_entry_that_a_record_met_is_extended_once(cache: CachedStore, inner: GatedStore) -> None:
    await items(cache)
    inner.write_gate.clear()
    recordings = [asyncio.create_task(cache.record([event(item)])) for item in "ab"]
    await let_others_run()
    inner.write_gate.set()
    await asyncio.gather(*recordings)

    assert await items(cache) == ["a", "b"]


async def test_record_that_failed_has_the_history_read_again(cache: CachedStore, inner: GatedStore) -> None:
    await items(cache)
    inner.is_down = True
    with pytest.raises(StateUnavailable):
        await cache.record([event("lost")])

    assert await cache.history("ana") == History([], is_stale=True)
    inner.is_down = False
    await inner.record([event("a")])
    assert await items(cache) == ["a"]


async def test_deferred_record_is_in_the_stale_history_with_all_before_it(clock: Clock) -> None:
    inner = DeferringStore()
    cache = CachedStore(inner, max_users=3, ttl_s=TTL_S, clock=clock)
    await cache.record([event("a")])
    await items(cache)
    inner.is_down = True

    recorded = await cache.record([event("b")])

    history = await cache.history("ana")
    assert recorded.is_deferred
    assert (history.item_ids, history.is_stale) == (["a", "b"], True)


async def test_stale_answer_of_the_store_is_passed_on_and_not_remembered(clock: Clock) -> None:
    class Waiting(MemoryStore):
        async def history(self, user_id: str) -> History:
            self.n_calls += 1
            return History(["waits"], is_stale=True)

    inner = Waiting()
    cache = CachedStore(inner, max_users=3, ttl_s=TTL_S, clock=clock)

    assert await cache.history("ana") == await cache.history("ana") == History(["waits"], is_stale=True)
    assert inner.n_calls == 2


async def test_readers_at_the_same_time_share_one_read(cache: CachedStore, inner: GatedStore) -> None:
    inner.read_gate.clear()
    readers = [asyncio.create_task(items(cache)) for _ in range(10)]
    await let_others_run()
    inner.read_gate.set()

    assert await asyncio.gather(*readers) == [[]] * 10
    assert inner.n_calls == 1


async def test_reader_that_goes_away_leaves_the_read_to_the_others(
    cache: CachedStore, inner: GatedStore
) -> None:
    inner.read_gate.clear()
    first, second = asyncio.create_task(items(cache)), asyncio.create_task(items(cache))
    await let_others_run()
    first.cancel()
    await let_others_run()
    inner.read_gate.set()

    assert await second == []
    assert first.cancelled()


async def test_user_unused_longest_is_forgotten_first(cache: CachedStore, inner: GatedStore) -> None:
    for user_id in ("ana", "ben", "cai", "ana", "dee"):
        await items(cache, user_id)
    inner.n_calls = 0

    await items(cache, "ana")
    assert inner.n_calls == 0
    await items(cache, "ben")
    assert inner.n_calls == 1


async def test_erased_user_is_not_remembered_by_a_read_on_its_way(
    cache: CachedStore, inner: GatedStore
) -> None:
    await inner.record([event("a")])
    inner.read_gate.clear()
    early = asyncio.create_task(items(cache))
    await let_others_run()
    await cache.erase("ana")
    inner.read_gate.set()

    assert await early == ["a"]
    assert await items(cache) == []


async def test_erasure_that_failed_leaves_nothing_behind_here(
    cache: CachedStore, inner: GatedStore, clock: Clock
) -> None:
    await cache.record([event("a")])
    await items(cache)
    inner.is_down = True

    with pytest.raises(StateUnavailable):
        await cache.erase("ana")
    with pytest.raises(StateUnavailable):
        await cache.history("ana")


async def test_cache_of_no_users_passes_everything_through(inner: GatedStore, clock: Clock) -> None:
    cache = CachedStore(inner, max_users=0, ttl_s=TTL_S, clock=clock)
    await cache.record([event("a")])

    assert await items(cache) == await items(cache) == ["a"]
    await cache.close()
    assert inner.is_closed
