"""Limit and limiter closed into a loop with callers who ask again at once, in simulated time.

One server, first come first served, as in `test_overload`, but a fixed number of callers: whoever is
answered or refused is back at the end of the queue in no time, so that nothing ever shortens it.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Literal

import pytest

from recserve.admission.limit import FixedLimit, GradientLimit, Limit
from recserve.admission.limiter import Limiter, Permit
from recserve.admission.queueing_delay import QueueingDelay
from recserve.errors import Overloaded

SLO_S = 0.025
REFUSAL_S = 150e-6
ENTRY_S, ANSWER_S = 60e-6, 230e-6
"A request that is let in, and then answered: 290 µs together."
CAPACITY = 1 / (ENTRY_S + ANSWER_S)


@dataclass(slots=True)
class Outcome:
    n_answered: int = 0
    n_in_time: int = 0
    n_refused: int = 0


class ClosedLoop:
    """A process, and callers who never rest."""

    def __init__(self, limit: Limit, *, target_delay_s: float = SLO_S / 8, seed: int = 7) -> None:
        self.now_s = 0.0
        self._rng = Random(seed)
        self._delay = QueueingDelay()
        self._limiter = Limiter(
            limit, delay=self._delay, target_delay_s=target_delay_s, clock=lambda: self.now_s
        )

    def run(self, n_callers: int, duration_s: float) -> Outcome:
        outcome, ends_s = Outcome(), self.now_s + duration_s
        queue: deque[tuple[float, Permit | Literal["arrival", "probe"]]] = deque()
        queue.extend((self.now_s, "arrival") for _ in range(n_callers))
        is_probed = False
        while self.now_s < ends_s:
            since_s, job = queue.popleft()
            if job == "probe":
                self._delay.observe(self.now_s - since_s, self.now_s)
                is_probed = False
            elif isinstance(job, Permit):
                self._spend(ANSWER_S)
                job.__exit__(None, None, None)
                outcome.n_answered += 1
                outcome.n_in_time += self.now_s - since_s <= SLO_S
                queue.append((self.now_s, "arrival"))
            else:
                if not is_probed:
                    is_probed = True
                    queue.append((self.now_s, "probe"))
                try:
                    permit = self._limiter.acquire()
                except Overloaded:
                    self._spend(REFUSAL_S)
                    outcome.n_refused += 1
                    queue.append((self.now_s, "arrival"))
                else:
                    self._spend(ENTRY_S)
                    queue.append((since_s, permit))
        self._release(queue)
        return outcome

    def _spend(self, mean_s: float) -> None:
        self.now_s += mean_s * self._rng.uniform(0.5, 1.5)

    @staticmethod
    def _release(queue: deque[tuple[float, Permit | Literal["arrival", "probe"]]]) -> None:
        """The callers have gone, and what was let in is given up."""
        for _, job in queue:
            if isinstance(job, Permit):
                job.__exit__(KeyboardInterrupt, None, None)


def adaptive() -> Limit:
    """As `recserve.bootstrap` builds it."""
    return GradientLimit(initial=64, maximum=64, smoothing=0.5, rtt_floor_s=SLO_S / 4)


LIMITS: dict[str, Callable[[], Limit]] = {
    "adaptive": adaptive,
    "fixed": lambda: FixedLimit(64),
    "wide": lambda: FixedLimit(10_000),
}


@pytest.mark.parametrize("limit", LIMITS)
@pytest.mark.parametrize("warm_s", [0.0, 5.0])
def test_callers_who_retry_at_once_get_what_they_would_without_limits(limit: str, warm_s: float) -> None:
    loop = ClosedLoop(LIMITS[limit]())
    loop.run(1, warm_s)  # which teaches the limit how fast answers can be
    outcome = loop.run(64, 10.0)

    assert outcome.n_answered >= 0.8 * CAPACITY * 10
    assert outcome.n_in_time >= 0.8 * CAPACITY * 10


def test_callers_half_as_many_again_as_places_leave_most_of_the_time_for_answers() -> None:
    outcome = ClosedLoop(adaptive()).run(96, 10.0)

    assert outcome.n_answered >= 0.65 * CAPACITY * 10


def test_callers_who_are_answered_in_time_are_all_answered() -> None:
    outcome = ClosedLoop(adaptive()).run(8, 5.0)

    assert outcome.n_refused == 0
    assert outcome.n_in_time == outcome.n_answered >= 0.99 * CAPACITY * 5
