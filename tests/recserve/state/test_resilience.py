import asyncio
import itertools
from pathlib import Path

import numpy as np
import pytest

from recserve.errors import StateUnavailable
from recserve.state.outbox import Outbox
from recserve.state.resilience import CircuitBreaker, ResilientStore
from recserve.state.store import Event, Recorded
from tests.recserve.state.conftest import Clock, MemoryStore, event, resilient, until


async def items(store: ResilientStore, user_id: str = "ana") -> list[str]:
    return (await store.history(user_id)).item_ids


def test_breaker_opens_at_failures_in_a_row_only() -> None:
    breaker = CircuitBreaker(n_failures=3, open_s=10.0)

    outcomes = [breaker.fail(0.0), breaker.fail(0.0), breaker.succeed(), breaker.fail(0.0), breaker.fail(0.0)]

    assert outcomes == [False] * 5
    assert breaker.state == "closed"
    assert breaker.fail(0.0)
    assert breaker.state == "open"


def test_open_breaker_lets_one_probe_through_when_its_time_has_come() -> None:
    breaker = CircuitBreaker(n_failures=1, open_s=10.0)
    breaker.fail(100.0)

    assert not breaker.allows(109.9)
    assert breaker.wait_s(104.0) == 6.0
    assert breaker.allows(110.0)
    assert breaker.state == "half-open"
    assert not breaker.allows(110.0)


def test_probe_decides() -> None:
    breaker = CircuitBreaker(n_failures=1, open_s=10.0)
    breaker.fail(0.0)

    assert breaker.allows(10.0)
    assert not breaker.fail(11.0)  # it was open before
    assert (breaker.state, breaker.wait_s(11.0)) == ("open", 10.0)
    assert breaker.allows(21.0)
    assert breaker.succeed()
    assert (breaker.state, breaker.wait_s(21.0)) == ("closed", 0.0)
    assert breaker.allows(21.0)
    assert breaker.allows(21.0)


def test_probe_that_never_reports_back_makes_way_for_another() -> None:
    breaker = CircuitBreaker(n_failures=1, open_s=10.0)
    breaker.fail(0.0)
    breaker.allows(10.0)

    assert not breaker.allows(19.9)
    assert breaker.allows(20.0)


@pytest.mark.parametrize(("n_failures", "open_s"), [(0, 1.0), (1, 0.0), (1, float("nan"))])
def test_breaker_that_could_not_work_is_refused(n_failures: int, open_s: float) -> None:
    with pytest.raises(ValueError, match="must be positive"):
        CircuitBreaker(n_failures=n_failures, open_s=open_s)


@pytest.fixture
def inner() -> MemoryStore:
    return MemoryStore()


async def test_failure_is_retried_and_the_caller_hears_nothing(inner: MemoryStore, tmp_path: Path) -> None:
    failures = itertools.chain([True, True], itertools.repeat(False))

    class Flaky(MemoryStore):
        def _meet(self) -> None:
            self.is_down = next(failures)
            super()._meet()

    flaky = Flaky()
    store = resilient(flaky, tmp_path / "outbox.db", n_retries=2)

    assert await items(store) == []
    assert flaky.n_calls == 3
    await store.close()


async def test_retries_have_an_end(inner: MemoryStore, tmp_path: Path) -> None:
    inner.is_down = True
    store = resilient(inner, tmp_path / "outbox.db", n_retries=2)

    with pytest.raises(StateUnavailable, match="the store is down"):
        await store.history("ana")

    assert inner.n_calls == 3
    await store.close()


async def test_time_limit_ends_the_retries(inner: MemoryStore, tmp_path: Path) -> None:
    inner.is_down = True
    store = resilient(inner, tmp_path / "outbox.db", n_retries=10**6, timeout_s=0.1)

    with pytest.raises(StateUnavailable, match=r"did not answer within 0\.1 s"):
        await store.history("ana")
    await store.close()


async def test_store_that_is_down_is_left_alone_until_the_probe(
    inner: MemoryStore, tmp_path: Path, clock: Clock
) -> None:
    breaker = CircuitBreaker(n_failures=2, open_s=10.0)
    store = resilient(inner, tmp_path / "outbox.db", n_retries=0, breaker=breaker, clock=clock)
    inner.is_down = True
    for _ in range(5):
        with pytest.raises(StateUnavailable):
            await store.history("ana")
    assert inner.n_calls == 2

    inner.is_down = False
    with pytest.raises(StateUnavailable, match=r"asked again in 10\.0 s"):
        await store.history("ana")
    clock.now_s += 10.0

    assert await items(store) == []
    assert breaker.state == "closed"
    await store.close()


async def test_record_is_deferred_while_the_store_is_down_and_arrives_when_it_is_back(
    inner: MemoryStore, tmp_path: Path
) -> None:
    store = resilient(inner, tmp_path / "outbox.db")
    events = [event(str(i)) for i in range(450)]
    await store.record(events[:1])
    inner.is_down = True

    for start in range(1, 450, 30):
        recorded = await store.record(events[start : start + 30])
        assert recorded == Recorded(len(events[start : start + 30]), 0, is_deferred=True)
    stale = await store.history("ana")
    assert (stale.item_ids, stale.is_stale) == ([each.item_id for each in events[1:]], True)
    with pytest.raises(StateUnavailable):
        await store.history("ben")

    inner.is_down = False
    await until(lambda: store.n_waiting == 0)
    fresh = await store.history("ana")
    assert (fresh.item_ids, fresh.is_stale) == ([each.item_id for each in events], False)
    await store.close()


async def test_what_waits_is_in_the_history_of_a_store_that_answers(
    inner: MemoryStore, tmp_path: Path
) -> None:
    class RefusesWrites(MemoryStore):
        async def record(self, events: list[Event]) -> Recorded:
            raise StateUnavailable("read-only")

    inner = RefusesWrites()
    kept = event("kept")
    inner.events["ana"] = [kept]
    store = resilient(inner, tmp_path / "outbox.db", breaker=CircuitBreaker(n_failures=10**9))
    await store.record([kept, event("waits")])

    history = await store.history("ana")

    assert (history.item_ids, history.is_stale) == (["kept", "waits"], False)
    assert [each.item_id for each in await store.export("ana")] == ["kept", "waits"]
    await store.close()


async def test_batch_that_was_sent_before_the_crash_is_sent_again_without_harm(
    inner: MemoryStore, tmp_path: Path
) -> None:
    events = [event(str(i)) for i in range(10)]
    outbox = Outbox(tmp_path / "outbox.db")
    await outbox.add(events)
    await outbox.close()
    await inner.record(events[:6])

    store = resilient(inner, tmp_path / "outbox.db")
    store.start_draining()

    await until(lambda: store.n_waiting == 0)
    assert inner.events["ana"] == events
    await store.close()


async def test_full_outbox_acknowledges_nothing(inner: MemoryStore, tmp_path: Path) -> None:
    inner.is_down = True
    store = ResilientStore(
        inner,
        Outbox(tmp_path / "outbox.db", max_events=2),
        timeout_s=1.0,
        n_retries=0,
        breaker=CircuitBreaker(),
        rng=np.random.default_rng(1),
    )
    await store.record([event("a"), event("b")])

    with pytest.raises(StateUnavailable, match="the outbox is full"):
        await store.record([event("c")])
    await store.close()


async def test_erasure_is_never_acknowledged_while_the_store_is_down(
    inner: MemoryStore, tmp_path: Path
) -> None:
    store = resilient(inner, tmp_path / "outbox.db")
    await store.record([event("a")])
    inner.is_down = True
    await store.record([event("b")])

    for call in (store.erase, store.export):
        with pytest.raises(StateUnavailable):
            await call("ana")
    assert store.n_waiting == 1
    await store.close()


async def test_erasure_takes_what_waits_with_it(inner: MemoryStore, tmp_path: Path) -> None:
    class RefusesWrites(MemoryStore):
        async def record(self, events: list[Event]) -> Recorded:
            raise StateUnavailable("read-only")

    store = resilient(RefusesWrites(), tmp_path / "outbox.db", breaker=CircuitBreaker(n_failures=10**9))
    await store.record([event("a"), event("b"), event("c", user_id="ben")])

    assert await store.erase("ana") == 2
    assert await items(store) == []
    assert store.n_waiting == 1
    await store.close()


async def test_erased_user_is_not_brought_back_by_events_on_their_way(
    inner: MemoryStore, tmp_path: Path
) -> None:
    sending, go_on = asyncio.Event(), asyncio.Event()

    class Slow(MemoryStore):
        async def record(self, events: list[Event]) -> Recorded:
            sending.set()
            await go_on.wait()
            return await super().record(events)

    outbox = Outbox(tmp_path / "outbox.db")
    await outbox.add([event("a")])
    await outbox.close()
    slow = Slow()
    store = resilient(slow, tmp_path / "outbox.db")
    store.start_draining()
    await sending.wait()

    erasing = asyncio.create_task(store.erase("ana"))
    await asyncio.sleep(0.05)
    go_on.set()
    await erasing
    await until(lambda: store._draining is None)

    assert slow.events == {}
    assert store.n_waiting == 0
    await store.close()


async def test_outbox_is_sent_on_although_something_unforeseen_happens(tmp_path: Path) -> None:
    class Surprising(MemoryStore):
        async def record(self, events: list[Event]) -> Recorded:
            self.n_calls += 1
            if self.n_calls < 4:
                raise RuntimeError("unforeseen")
            return await super().record(events)

    outbox = Outbox(tmp_path / "outbox.db")
    await outbox.add([event("a")])
    await outbox.close()
    store = resilient(Surprising(), tmp_path / "outbox.db")
    store.start_draining()

    await until(lambda: store.n_waiting == 0)
    assert await items(store) == ["a"]
    await store.close()
