"""What every `UserStateStore` must do."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from recserve.state.sqlite import SqliteStore
from recserve.state.store import MAX_HISTORY, Interaction, UserStateStore


@pytest.fixture(params=["sqlite"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[UserStateStore]:
    store = {"sqlite": lambda: SqliteStore(tmp_path / "state" / "users.db")}[request.param]()
    yield store
    await store.close()


async def test_user_without_interactions_has_an_empty_history(store: UserStateStore) -> None:
    assert await store.history("nobody") == []


async def test_history_is_in_the_order_of_time_whatever_the_order_of_arrival(store: UserStateStore) -> None:
    await store.record([Interaction("ana", "late", 20.0), Interaction("ana", "early", 10.0)])

    assert await store.history("ana") == ["early", "late"]


async def test_users_do_not_see_each_other(store: UserStateStore) -> None:
    await store.record([Interaction("ana", "a", 1.0), Interaction("ben", "b", 1.0)])

    assert await store.history("ana") == ["a"]


async def test_interaction_recorded_twice_counts_once(store: UserStateStore) -> None:
    interaction = Interaction("ana", "a", 1.0)

    assert await store.record([interaction, interaction]) == 1
    assert await store.record([interaction]) == 0
    assert await store.history("ana") == ["a"]


async def test_history_keeps_the_newest(store: UserStateStore) -> None:
    await store.record([Interaction("ana", str(i), float(i)) for i in range(MAX_HISTORY + 5)])

    history = await store.history("ana")

    assert len(history) == MAX_HISTORY
    assert history[-1] == str(MAX_HISTORY + 4)


@pytest.mark.parametrize(
    "user_id", ["'; DROP TABLE interactions; --", "é ü 漢字 \U0001f600", "a" * 256, "%_"]
)
async def test_any_printable_user_id_is_stored_safely(store: UserStateStore, user_id: str) -> None:
    await store.record([Interaction(user_id, "a", 1.0), Interaction("other", "b", 1.0)])

    assert await store.history(user_id) == ["a"]
    assert await store.history("other") == ["b"]


async def test_sqlite_history_survives_a_restart(tmp_path: Path) -> None:
    first = SqliteStore(tmp_path / "users.db")
    await first.record([Interaction("ana", "a", 1.0)])
    await first.close()
    second = SqliteStore(tmp_path / "users.db")

    assert await second.history("ana") == ["a"]
    await second.close()
