import asyncio
import threading
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from recserve.inference.batcher import Answer, MicroBatcher, Question, pad
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
def executor() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(1)


async def test_idle_model_runs_at_once_and_waiters_share_the_next_run(
    model: GatedModel, executor: ThreadPoolExecutor
) -> None:
    batcher = MicroBatcher(model, executor, max_size=8, max_inline_s=0)
    requests = [await running(model, batcher.ask(question(1)))]
    requests += [asyncio.create_task(batcher.ask(question(item))) for item in (2, 3, 4)]
    await asyncio.sleep(0)
    model.gate.release(2)
    scored = await asyncio.gather(*requests)

    assert model.batches == [[1], [2, 3, 4]]
    assert [s.items.tolist() for s in scored] == [[1], [2], [3], [4]]
    assert [s.batch_size for s in scored] == [1, 3, 3, 3]


async def test_requests_that_arrive_together_share_a_run(
    model: GatedModel, executor: ThreadPoolExecutor
) -> None:
    batcher = MicroBatcher(model, executor, max_size=8)
    model.gate.release(1)

    await asyncio.gather(*(batcher.ask(question(item)) for item in (1, 2, 3)))

    assert model.batches == [[1, 2, 3]]


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
    batcher = MicroBatcher(model, executor, max_size=2)
    model.gate.release(5)

    await asyncio.gather(*(batcher.ask(question(item)) for item in range(1, 6)))

    assert [len(batch) for batch in model.batches] == [2, 2, 1]


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


async def test_failing_run_reaches_its_callers_and_the_next_run_goes_on(
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


async def test_model_that_loses_rows_fails_its_batch_and_not_the_next(executor: ThreadPoolExecutor) -> None:
    batcher = MicroBatcher(lambda history, seen, k: echo(history[:1], seen, k), executor, max_size=8)

    lost = await asyncio.gather(batcher.ask(question(1)), batcher.ask(question(2)), return_exceptions=True)

    assert [str(error) for error in lost] == ["the model answered 1 of 2 rows"] * 2
    assert (await batcher.ask(question(3))).batch_size == 1


async def test_each_gets_as_many_as_it_asked_for(executor: ThreadPoolExecutor) -> None:
    batcher = MicroBatcher(echo, executor, max_size=8)

    answers = await asyncio.gather(batcher.ask(question(1, k=1)), batcher.ask(question(5, k=3)))

    assert [answer.items.tolist() for answer in answers] == [[1], [5, 6, 7]]
    assert [answer.batch_size for answer in answers] == [2, 2]


def test_padding_goes_to_the_left() -> None:
    assert pad([[1, 2, 3], [4]]).tolist() == [[1, 2, 3], [0, 0, 4]]
