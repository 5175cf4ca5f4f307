import sqlite3
from pathlib import Path

import pytest

from recserve.errors import StateUnavailable
from recserve.state import sqlite as sqlite_store
from recserve.state.sqlite import MAX_EXPIRED, SqliteStore
from recserve.state.store import MAX_HISTORY, derive_event_id
from tests.recserve.state.conftest import NOW_S, Clock, event


def rows(path: Path, query: str) -> list[tuple[object, ...]]:
    connection = sqlite3.connect(path)
    try:
        return connection.execute(query).fetchall()
    finally:
        connection.close()


def change(path: Path, *statements: str) -> None:
    connection = sqlite3.connect(path)
    with connection:
        for statement in statements:
            connection.execute(statement)
    connection.close()


async def test_history_survives_a_restart(tmp_path: Path) -> None:
    first = SqliteStore(tmp_path / "users.db")
    await first.record([event("a")])
    await first.close()
    second = SqliteStore(tmp_path / "users.db")

    assert (await second.history("ana")).item_ids == ["a"]
    await second.close()


async def test_file_of_the_first_release_is_migrated(tmp_path: Path) -> None:
    path = tmp_path / "users.db"
    change(
        path,
        "CREATE TABLE interactions (user_id TEXT NOT NULL, at_s REAL NOT NULL, item_id TEXT NOT NULL,"
        " PRIMARY KEY (user_id, at_s, item_id)) WITHOUT ROWID",
        "INSERT INTO interactions VALUES ('ana', 2.0, 'late'), ('ana', 1.0, 'y'), ('ana', 1.0, 'x'),"
        " ('ben', 1.0, 'b')",
    )

    for _ in range(2):  # the second start finds nothing left to migrate
        store = SqliteStore(path)
        exported = await store.export("ana")
        assert [each.item_id for each in exported] == ["x", "y", "late"]
        assert exported[2].event_id == derive_event_id("ana", "late", 2.0)
        assert exported[2].kind == "view"
        assert (await store.history("ben")).item_ids == ["b"]
        await store.close()

    assert rows(path, "SELECT name FROM sqlite_master WHERE name = 'interactions'") == []


async def test_migration_that_fails_leaves_the_file_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "users.db"
    change(
        path,
        "CREATE TABLE interactions (user_id TEXT, at_s REAL, item_id TEXT)",
        "INSERT INTO interactions VALUES ('ana', 1.0, 'a')",
    )

    def fail(*_: object) -> str:
        raise ValueError("power cut")

    with monkeypatch.context() as patched:
        patched.setattr(sqlite_store, "derive_event_id", fail)
        with pytest.raises(StateUnavailable):
            SqliteStore(path)

    store = SqliteStore(path)
    assert (await store.history("ana")).item_ids == ["a"]
    await store.close()


async def test_expired_events_of_anybody_leave_the_file_in_bounded_steps(
    tmp_path: Path, clock: Clock
) -> None:
    path = tmp_path / "users.db"
    store = SqliteStore(path, ttl_s=100.0, clock=clock)
    n_old = MAX_EXPIRED + 100
    await store.record([event("a", user_id=f"user {i}") for i in range(n_old)])
    clock.now_s = NOW_S + 101

    await store.record([event("a", at_s=clock.now_s)])
    assert rows(path, "SELECT count(*) FROM events") == [(n_old - MAX_EXPIRED + 1,)]

    await store.record([event("b", at_s=clock.now_s)])
    assert rows(path, "SELECT count(*) FROM events") == [(2,)]
    await store.close()

    clock.now_s += 101
    await SqliteStore(path, ttl_s=100.0, clock=clock).close()
    assert rows(path, "SELECT count(*) FROM events") == [(0,)]


async def test_file_keeps_no_more_of_a_user_than_is_shown(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "users.db")
    await store.record([event(str(i), at_s=NOW_S + i) for i in range(MAX_HISTORY + 50)])
    await store.record([event(str(i), at_s=NOW_S - i) for i in range(50)])

    kept = rows(tmp_path / "users.db", "SELECT count(*), min(at_s) FROM events")
    assert kept == [(MAX_HISTORY, NOW_S + 50)]
    await store.close()


async def test_file_is_readable_by_its_owner_alone(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "state" / "users.db")
    await store.record([event("a")])

    for file in (tmp_path / "state").iterdir():
        assert file.stat().st_mode & 0o077 == 0
    await store.close()


@pytest.mark.parametrize("call", ["history", "record", "export", "erase"])
async def test_error_while_running_is_unavailable_in_one_line(tmp_path: Path, call: str) -> None:
    store = SqliteStore(tmp_path / "users.db")
    await store.record([event("a")])
    change(tmp_path / "users.db", "DROP TABLE events")

    with pytest.raises(StateUnavailable, match=r"\Athe user store cannot be used: no such table: \S+\Z"):
        await getattr(store, call)([event("b")] if call == "record" else "ana")
    await store.close()


async def test_batch_that_fails_half_way_leaves_nothing_and_the_store_goes_on(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "users.db")
    broken = event("b")._replace(item_id=None)  # type: ignore[arg-type]

    with pytest.raises(StateUnavailable, match="NOT NULL"):
        await store.record([event("a"), broken])

    assert (await store.history("ana")).item_ids == []
    assert (await store.record([event("c")])).n_new == 1
    await store.close()


async def test_file_of_another_kind_is_refused_with_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "users.db"
    path.write_text("no database " * 100)

    with pytest.raises(StateUnavailable, match=r"file is not a database; set RECSERVE_STATE_PATH"):
        SqliteStore(path)


async def test_slow_reads_move_off_the_event_loop_and_come_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticks_s = iter([0.0, 1.0, *(0.0 for _ in range(1000))])
    monkeypatch.setattr(sqlite_store, "perf_counter", lambda: next(ticks_s))
    store = SqliteStore(tmp_path / "users.db")
    await store.record([event("a")])
    on_thread = []
    run = store._database.run

    async def counted(*args: object) -> object:
        on_thread.append(args)
        return await run(*args)

    monkeypatch.setattr(store._database, "run", counted)

    for _ in range(100):
        assert (await store.history("ana")).item_ids == ["a"]

    assert 0 < len(on_thread) < 99
    await store.close()


async def test_two_processes_may_share_a_file(tmp_path: Path) -> None:
    one, other = SqliteStore(tmp_path / "users.db"), SqliteStore(tmp_path / "users.db")
    await one.record([event("a")])
    await other.record([event("b")])

    assert (await one.history("ana")).item_ids == (await other.history("ana")).item_ids == ["a", "b"]
    await one.close()
    await other.close()
