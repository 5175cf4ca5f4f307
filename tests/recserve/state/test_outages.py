"""Table Storage goes away and comes back: what was acknowledged is never lost."""

import asyncio
import sys
from pathlib import Path
from uuid import uuid4

import pytest

from emulator.azurite import Azurite
from recserve.errors import StateUnavailable
from recserve.state.cache import CachedStore
from recserve.state.resilience import CircuitBreaker
from recserve.state.store import Recorded
from recserve.state.table_storage import TableStore
from tests.recserve.state.conftest import DeafServer, event, resilient, until


def table_store(connection_string: str, table: str = "users") -> TableStore:
    return TableStore(table=table, connection_string=connection_string)


async def test_server_that_never_answers_costs_no_more_than_the_time_limit(
    silent_server: DeafServer, tmp_path: Path
) -> None:
    table = table_store(silent_server.connection_string)
    table.attach()
    breaker = CircuitBreaker(n_failures=3, open_s=60.0)
    store = resilient(
        table, tmp_path / "outbox.db", timeout_s=0.2, write_timeout_s=0.2, n_retries=3, breaker=breaker
    )

    with pytest.raises(StateUnavailable, match=r"did not answer within 0\.2 s"):
        await store.history("ana")
    assert (await store.record([event("a")])).is_deferred
    assert (await store.history("ana")).is_stale
    n_connections = silent_server.n_connections
    assert breaker.state == "open"

    assert (await store.history("ana")).item_ids == ["a"]
    assert silent_server.n_connections == n_connections <= 4
    await store.close()


async def test_azurite_killed_and_started_again_loses_nothing_acknowledged(
    azurite_to_kill: Azurite, tmp_path: Path
) -> None:
    table = f"users{uuid4().hex}"
    store = CachedStore(
        resilient(table_store(azurite_to_kill.connection_string, table), tmp_path / "outbox.db", n_retries=1),
        max_users=1,
        ttl_s=0.0,
    )
    acknowledged: dict[str, list[str]] = {"ana": [], "ben": []}

    async def record(user_id: str, item_id: str) -> Recorded:
        recorded = await store.record([event(item_id, user_id=user_id)])
        acknowledged[user_id].append(item_id)
        return recorded

    for user_id in ("ben", "ana"):
        assert not (await record(user_id, "before")).is_deferred
    assert (await store.history("ana")).item_ids == ["before"]
    azurite_to_kill.settle()
    azurite_to_kill.kill()

    for i in range(20):
        assert (await record("ana", f"during {i}")).is_deferred
        assert (await record("ben", f"during {i}")).is_deferred
    remembered, forgotten = await store.history("ana"), await store.history("ben")
    assert (remembered.item_ids, remembered.is_stale) == (acknowledged["ana"], True)
    assert (forgotten.item_ids, forgotten.is_stale) == (acknowledged["ben"][1:], True)
    with pytest.raises(StateUnavailable):
        await store.history("cai")
    with pytest.raises(StateUnavailable):
        await store.erase("ana")

    azurite_to_kill.start()
    await until(lambda: store._inner.n_waiting == 0)
    await record("ana", "after")

    direct = table_store(azurite_to_kill.connection_string, table)
    for user_id, item_ids in acknowledged.items():
        assert (await direct.history(user_id)).item_ids == item_ids
        assert (await store.history(user_id)).item_ids == item_ids
        assert not (await store.history(user_id)).is_stale
    await direct.close()
    await store.close()


async def test_azurite_frozen_and_thawed_stores_nothing_twice(
    azurite_to_kill: Azurite, tmp_path: Path
) -> None:
    store = resilient(
        table_store(azurite_to_kill.connection_string),
        tmp_path / "outbox.db",
        timeout_s=0.3,
        write_timeout_s=0.3,
    )
    store._inner.attach()
    for _ in range(50):  # until the connection is warm, the first writes may take longer than the limit
        if not (await store.record([event("before", event_id="1")])).is_deferred:
            break
    await until(lambda: store.n_waiting == 0)
    azurite_to_kill.freeze()

    assert (await store.record([event("during", event_id="2")])).is_deferred
    azurite_to_kill.thaw()

    await until(lambda: store.n_waiting == 0)
    assert (await store.record([event("during", event_id="2")])).n_duplicates == 1
    assert (await store.history("ana")).item_ids == ["before", "during"]
    await store.close()


async def test_process_killed_after_the_answer_leaves_its_events_to_the_next(
    azurite: Azurite, repository: Path, tmp_path: Path
) -> None:
    script = f"""
import asyncio, os, signal
from pathlib import Path
from recserve.state.table_storage import TableStore
from tests.recserve.state.conftest import DEAD_END, event, resilient

async def main():
    store = resilient(TableStore(connection_string=DEAD_END.format(port=9)), Path({str(tmp_path)!r}) / "outbox.db")
    recorded = await store.record([event(str(i)) for i in range(3)])
    print(recorded.is_deferred, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""
    killed = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, cwd=repository, stdout=asyncio.subprocess.PIPE
    )
    said, _ = await killed.communicate()
    assert (said.strip(), killed.returncode) == (b"True", -9)

    store = resilient(table_store(azurite.connection_string, f"users{uuid4().hex}"), tmp_path / "outbox.db")
    assert store.n_waiting == 3
    store.start_draining()
    await until(lambda: store.n_waiting == 0)

    assert sorted((await store.history("ana")).item_ids) == ["0", "1", "2"]
    await store.close()
