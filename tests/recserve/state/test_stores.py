"""What every `UserStateStore` must do, alone and with others in front of it."""

import asyncio
import string
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import numpy as np
import pytest

from recserve.state.cache import CachedStore
from recserve.state.sqlite import SqliteStore
from recserve.state.store import MAX_HISTORY, Event, Recorded, UserStateStore
from recserve.state.table_storage import TableStore
from tests.recserve.state.conftest import NOW_S, Clock, event, resilient

TTL_S = 86_400.0
CACHE_TTL_S = 60.0
STORES = ["sqlite", "table"]
FRONTS = ["bare", "resilient", "cached", "cached resilient"]

USER_IDS = [
    string.printable,
    *string.punctuation,
    " ",
    "..",
    "a/b\\c#d?e%2Ff",
    "'; DROP TABLE events; --",
    '"quoted"',
    "é ü 漢字 ‏עברית \U0001f600\U0001f468‍\U0001f469‍\U0001f467",
    "e\u0301",
    "\u00e9",
    "A" * 256,
    "a" * 256,
    "\U0001f600" * 256,
]


@pytest.fixture(params=[f"{store}, {front}" for store in STORES for front in FRONTS])
async def store(
    request: pytest.FixtureRequest, tmp_path: Path, clock: Clock
) -> AsyncIterator[UserStateStore]:
    name, front = request.param.split(", ")
    store: UserStateStore
    if name == "sqlite":
        store = SqliteStore(tmp_path / "state" / "users.db", ttl_s=TTL_S, clock=clock)
    else:
        azurite = request.getfixturevalue("azurite")
        store = TableStore(
            table=f"users{uuid4().hex}",
            connection_string=azurite.connection_string,
            ttl_s=TTL_S,
            clock=clock,
        )
    if "resilient" in front:
        store = resilient(store, tmp_path / "outbox.db")
    if "cached" in front:
        store = CachedStore(store, max_users=10, ttl_s=CACHE_TTL_S, clock=clock)
    yield store
    await store.close()


async def item_ids(store: UserStateStore, user_id: str) -> list[str]:
    return (await store.history(user_id)).item_ids


async def test_user_without_events_has_an_empty_history(store: UserStateStore) -> None:
    assert await item_ids(store, "nobody") == []
    assert await store.export("nobody") == []
    assert await store.erase("nobody") == 0


async def test_history_is_in_the_order_of_time_whatever_the_order_of_arrival(store: UserStateStore) -> None:
    await store.record([event("late", at_s=NOW_S - 10), event("early", at_s=NOW_S - 20)])
    assert await item_ids(store, "ana") == ["early", "late"]

    await store.record([event("between", at_s=NOW_S - 15)])

    history = await store.history("ana")
    assert history.item_ids == ["early", "between", "late"]
    assert history.newest_at_s == NOW_S - 10
    assert not history.is_stale


async def test_events_of_the_same_time_are_in_the_order_of_arrival(store: UserStateStore) -> None:
    await store.record([event("b"), event("a")])
    await store.history("ana")
    await store.record([event("d"), event("c")])

    assert await item_ids(store, "ana") == ["b", "a", "d", "c"]


async def test_users_do_not_see_each_other(store: UserStateStore) -> None:
    same_id = "1"

    recorded = await store.record([event("a", event_id=same_id), event("b", user_id="ben", event_id=same_id)])

    assert recorded == Recorded(n_new=2, n_duplicates=0)
    assert await item_ids(store, "ana") == ["a"]
    assert await item_ids(store, "ben") == ["b"]


async def test_event_recorded_again_counts_once_and_stays_as_it_was(store: UserStateStore) -> None:
    first = event("a")

    assert await store.record([first, first]) == Recorded(n_new=1, n_duplicates=1)
    assert await item_ids(store, "ana") == ["a"]
    assert await store.record([first._replace(item_id="b"), event("c")]) == Recorded(1, 1)
    assert await item_ids(store, "ana") == ["a", "c"]


async def test_store_keeps_the_newest_and_sending_all_again_changes_nothing(store: UserStateStore) -> None:
    events = [event(str(i), at_s=NOW_S - 2000 + i) for i in range(MAX_HISTORY + 205)]

    assert (await store.record(events)).n_new == len(events)
    await store.record(events[:700])
    await store.record(events[700:])

    assert await item_ids(store, "ana") == [each.item_id for each in events[-MAX_HISTORY:]]
    assert await store.export("ana") == events[-MAX_HISTORY:]


async def test_batch_of_many_users_reaches_them_all(store: UserStateStore) -> None:
    events = [event(str(i), user_id=f"user {i % 100}") for i in range(500)]

    assert await store.record(events) == Recorded(n_new=500, n_duplicates=0)
    assert await store.record(events) == Recorded(n_new=0, n_duplicates=500)

    assert await item_ids(store, "user 7") == ["7", "107", "207", "307", "407"]


async def test_batch_of_nothing_is_recorded(store: UserStateStore) -> None:
    assert await store.record([]) == Recorded(0, 0)


async def test_any_user_id_is_stored_as_it_is(store: UserStateStore) -> None:
    await store.record([event(f"item {i}", user_id=user_id) for i, user_id in enumerate(USER_IDS)])

    for i, user_id in enumerate(USER_IDS):
        assert await item_ids(store, user_id) == [f"item {i}"]
        assert [each.user_id for each in await store.export(user_id)] == [user_id]


async def test_export_gives_everything_back(store: UserStateStore) -> None:
    later = Event("e 2 \U0001f600", "ana", "ítem", "purchase", NOW_S - 1.25, "rec \U0001f600")
    earlier = Event("e/1", "ana", "item", "view", NOW_S - 2.5)
    others = [Event("3", "ana", "i", "add", NOW_S - 1), Event("4", "ana", "i", "click", NOW_S)]

    await store.record([later, earlier, *others])

    assert await store.export("ana") == [earlier, later, *others]


async def test_expired_events_are_gone(store: UserStateStore, clock: Clock) -> None:
    await store.record([event("old", at_s=NOW_S), event("new", at_s=NOW_S + 100)])
    assert await item_ids(store, "ana") == ["old", "new"]

    clock.now_s = NOW_S + TTL_S + 50
    assert await item_ids(store, "ana") == ["new"]
    assert [each.item_id for each in await store.export("ana")] == ["new"]

    clock.now_s = NOW_S + TTL_S + 500
    assert await item_ids(store, "ana") == []
    assert await store.export("ana") == []


async def test_event_that_expired_before_it_came_is_not_kept(store: UserStateStore) -> None:
    assert await store.record([event("a"), event("old", at_s=NOW_S - TTL_S - 1)]) == Recorded(1, 0)

    assert await item_ids(store, "ana") == ["a"]


async def test_erased_user_is_gone_and_may_come_back(store: UserStateStore) -> None:
    await store.record([event("a"), event("b"), event("c", user_id="ben")])
    await store.history("ana")

    assert await store.erase("ana") == 2
    assert await item_ids(store, "ana") == []
    assert await store.export("ana") == []
    assert await item_ids(store, "ben") == ["c"]

    await store.record([event("d")])
    assert await item_ids(store, "ana") == ["d"]


async def test_concurrent_writers_of_one_user_lose_nothing(store: UserStateStore) -> None:
    async def write(writer: int) -> None:
        for i in range(5):
            await store.record([event(f"{writer}-{i}")])
            assert f"{writer}-{i}" in await item_ids(store, "ana")

    await asyncio.gather(*map(write, range(10)))

    assert sorted(await item_ids(store, "ana")) == sorted(f"{w}-{i}" for w in range(10) for i in range(5))


async def test_event_that_many_send_at_once_is_new_to_one_of_them(store: UserStateStore) -> None:
    same = event("a")

    recorded = await asyncio.gather(*(store.record([same]) for _ in range(10)))

    assert sum(each.n_new for each in recorded) == 1
    assert await item_ids(store, "ana") == ["a"]


@pytest.mark.parametrize("seed", range(3))
async def test_store_does_what_a_plain_list_of_events_does(
    store: UserStateStore, clock: Clock, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    model: dict[str, dict[str, Event]] = {"ana": {}, "ben": {}}
    for _ in range(80):
        user_id = str(rng.choice(["ana", "ben"]))
        kept = model[user_id]
        match rng.choice(["read", "record", "record", "erase", "wait"], p=[0.45, 0.2, 0.2, 0.05, 0.1]):
            case "record":
                sent = [
                    event(
                        str(rng.integers(5)),
                        user_id=user_id,
                        event_id=str(rng.integers(60)),
                        at_s=clock.now_s - float(rng.choice([0, 0, 1, 5])),
                    )
                    for _ in range(rng.integers(1, 4))
                ]
                await store.record(sent)
                for each in sent:
                    kept.setdefault(each.event_id, each)
            case "read":
                in_order = sorted(kept.values(), key=lambda each: each.at_s)
                assert await item_ids(store, user_id) == [each.item_id for each in in_order]
            case "erase":
                assert await store.erase(user_id) == len(kept)
                kept.clear()
            case "wait":
                clock.now_s += float(rng.choice([1, CACHE_TTL_S]))
