"""Micro-batching: requests that wait for the same model share its next run."""

import asyncio
import math
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from time import perf_counter
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from recserve.inference.session import Ranked

MAX_INLINE_S = 1e-3
"Below this, holding up the event loop costs less than waking a thread."
SMOOTHING = 0.2
"Weight of the newest run in the smoothed duration."


class Question(NamedTuple):
    """What one request asks of a model."""

    history: Sequence[int]
    "Item numbers, newest last, at least one; 0 is padding."
    seen: Sequence[int]
    "Item numbers that must not come back."
    k: int


class Answer(NamedTuple):
    items: NDArray[np.int64]
    "Item numbers, best first, (at most k,)."
    scores: NDArray[np.float32]
    started_s: float
    "When the run that held this request began, on the clock of `time.perf_counter`."
    batch_size: int


class _Run(NamedTuple):
    ranked: Ranked
    started_s: float
    duration_s: float


class _Waiting(NamedTuple):
    question: Question
    answer: "asyncio.Future[Answer]"


class MicroBatcher:
    """Work-conserving batches: an idle model runs at once, whoever waits joins the next run.

    Nobody is delayed in the hope of company: a run takes those that the event loop has already let in.
    Short runs happen on the event loop, since waking a thread and coming back costs more than they take
    (`docs/decisions.md`); longer ones on `executor`, one at a time, where ONNX Runtime releases the GIL.
    All calls come from one event loop.

    Args:
        recommend: answers a batch, as `ScoringSession.recommend` does.
        executor: where longer runs happen.
        max_size: largest batch; 1 turns batching off.
        max_inline_s: longest run, by the time the last ones took, that may hold up the event loop.
    """

    def __init__(
        self,
        recommend: Callable[[NDArray[np.int64], NDArray[np.int64], int], Ranked],
        executor: Executor,
        *,
        max_size: int,
        max_inline_s: float = MAX_INLINE_S,
    ) -> None:
        self._recommend = recommend
        self._executor = executor
        self._max_size = max_size
        self._max_inline_s = max_inline_s
        self._waiting: deque[_Waiting] = deque()
        self._work: asyncio.Task[None] | None = None
        "Runs batches; None while nobody waits."
        self._row_s = math.inf
        "Smoothed duration of a run for each row of its batch; unknown runs count as long."

    async def ask(self, question: Question) -> Answer:
        """The best items for one user."""
        loop = asyncio.get_running_loop()
        waiting = _Waiting(question, loop.create_future())
        self._waiting.append(waiting)
        if self._work is None:
            self._work = loop.create_task(self._run_until_idle())
        return await waiting.answer

    async def _run_until_idle(self) -> None:
        try:
            while batch := self._take_batch():
                await self._answer(batch)
                await asyncio.sleep(0)  # lets in whoever has arrived meanwhile
        finally:
            self._work = None

    async def _answer(self, batch: list[_Waiting]) -> None:
        questions = [waiting.question for waiting in batch]
        try:
            if self._row_s * len(batch) <= self._max_inline_s:
                run = self._run(questions)
            else:
                run = await asyncio.get_running_loop().run_in_executor(self._executor, self._run, questions)
        except Exception as err:
            for waiting in batch:
                if not waiting.answer.done():
                    waiting.answer.set_exception(err)
            return
        row_s = run.duration_s / len(batch)
        self._row_s = row_s if math.isinf(self._row_s) else self._row_s + SMOOTHING * (row_s - self._row_s)
        for row, waiting in enumerate(batch):
            if not waiting.answer.done():
                k = waiting.question.k
                items, scores = run.ranked.items[row, :k], run.ranked.scores[row, :k]
                waiting.answer.set_result(Answer(items, scores, run.started_s, len(batch)))

    def _take_batch(self) -> list[_Waiting]:
        """The longest waiting, without those whose callers went away."""
        batch: list[_Waiting] = []
        while self._waiting and len(batch) < self._max_size:
            waiting = self._waiting.popleft()
            if not waiting.answer.done():
                batch.append(waiting)
        return batch

    def _run(self, questions: list[Question]) -> _Run:
        started_s = perf_counter()
        histories, seen = pad([q.history for q in questions]), pad([q.seen for q in questions])
        ranked = self._recommend(histories, seen, max(q.k for q in questions))
        if len(ranked.items) != len(questions):
            raise RuntimeError(f"the model answered {len(ranked.items)} of {len(questions)} rows")
        return _Run(ranked, started_s, perf_counter() - started_s)


def pad(rows: Sequence[Sequence[int]]) -> NDArray[np.int64]:
    """Item numbers as one array, (batch, longest), zeros on the left."""
    length = max(map(len, rows))
    padded = np.zeros((len(rows), length), np.int64)
    for place, row in enumerate(rows):
        padded[place, length - len(row) :] = row
    return padded
