import asyncio
import sqlite3
from pathlib import Path

import pytest

from recserve.errors import StateUnavailable
from recserve.state.outbox import Outbox
from recserve.state.store import Recorded
from tests.recserve.state.conftest import event


async def test_events_wait_in_the_order_of_arrival_and_survive(tmp_path: Path) -> None:
    events = [event("b"), event("a"), event("c", user_id="ben")]
    first = Outbox(tmp_path / "outbox.db")
    assert await first.add(events) == Recorded(n_new=3, n_duplicates=0, is_deferred=True)
    await first.close()
    second = Outbox(tmp_path / "outbox.db")

    assert len(second) == 3
    assert second.waiting("ana") == events[:2]
    assert [letter.event for letter in await second.oldest(2)] == events[:2]
    await second.close()


async def test_event_waits_once(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "outbox.db")
    same = event("a")

    recorded = await asyncio.gather(outbox.add([same, same]), outbox.add([same]), outbox.add([event("b")]))

    assert [each.n_new for each in recorded] == [1, 0, 1]
    assert len(outbox) == 2
    await outbox.close()


async def test_acknowledged_events_are_in_the_file(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "outbox.db")

    await asyncio.gather(*(outbox.add([event(str(i))]) for i in range(50)))

    connection = sqlite3.connect(tmp_path / "outbox.db")
    assert connection.execute("SELECT count(*) FROM outbox").fetchone() == (50,)
    connection.close()
    await outbox.close()


def test_acknowledged_events_are_on_the_disk(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "outbox.db")

    full = 2
    reported = outbox._database._thread.submit(
        lambda: outbox._database._connection.execute("PRAGMA synchronous").fetchone()
    )

    assert reported.result() == (full,)
    asyncio.run(outbox.close())


async def test_outbox_refuses_what_would_not_fit_and_keeps_the_rest(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "outbox.db", max_events=3)
    await outbox.add([event("a"), event("b")])

    with pytest.raises(StateUnavailable, match="the outbox is full: 2 events wait, 2 came, 3 may wait"):
        await outbox.add([event("c"), event("d")])
    await outbox.add([event("e")])

    assert [each.item_id for each in outbox.waiting("ana")] == ["a", "b", "e"]
    await outbox.close()


async def test_batches_at_the_same_time_do_not_overfill_it(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "outbox.db", max_events=5)

    results = await asyncio.gather(*(outbox.add([event("a")]) for _ in range(20)), return_exceptions=True)

    assert sum(isinstance(result, Recorded) for result in results) == len(outbox) == 5
    await outbox.close()


async def test_removed_and_purged_events_wait_no_longer(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "outbox.db")
    await outbox.add([event("a"), event("b"), event("c", user_id="ben"), event("d", user_id="ben")])

    await outbox.remove(await outbox.oldest(1))
    assert [each.item_id for each in outbox.waiting("ana")] == ["b"]
    assert await outbox.purge("ben") == 2
    assert outbox.waiting("ben") == []
    assert len(outbox) == 1

    await outbox.close()
    again = Outbox(tmp_path / "outbox.db")
    assert [letter.event.item_id for letter in await again.oldest(10)] == ["b"]
    await again.close()


async def test_file_that_cannot_be_written_acknowledges_nothing(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "outbox.db")
    connection = sqlite3.connect(tmp_path / "outbox.db")
    connection.execute("DROP TABLE outbox")
    connection.close()

    results = await asyncio.gather(*(outbox.add([event("a")]) for _ in range(3)), return_exceptions=True)

    assert [type(result) for result in results] == [StateUnavailable] * 3
    assert len(outbox) == 0
    await outbox.close()


async def test_what_another_process_has_sent_waits_no_longer(tmp_path: Path) -> None:
    one, other = Outbox(tmp_path / "outbox.db"), Outbox(tmp_path / "outbox.db")
    await one.add([event("a")])
    await other.remove(await other.oldest(10))

    assert await one.oldest(10) == []
    assert len(one) == 0
    await one.close()
    await other.close()
