"""Micro-batching: requests that wait for the same model share its next run."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from time import perf_counter
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Scored(NamedTuple):
    scores: NDArray[np.float32]
    "(n_items,); column j is item number j + 1."
    started_s: float
    "When the run that held this request began, on the clock of `time.perf_counter`."
    batch_size: int


class _Waiting(NamedTuple):
    history: Sequence[int]
    answer: "asyncio.Future[Scored]"


class MicroBatcher:
    """Work-conserving batches: an idle model runs at once, whoever waits joins the next run.

    Nobody is ever delayed in the hope of company. All calls come from one event loop; runs happen on
    `executor`, one at a time.

    Args:
        score: scores a batch, (batch, length) item numbers -> (batch, n_items).
        executor: where runs happen; ONNX Runtime releases the GIL there.
        max_size: largest batch; 1 turns batching off.
    """

    def __init__(
        self,
        score: Callable[[NDArray[np.int64]], NDArray[np.float32]],
        executor: Executor,
        *,
        max_size: int,
    ) -> None:
        self._score = score
        self._executor = executor
        self._max_size = max_size
        self._waiting: deque[_Waiting] = deque()
        self._is_running = False

    async def score(self, history: Sequence[int]) -> Scored:
        """Score every item for one user.

        Args:
            history: item numbers, newest last, at least one.
        """
        waiting = _Waiting(history, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        if not self._is_running:
            self._start_run()
        return await waiting.answer

    def _start_run(self) -> None:
        batch: list[_Waiting] = []
        while self._waiting and len(batch) < self._max_size:
            waiting = self._waiting.popleft()
            if not waiting.answer.done():  # the caller went away
                batch.append(waiting)
        self._is_running = bool(batch)
        if batch:
            loop = asyncio.get_running_loop()
            run = loop.run_in_executor(self._executor, self._run, [w.history for w in batch])
            run.add_done_callback(lambda run: self._finish_run(batch, run))

    def _run(self, histories: list[Sequence[int]]) -> tuple[NDArray[np.float32], float]:
        started_s = perf_counter()
        return self._score(pad(histories)), started_s

    def _finish_run(
        self, batch: list[_Waiting], run: "asyncio.Future[tuple[NDArray[np.float32], float]]"
    ) -> None:
        error = run.exception()
        for row, waiting in enumerate(batch):
            if waiting.answer.done():
                continue
            if error is not None:
                waiting.answer.set_exception(error)
            else:
                scores, started_s = run.result()
                waiting.answer.set_result(Scored(scores[row], started_s, len(batch)))
        self._start_run()


def pad(histories: Sequence[Sequence[int]]) -> NDArray[np.int64]:
    """Histories as one array, (batch, longest), zeros on the left."""
    length = max(map(len, histories))
    padded = np.zeros((len(histories), length), np.int64)
    for row, history in enumerate(histories):
        padded[row, length - len(history) :] = history
    return padded
