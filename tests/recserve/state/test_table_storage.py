import asyncio
import subprocess
import sys
import threading
from pathlib import Path
from uuid import uuid4

import numpy as np
import pytest
from azure.data.tables.aio import TableClient

from emulator.azurite import Azurite
from recserve.errors import StateUnavailable
from recserve.state.table_storage import MAX_ATTEMPTS, TableStore
from tests.recserve.state.conftest import DEAD_END, NOW_S, DeafServer, event


@pytest.fixture
def table() -> str:
    return f"users{uuid4().hex}"


async def entities(azurite: Azurite, table: str) -> list[dict[str, object]]:
    async with TableClient.from_connection_string(azurite.connection_string, table) as client:
        return [entity async for entity in client.list_entities()]


def test_sdk_is_imported_only_when_it_is_used(repository: Path) -> None:
    script = (
        "import sys; from recserve.state.table_storage import TableStore\n"
        "store = TableStore(connection_string='x')\n"
        "assert not [name for name in sys.modules if name.startswith('azure')]\n"
        "store.attach()\n"
        "assert 'azure.data.tables.aio' in sys.modules"
    )

    subprocess.run([sys.executable, "-c", script], cwd=repository, check=True)


async def test_writers_in_two_processes_lose_nothing(azurite: Azurite, table: str) -> None:
    one, other = (
        TableStore(table=table, connection_string=azurite.connection_string, rng=np.random.default_rng(seed))
        for seed in (1, 2)
    )

    await asyncio.gather(
        *(
            store.record([event(f"{name} {i}")])
            for i in range(15)
            for name, store in (("1", one), ("2", other))
        )
    )

    expected = sorted(f"{name} {i}" for i in range(15) for name in "12")
    assert sorted((await one.history("ana")).item_ids) == expected
    await one.close()
    await other.close()


async def test_event_of_a_user_who_is_erased_meanwhile_is_kept_alone(
    azurite: Azurite, table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = TableStore(table=table, connection_string=azurite.connection_string)
    other = TableStore(table=table, connection_string=azurite.connection_string)
    await store.record([event("before")])
    connected = await store._connected()
    read = connected.read

    async def read_then_erase(key: str) -> tuple[bytes, str] | None:
        found = await read(key)
        await other.erase("ana")
        return found

    with monkeypatch.context() as patched:
        patched.setattr(connected, "read", read_then_erase)
        await store.record([event("after")])
        assert await store.erase("ana") == 1

    await store.record([event("later")])
    assert (await store.history("ana")).item_ids == ["later"]
    await store.close()
    await other.close()


async def test_event_that_comes_while_its_user_is_erased_is_erased_too(
    azurite: Azurite, table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = TableStore(table=table, connection_string=azurite.connection_string)
    other = TableStore(table=table, connection_string=azurite.connection_string)
    await store.record([event("before")])
    connected = await store._connected()
    read, during = connected.read, event("during")

    async def read_then_record(key: str) -> tuple[bytes, str] | None:
        found = await read(key)
        await other.record([during])
        return found

    with monkeypatch.context() as patched:
        patched.setattr(connected, "read", read_then_record)
        assert await store.erase("ana") == 2

    assert await entities(azurite, table) == []
    await store.close()
    await other.close()


async def test_caller_that_gives_up_leaves_the_connection_to_the_next(
    azurite: Azurite, table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = TableStore(table=table, connection_string=azurite.connection_string)
    connect, may_connect, n_connects = store._connect, threading.Event(), []

    def connect_late() -> object:
        n_connects.append(1)
        may_connect.wait(10)
        return connect()

    monkeypatch.setattr(store, "_connect", connect_late)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await store.history("ana")
    may_connect.set()

    assert (await store.history("ana")).item_ids == []
    assert len(n_connects) == 1
    await store.close()


async def test_table_holds_no_user_id_and_nothing_of_the_erased(azurite: Azurite, table: str) -> None:
    store = TableStore(table=table, connection_string=azurite.connection_string)
    await store.record([event("a", user_id="ana@example.org"), event("b", user_id="ben@example.org")])

    stored = await entities(azurite, table)
    assert len(stored) == 2
    assert all("example.org" not in str(entity) for entity in stored)
    assert all(len(str(entity["PartitionKey"])) == 64 for entity in stored)

    await store.erase("ana@example.org")
    assert len(await entities(azurite, table)) == 1
    await store.close()


async def test_expired_events_leave_the_entity_when_it_is_written(azurite: Azurite, table: str) -> None:
    now_s = [NOW_S]
    store = TableStore(
        table=table, connection_string=azurite.connection_string, ttl_s=100.0, clock=lambda: now_s[0]
    )
    await store.record([event("old")])
    now_s[0] += 101
    await store.record([event("new", at_s=now_s[0])])
    now_s[0] = NOW_S

    assert (await store.history("ana")).item_ids == ["new"]

    await store.erase("ana")
    await store.record([event("old")])
    now_s[0] += 101
    assert await store.erase("ana") == 0
    assert await entities(azurite, table) == []
    await store.close()


async def test_ids_of_any_length_fit_into_an_entity(azurite: Azurite, table: str) -> None:
    rng = np.random.default_rng(3)
    store = TableStore(table=table, connection_string=azurite.connection_string)
    events = [event(rng.bytes(600).hex(), at_s=NOW_S + i) for i in range(1000)]
    for start in range(0, 1000, 250):
        await store.record(events[start : start + 250])

    kept = await store.export("ana")

    assert len(kept) > 500
    assert kept == events[-len(kept) :]
    await store.close()


@pytest.mark.parametrize("call", ["history", "record", "export", "erase"])
async def test_store_that_is_not_there_is_unavailable_in_one_line(call: str) -> None:
    store = TableStore(connection_string=DEAD_END.format(port=9))

    with pytest.raises(StateUnavailable, match=r"\Athe user table does not answer: [^\n]+\Z"):
        await getattr(store, call)([event("b")] if call == "record" else "ana")
    await store.close()


async def test_sdk_does_not_retry_on_its_own(rude_server: DeafServer) -> None:
    store = TableStore(connection_string=rude_server.connection_string)

    with pytest.raises(StateUnavailable):
        await store.history("ana")

    # aiohttp itself sends once more where a server hangs up before its first byte.
    assert rude_server.n_connections <= 2
    await store.close()


@pytest.mark.parametrize("connection_string", ["nonsense", "AccountName=a;AccountKey="])
async def test_connection_string_that_is_none_is_unavailable(connection_string: str) -> None:
    store = TableStore(connection_string=connection_string)

    with pytest.raises(StateUnavailable, match="check its settings"):
        await store.history("ana")
    await store.close()


async def test_wrong_key_is_unavailable(azurite: Azurite, table: str) -> None:
    store = TableStore(table=table, connection_string=azurite.connection_string.replace("Eby8", "AAAA"))

    with pytest.raises(StateUnavailable, match=r"\Athe user table refuses: [^\n]+\Z"):
        await store.history("ana")
    await store.close()


async def test_entity_of_another_release_is_unavailable(azurite: Azurite, table: str) -> None:
    store = TableStore(table=table, connection_string=azurite.connection_string)
    await store.record([event("a")])
    async with TableClient.from_connection_string(azurite.connection_string, table) as client:
        (entity,) = [entity async for entity in client.list_entities()]
        await client.update_entity(entity | {"Part0": b"\x09of the future"})

    with pytest.raises(StateUnavailable, match="what this release cannot read"):
        await store.history("ana")
    await store.close()


async def test_writer_that_is_never_the_fastest_gives_up(monkeypatch: pytest.MonkeyPatch) -> None:
    from recserve.state.table_client import EntityChanged

    class Contested:
        n_written = 0

        async def read(self, key: str) -> None:
            return None

        async def insert(self, key: str, content: bytes) -> None:
            self.n_written += 1
            raise EntityChanged

        async def close(self) -> None: ...

    contested = Contested()
    store = TableStore(connection_string="x")
    monkeypatch.setattr(store, "_connect", lambda: contested)
    monkeypatch.setattr("recserve.state.table_storage.MAX_BACKOFF_S", 0.0)

    with pytest.raises(StateUnavailable, match="send the batch again"):
        await store.record([event("a")])

    assert contested.n_written == MAX_ATTEMPTS
    await store.close()


def test_managed_identity_is_chosen_by_its_client_id() -> None:
    from recserve.state.table_client import connect

    kinds = [
        type(
            connect(
                "t", account_url="https://a.table.core.windows.net", client_id=id, connection_string=""
            )._credential
        )
        for id in ("", "11111111-2222-3333-4444-555555555555")
    ]

    assert [kind.__name__ for kind in kinds] == ["DefaultAzureCredential", "ManagedIdentityCredential"]
