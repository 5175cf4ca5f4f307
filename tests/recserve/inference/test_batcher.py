import asyncio
import math
import threading
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from recserve.errors import Overloaded
from recserve.inference.batcher import Answer, MicroBatcher, Numbers, Question, pad
from recserve.inference.session import Ranked


def echo(history: NDArray[np.int64], seen: NDArray[np.int64], k: int) -> Ranked:
    """Answers with the newest item and the k - 1 numbers after it."""
    items = history[:, -1:] + np.arange(k)
    return Ranked(items, items.astype(np.float32))


def question(item: int, *, k: int = 1) -> Question:
    return Question(history=[item], seen=[], k=k)


class GatedModel:
    """A model that runs only when it is let: shows what waits together."""

    def __init__(self) -> None:
        self.gate = threading.Semaphore(0)
        self.has_begun = threading.Event()
        self.batches: list[list[int]] = []

    def __call__(self, history: NDArray[np.int64], seen: NDArray[np.int64], k: int) -> Ranked:
        self.has_begun.set()
        self.gate.acquire()
        self.batches.append(history[:, -1].tolist())
        if -1 in history:
            raise ValueError("a model that fails")
        return echo(history, seen, k)


async def running(model: GatedModel, request: Coroutine[Any, Any, Answer]) -> asyncio.Task[Answer]:
    """The request as a task, once the model works on it."""
    task = asyncio.create_task(request)
    await asyncio.to_thread(model.has_begun.wait)
    return task


@pytest.fixture
def model() -> GatedModel:
    return GatedModel()


@pytest.fixture
def executor() -> Iterator[ThreadPoolExecutor]:
    executor = ThreadPoolExecutor(1)
    yield executor
    executor.shutdown(wait=False)


def teach(batcher: MicroBatcher, *, fixed_s: float = 0.1, each_s: float = 0.0, largest: int = 64) -> None:
    """As if runs of all sizes had taken that long."""
    n = 1
    while n <= largest:
        batcher.curve.observe(n, fixed_s + each_s * n)
        n *= 2


class TimedModel:
    """A model whose runs take time on a fake clock; runs on the event loop."""

    def __init__(self, *, fixed_s: float, each_s: float) -> None:
        self.now_s = 1000.0
        self.fixed_s = fixed_s
        self.each_s = each_s
        self.batches: list[list[int]] = []

    def __call__(self, history: NDArray[np.int64], seen: NDArray[np.int64], k: int) -> Ranked:
        self.batches.append(history[:, -1].tolist())
        self.now_s += self.fixed_s + self.each_s * len(history)
        if any(item < 0 for item in self.batches[-1]):
            raise ValueError("a model that fails")
        return echo(history, seen, k)

    def clock(self) -> float:
        return self.now_s

    def batcher(
        self,
        executor: ThreadPoolExecutor,
        *,
        max_size: int = 64,
        slo_s: float = math.inf,
        max_waiting: int = 99,
    ) -> MicroBatcher:
        """A batcher that knows the model's latency curve."""
        batcher = MicroBatcher(
            self,
            executor,
            max_size=max_size,
            slo_s=slo_s,
            max_waiting=max_waiting,
            max_inline_s=math.inf,
            clock=self.clock,
        )
        teach(batcher, fixed_s=self.fixed_s, each_s=self.each_s)
        return batcher


async def test_idle_model_runs_at_once_and_waiters_share_the_next_run(
    model: GatedModel, executor: ThreadPoolExecutor
) -> None:
    batcher = MicroBatcher(model, executor, max_size=8, max_inline_s=0)
    teach(batcher)
    requests = [await running(model, batcher.ask(question(1)))]
    requests += [asyncio.create_task(batcher.ask(question(item))) for item in (2, 3, 4)]
    await asyncio.sleep(0)
    model.gate.release(2)
    scored = await asyncio.gather(*requests)

    assert model.batches == [[1], [2, 3, 4]]
    assert [s.items.tolist() for s in scored] == [[1], [2], [3], [4]]
    assert [s.batch_size for s in scored] == [1, 3, 3, 3]
    assert [s.dispatch for s in scored] == ["idle", "drained", "drained", "drained"]


async def test_requests_that_arrive_together_share_a_run(
    model: GatedModel, executor: ThreadPoolExecutor
) -> None:
    batcher = MicroBatcher(model, executor, max_size=8)
    teach(batcher)
    model.gate.release(1)

    answers = await asyncio.gather(*(batcher.ask(question(item)) for item in (1, 2, 3)))

    assert model.batches == [[1, 2, 3]]
    assert {answer.dispatch for answer in answers} == {"idle"}


@pytest.mark.parametrize(("max_inline_s", "thread"), [(0.0, "pool"), (3600.0, "MainThread")])
async def test_short_runs_stay_on_the_event_loop_once_they_are_known_to_be_short(
    max_inline_s: float, thread: str
) -> None:
    threads: list[str] = []

    def recommend(history: NDArray[np.int64], seen: NDArray[np.int64], k: int) -> Ranked:
        threads.append(threading.current_thread().name)
        return echo(history, seen, k)

    with ThreadPoolExecutor(1, thread_name_prefix="pool") as pool:
        batcher = MicroBatcher(recommend, pool, max_size=8, max_inline_s=max_inline_s)
        for _ in range(2):
            await batcher.ask(question(1))

    assert threads[0].startswith("pool")
    assert threads[1].startswith(thread)


async def test_batch_never_exceeds_its_largest_size(model: GatedModel, executor: ThreadPoolExecutor) -> None:
    batcher = MicroBatcher(model, executor, max_size=3)
    teach(batcher, fixed_s=1.0)
    model.gate.release(7)

    answers = await asyncio.gather(*(batcher.ask(question(item)) for item in range(1, 8)))

    assert [len(batch) for batch in model.batches] == [3, 3, 1]
    assert [answer.dispatch for answer in answers] == ["full"] * 6 + ["drained"]


async def test_caller_that_went_away_is_not_run(model: GatedModel, executor: ThreadPoolExecutor) -> None:
    batcher = MicroBatcher(model, executor, max_size=8)
    first = await running(model, batcher.ask(question(1)))
    gone, last = (asyncio.create_task(batcher.ask(question(item))) for item in (2, 3))
    await asyncio.sleep(0)
    gone.cancel()
    await asyncio.sleep(0)
    model.gate.release(2)
    await asyncio.gather(first, last)

    assert model.batches == [[1], [3]]


async def test_caller_that_went_away_leaves_room_for_another(
    model: GatedModel, executor: ThreadPoolExecutor
) -> None:
    batcher = MicroBatcher(model, executor, max_size=8, max_waiting=1)
    first = await running(model, batcher.ask(question(1)))
    gone = asyncio.create_task(batcher.ask(question(2)))
    await asyncio.sleep(0)
    gone.cancel()
    await asyncio.sleep(0)
    n_waiting = batcher.n_waiting
    following = asyncio.create_task(batcher.ask(question(3)))
    model.gate.release(2)

    assert n_waiting == 0
    assert [answer.items.tolist() for answer in await asyncio.gather(first, following)] == [[1], [3]]


async def test_queue_is_bounded(model: GatedModel, executor: ThreadPoolExecutor) -> None:
    batcher = MicroBatcher(model, executor, max_size=8, max_waiting=2)
    teach(batcher, fixed_s=0.0, each_s=0.5)
    requests = [await running(model, batcher.ask(question(1)))]
    requests += [asyncio.create_task(batcher.ask(question(item))) for item in (2, 3)]
    await asyncio.sleep(0)
    with pytest.raises(Overloaded) as refused:
        await batcher.ask(question(4))
    model.gate.release(3)
    await asyncio.gather(*requests)

    assert refused.value.reason == "queue_full"
    assert refused.value.retry_after_s == pytest.approx(1.0)  # two that take half a second each
    model.gate.release(1)
    assert (await batcher.ask(question(5))).items.tolist() == [5]


async def test_batch_stops_growing_at_the_knee(executor: ThreadPoolExecutor) -> None:
    model = TimedModel(fixed_s=0.001, each_s=0.003)  # a knee of 9 / 3
    batcher = model.batcher(executor)

    answers = await asyncio.gather(*(batcher.ask(question(item)) for item in range(1, 6)))

    assert model.batches == [[1, 2, 3], [4, 5]]
    assert [answer.dispatch for answer in answers] == ["knee"] * 3 + ["drained"] * 2


async def test_batch_is_as_large_as_the_tightest_deadline_allows(executor: ThreadPoolExecutor) -> None:
    model = TimedModel(fixed_s=0.010, each_s=0.001)
    batcher = model.batcher(executor)
    asks = [batcher.ask(question(item)) for item in (1, 2, 3)]
    asks.append(batcher.ask(question(4), deadline_s=model.now_s + 0.0125))

    answers = await asyncio.gather(*asks)

    assert model.batches == [[4, 1], [2, 3]]  # due first, first
    assert [answer.dispatch for answer in answers] == ["deadline", "drained", "drained", "deadline"]


async def test_batch_is_as_large_as_the_slo_allows(executor: ThreadPoolExecutor) -> None:
    model = TimedModel(fixed_s=0.010, each_s=0.001)
    batcher = model.batcher(executor, slo_s=0.0135)

    await asyncio.gather(*(batcher.ask(question(item)) for item in range(1, 6)))

    assert model.batches[0] == [1, 2, 3]


async def test_requests_that_are_late_for_the_slo_do_not_make_batches_small(
    executor: ThreadPoolExecutor,
) -> None:
    model = TimedModel(fixed_s=0.010, each_s=0.001)
    batcher = model.batcher(executor, slo_s=0.005)

    await asyncio.gather(*(batcher.ask(question(item)) for item in range(1, 6)))

    assert model.batches == [[1, 2, 3, 4, 5]]


async def test_request_that_cannot_make_its_deadline_is_told_so_and_its_mates_go_on(
    executor: ThreadPoolExecutor,
) -> None:
    model = TimedModel(fixed_s=0.010, each_s=0.001)
    batcher = model.batcher(executor)
    late, mate = await asyncio.gather(
        batcher.ask(question(1), deadline_s=model.now_s + 0.010),
        batcher.ask(question(2)),
        return_exceptions=True,
    )

    assert isinstance(late, Overloaded)
    assert late.reason == "deadline"
    assert isinstance(mate, Answer)
    assert model.batches == [[2]]


async def test_deadline_that_passes_in_the_queue_is_noticed(executor: ThreadPoolExecutor) -> None:
    model = TimedModel(fixed_s=0.010, each_s=0.001)
    batcher = model.batcher(executor, max_size=1)
    first, second = await asyncio.gather(
        batcher.ask(question(1), deadline_s=model.now_s + 0.015),
        batcher.ask(question(2), deadline_s=model.now_s + 0.016),
        return_exceptions=True,
    )

    assert isinstance(first, Answer)
    assert isinstance(second, Overloaded)


@pytest.mark.parametrize("max_inline_s", [0.0, math.inf])
async def test_bad_request_does_not_fail_its_batch_mates(
    executor: ThreadPoolExecutor, max_inline_s: float
) -> None:
    model = TimedModel(fixed_s=1.0, each_s=0.0)
    batcher = MicroBatcher(model, executor, max_size=64, max_inline_s=max_inline_s)
    teach(batcher, fixed_s=1.0)
    items = [1, 2, 3, -1, 5, 6, 7, -1, 9, 10, 11]
    answers = await asyncio.gather(*(batcher.ask(question(item)) for item in items), return_exceptions=True)

    for item, answer in zip(items, answers, strict=True):
        if item < 0:
            assert isinstance(answer, ValueError)
        else:
            assert isinstance(answer, Answer)
            assert answer.items.tolist() == [item]
            assert answer.dispatch == "isolated"
    assert (await batcher.ask(question(12))).dispatch == "idle"


async def test_question_that_is_no_list_of_numbers_fails_alone(executor: ThreadPoolExecutor) -> None:
    batcher = MicroBatcher(echo, executor, max_size=8)
    bad = Question(history=["one"], seen=[], k=1)  # type: ignore[list-item]
    failed, mate = await asyncio.gather(batcher.ask(bad), batcher.ask(question(2)), return_exceptions=True)

    assert isinstance(failed, ValueError)
    assert isinstance(mate, Answer)


async def test_failing_run_reaches_its_caller_and_the_next_run_goes_on(
    model: GatedModel, executor: ThreadPoolExecutor
) -> None:
    batcher = MicroBatcher(model, executor, max_size=8)
    failing = await running(model, batcher.ask(question(-1)))
    following = asyncio.create_task(batcher.ask(question(2)))
    await asyncio.sleep(0)
    model.gate.release(2)

    with pytest.raises(ValueError, match="a model that fails"):
        await failing
    assert (await following).items.tolist() == [2]


async def test_failing_runs_teach_nothing(executor: ThreadPoolExecutor) -> None:
    model = TimedModel(fixed_s=0.010, each_s=0.001)
    batcher = MicroBatcher(model, executor, max_size=8, clock=model.clock)
    with pytest.raises(ValueError, match="a model that fails"):
        await batcher.ask(question(-1))

    assert batcher.curve.largest_seen == 0


async def test_model_that_loses_rows_answers_one_by_one(executor: ThreadPoolExecutor) -> None:
    batcher = MicroBatcher(lambda history, seen, k: echo(history[:1], seen, k), executor, max_size=8)
    teach(batcher)

    answers = await asyncio.gather(*(batcher.ask(question(item)) for item in (1, 2, 3)))

    assert [answer.items.tolist() for answer in answers] == [[1], [2], [3]]
    assert {(answer.batch_size, answer.dispatch) for answer in answers} == {(1, "isolated")}


async def test_model_that_always_loses_rows_says_so(executor: ThreadPoolExecutor) -> None:
    batcher = MicroBatcher(lambda history, seen, k: echo(history[:0], seen, k), executor, max_size=8)

    with pytest.raises(RuntimeError, match="the model answered 0 of 1 rows"):
        await batcher.ask(question(1))


async def test_nobody_waits_for_a_model_whose_executor_was_shut_down(model: GatedModel) -> None:
    executor = ThreadPoolExecutor(1)
    other = executor.submit(model.gate.acquire)
    batcher = MicroBatcher(model, executor, max_size=8)
    request = asyncio.create_task(batcher.ask(question(1)))
    for _ in range(3):  # the request, the run, the executor
        await asyncio.sleep(0)
    executor.shutdown(wait=False, cancel_futures=True)
    model.gate.release()

    with pytest.raises(asyncio.CancelledError):
        await request
    assert other.result()


async def test_batches_grow_in_steps_where_nothing_is_known(executor: ThreadPoolExecutor) -> None:
    model = TimedModel(fixed_s=0.010, each_s=0.0)
    batcher = MicroBatcher(model, executor, max_size=64, clock=model.clock)
    await batcher.ask(question(1))

    await asyncio.gather(*(batcher.ask(question(item)) for item in range(1, 33)))

    assert [len(batch) for batch in model.batches] == [1, 2, 4, 8, 16, 2]


async def test_each_gets_as_many_as_it_asked_for(executor: ThreadPoolExecutor) -> None:
    batcher = MicroBatcher(echo, executor, max_size=8)
    teach(batcher)

    answers = await asyncio.gather(batcher.ask(question(1, k=1)), batcher.ask(question(5, k=3)))

    assert [answer.items.tolist() for answer in answers] == [[1], [5, 6, 7]]
    assert [answer.batch_size for answer in answers] == [2, 2]


@pytest.mark.parametrize(
    "rows",
    [
        [[1, 2, 3], [4], []],
        [np.array([1, 2, 3]), np.array([4], np.int32), np.array([], np.int64)],
        [(1, 2, 3), range(4, 5), ()],
    ],
    ids=["lists", "arrays", "sequences"],
)
def test_padding_goes_to_the_left(rows: list[Numbers]) -> None:
    assert pad(rows).tolist() == [[1, 2, 3], [0, 0, 4], [0, 0, 0]]


@pytest.mark.parametrize("row", [[1, 2], (1, 2), np.array([1, 2], np.int32), np.array([1, 2])])
def test_single_row_needs_no_padding(row: Numbers) -> None:
    padded = pad([row])

    assert padded.tolist() == [[1, 2]]
    assert padded.dtype == np.int64
