import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from numpy.typing import NDArray

from recserve.inference.batcher import MicroBatcher, pad


class GatedModel:
    """A model that runs only when it is let: shows what waits together."""

    def __init__(self) -> None:
        self.gate = threading.Semaphore(0)
        self.batches: list[list[int]] = []

    def __call__(self, history: NDArray[np.int64]) -> NDArray[np.float32]:
        self.gate.acquire()
        self.batches.append(history[:, -1].tolist())
        if -1 in history:
            raise ValueError("a model that fails")
        return history[:, -1:].astype(np.float32)


@pytest.fixture
def model() -> GatedModel:
    return GatedModel()


@pytest.fixture
def executor() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(1)


async def test_idle_model_runs_at_once_and_waiters_share_the_next_run(
    model: GatedModel, executor: ThreadPoolExecutor
) -> None:
    batcher = MicroBatcher(model, executor, max_size=8)
    requests = [asyncio.create_task(batcher.score([item])) for item in (1, 2, 3, 4)]
    await asyncio.sleep(0)
    model.gate.release(2)
    scored = await asyncio.gather(*requests)

    assert model.batches == [[1], [2, 3, 4]]
    assert [s.scores.tolist() for s in scored] == [[1.0], [2.0], [3.0], [4.0]]
    assert [s.batch_size for s in scored] == [1, 3, 3, 3]


async def test_batch_never_exceeds_its_largest_size(model: GatedModel, executor: ThreadPoolExecutor) -> None:
    batcher = MicroBatcher(model, executor, max_size=2)
    requests = [asyncio.create_task(batcher.score([item])) for item in range(1, 6)]
    await asyncio.sleep(0)
    model.gate.release(5)
    await asyncio.gather(*requests)

    assert [len(batch) for batch in model.batches] == [1, 2, 2]


async def test_caller_that_went_away_is_not_run(model: GatedModel, executor: ThreadPoolExecutor) -> None:
    batcher = MicroBatcher(model, executor, max_size=8)
    first, gone, last = (asyncio.create_task(batcher.score([item])) for item in (1, 2, 3))
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
    failing = asyncio.create_task(batcher.score([-1]))
    await asyncio.sleep(0)
    following = asyncio.create_task(batcher.score([2]))
    await asyncio.sleep(0)
    model.gate.release(2)

    with pytest.raises(ValueError, match="a model that fails"):
        await failing
    assert (await following).scores.tolist() == [2.0]


def test_padding_goes_to_the_left() -> None:
    assert pad([[1, 2, 3], [4]]).tolist() == [[1, 2, 3], [0, 0, 4]]
