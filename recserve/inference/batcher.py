"""Micro-batching: requests that wait for the same model share its next run."""

import asyncio
import math
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from heapq import heappop, heappush
from itertools import chain
from time import perf_counter
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from recserve.errors import Overloaded
from recserve.inference.latency_curve import LatencyCurve
from recserve.inference.session import Ranked

MAX_INLINE_S = 1e-3
"Below this, holding up the event loop costs less than waking a thread."

Numbers = Sequence[int] | NDArray[np.int64]

Dispatch = Literal["idle", "drained", "full", "knee", "deadline", "isolated"]
"""Why a batch was run with the size it had.

- idle: the model was free, and the batch is everyone who had been let in by then;
- drained: the model had been busy, and the batch is everyone who waited meanwhile;
- full: more waited, and the batch had the largest size allowed;
- knee: more waited, and a larger batch would not have been worth its latency, or is not known to be;
- deadline: more waited, and with a larger batch the first would have been late;
- isolated: a larger batch failed, and this is the half, or the half of a half, that did not.
"""


class Question(NamedTuple):
    """What one request asks of a model."""

    history: Numbers
    "Item numbers, newest last, at least one; 0 is padding."
    seen: Numbers
    "Item numbers that must not come back."
    k: int


class Answer(NamedTuple):
    items: NDArray[np.int64]
    "Item numbers, best first, (at most k,)."
    scores: NDArray[np.float32]
    started_s: float
    "When the run that held this request began, on the batcher's clock."
    batch_size: int
    dispatch: Dispatch


class _Run(NamedTuple):
    ranked: Ranked
    started_s: float
    duration_s: float


class _Waiting:
    __slots__ = ("answer", "deadline_s", "is_queued", "question")

    def __init__(self, question: Question, deadline_s: float, answer: "asyncio.Future[Answer]") -> None:
        self.question = question
        self.deadline_s = deadline_s
        self.answer = answer
        self.is_queued = True


class MicroBatcher:
    """Work-conserving batches: an idle model runs at once, whoever waits joins the next run.

    Nobody is delayed in the hope of company: a run takes those that the event loop has already let in,
    those due first first. Due is a request's deadline, or `slo_s` after it came, whichever is earlier. The
    batch is as large as all of these allow: `max_size`, the knee of the learned latency curve, and the run
    that the request due first can still wait for. When that one is late already, hurrying would only make
    the next ones late, and it bounds nothing.

    Short runs happen on the event loop, since waking a thread and coming back costs more than they take
    (`docs/decisions.md`); longer ones on `executor`, one at a time, where ONNX Runtime releases the GIL.
    When a run of several fails, its halves run again, down to the request that fails by itself: nobody
    fails for the company they were in. All calls come from one event loop.

    Args:
        recommend: answers a batch, as `ScoringSession.recommend` does.
        executor: where longer runs happen.
        max_size: largest batch; 1 turns batching off.
        max_waiting: most requests that may wait for a run.
        slo_s: how long a request may wait and run before it is late; bounds batches, refuses nobody.
        max_inline_s: runs shorter than this, by the latency curve, may hold up the event loop.
        clock: monotonic, in seconds; that of deadlines.
    """

    def __init__(
        self,
        recommend: Callable[[NDArray[np.int64], NDArray[np.int64], int], Ranked],
        executor: Executor,
        *,
        max_size: int,
        max_waiting: int = 1024,
        slo_s: float = math.inf,
        max_inline_s: float = MAX_INLINE_S,
        clock: Callable[[], float] = perf_counter,
    ) -> None:
        self.curve = LatencyCurve()
        self.n_waiting = 0
        "Requests that wait for a run."
        self._recommend = recommend
        self._executor = executor
        self._max_size = max_size
        self._max_waiting = max_waiting
        self._slo_s = slo_s
        self._max_inline_s = max_inline_s
        self._clock = clock
        self._queue: list[tuple[float, int, _Waiting]] = []
        "A heap of (due, number, request); who went away stays in it until it is their turn."
        self._n_asked = 0
        self._is_busy = False
        "A run is under way or scheduled."
        self._work: asyncio.Task[None] | None = None
        "The run that the event loop does not wait for."

    async def ask(self, question: Question, *, deadline_s: float = math.inf) -> Answer:
        """The best items for one user.

        Args:
            question: what to answer.
            deadline_s: when nobody waits for the answer any more; infinity for never.

        Raises:
            Overloaded: too many wait already, or a run would end after the deadline.
        """
        if self.n_waiting >= self._max_waiting:
            raise self._refuse_full()
        loop = asyncio.get_running_loop()
        waiting = _Waiting(question, deadline_s, loop.create_future())
        self._n_asked += 1
        due_s = min(deadline_s, self._clock() + self._slo_s)
        heappush(self._queue, (due_s, self._n_asked, waiting))
        self.n_waiting += 1
        if not self._is_busy:
            self._is_busy = True
            loop.call_soon(self._run_next, loop, "idle")
        try:
            return await waiting.answer
        finally:
            if waiting.is_queued:  # the caller went away
                self._leave(waiting)

    def _run_next(self, loop: asyncio.AbstractEventLoop, if_all: Dispatch) -> None:
        """Run a batch of those who wait.

        Args:
            loop: the running loop.
            if_all: the dispatch reason when nobody is left waiting.
        """
        batch, dispatch = self._take_batch(if_all)
        if not batch:
            self._is_busy = False
        elif self._is_short(len(batch)):
            try:
                run = self._run(batch)
            except Exception as err:
                self._work = loop.create_task(self._run_aside(self._split(batch, err), "isolated"))
            else:
                self._settle(batch, run, dispatch)
                self._go_on(loop)
        else:
            self._work = loop.create_task(self._run_aside([batch], dispatch))

    async def _run_aside(self, parts: list[list[_Waiting]], dispatch: Dispatch) -> None:
        """Run batches on the executor; where one fails, its halves."""
        loop = asyncio.get_running_loop()
        try:
            while parts:
                batch = parts.pop()
                try:
                    run = await loop.run_in_executor(self._executor, self._run, batch)
                except Exception as err:
                    parts += self._split(batch, err)
                    dispatch = "isolated"
                except asyncio.CancelledError:  # the executor was shut down
                    parts.append(batch)
                    raise
                else:
                    self._settle(batch, run, dispatch)
        finally:
            for waiting in chain.from_iterable(parts):
                waiting.answer.cancel()
            self._go_on(loop)

    def _go_on(self, loop: asyncio.AbstractEventLoop) -> None:
        """Schedule the next run, behind those whom the event loop has to let in first."""
        if self.n_waiting:
            loop.call_soon(self._run_next, loop, "drained")
        else:
            self._is_busy = False

    def _take_batch(self, if_all: Dispatch) -> tuple[list[_Waiting], Dispatch]:
        """Those due first, as many as may share a run, and why not more.

        Who went away is left out, and who cannot be answered before the deadline, even alone, is told so.
        """
        now_s = self._clock()
        alone_s = self.curve.duration_s(1)
        knee = self.curve.knee()
        most = self._max_size
        if_more: Dispatch = "full"
        if knee < most:
            most, if_more = knee, "knee"
        batch: list[_Waiting] = []
        is_bounded = False
        while self._queue and len(batch) < most:
            due_s, _, waiting = heappop(self._queue)
            if not waiting.is_queued or waiting.answer.done():
                continue
            self._leave(waiting)
            if waiting.deadline_s - now_s < alone_s:
                waiting.answer.set_exception(self._refuse_late())
                continue
            batch.append(waiting)
            if not is_bounded and (in_time := self.curve.largest_within(due_s - now_s)):
                is_bounded = True  # those who follow are due later
                if in_time < most:
                    most, if_more = in_time, "deadline"
        return batch, if_more if self.n_waiting else if_all

    def _is_short(self, n: int) -> bool:
        return self.curve.largest_seen > 0 and self.curve.duration_s(n) < self._max_inline_s

    def _run(self, batch: list[_Waiting]) -> _Run:
        questions = [waiting.question for waiting in batch]
        started_s = self._clock()
        histories, seen = pad([q.history for q in questions]), pad([q.seen for q in questions])
        ranked = self._recommend(histories, seen, max(q.k for q in questions))
        n_answered = min(len(ranked.items), len(ranked.scores))
        if n_answered != len(questions):
            raise RuntimeError(f"the model answered {n_answered} of {len(questions)} rows")
        return _Run(ranked, started_s, self._clock() - started_s)

    def _settle(self, batch: list[_Waiting], run: _Run, dispatch: Dispatch) -> None:
        """Hand out the answers of a run, and learn from it."""
        self.curve.observe(len(batch), run.duration_s)
        for row, waiting in enumerate(batch):
            if not waiting.answer.done():
                k = waiting.question.k
                items, scores = run.ranked.items[row, :k], run.ranked.scores[row, :k]
                waiting.answer.set_result(Answer(items, scores, run.started_s, len(batch), dispatch))

    def _split(self, batch: list[_Waiting], err: Exception) -> list[list[_Waiting]]:
        """The halves of a batch that failed; a request that failed by itself gets the error."""
        if len(batch) > 1:
            return [batch[len(batch) // 2 :], batch[: len(batch) // 2]]
        if not batch[0].answer.done():
            batch[0].answer.set_exception(err)
        return []

    def _leave(self, waiting: _Waiting) -> None:
        waiting.is_queued = False
        self.n_waiting -= 1

    def _refuse_full(self) -> Overloaded:
        size = min(self.curve.knee(), self._max_size)
        return Overloaded(
            "too many requests wait for the model; try again later",
            retry_after_s=self.n_waiting / size * self.curve.duration_s(size),
            reason="queue_full",
        )

    def _refuse_late(self) -> Overloaded:
        return Overloaded(
            "the deadline ended while the request waited for the model; allow more time or try again later",
            retry_after_s=self.curve.duration_s(1),
            reason="deadline",
        )


def pad(rows: Sequence[Numbers]) -> NDArray[np.int64]:
    """Item numbers as one array, (batch, longest), zeros on the left."""
    if len(rows) == 1:
        return np.asarray(rows, np.int64)
    length = max(map(len, rows))
    padded = np.zeros((len(rows), length), np.int64)
    for place, row in enumerate(rows):
        if len(row):
            padded[place, length - len(row) :] = row
    return padded
