"""Limit, limiter and dimmer closed into a loop with a model of the event loop, in simulated time.

One server, first come first served, with two kinds of jobs, as in an event loop: a request that arrived
waits for its turn to be let in or refused, and if let in goes to the end of the queue for its answer. The
probe is a job like the others that takes no time.
"""

import math
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random

import pytest

from recserve.admission.brownout import Dimmer
from recserve.admission.limit import FixedLimit, GradientLimit, Limit
from recserve.admission.limiter import Limiter, Permit
from recserve.admission.queueing_delay import QueueingDelay
from recserve.errors import Overloaded

SLO_S = 0.025
ENTRY_S = 0.02e-3
"Decoding a request and letting it in or refusing it."
ANSWER_S = {"student": 0.4e-3, "counts": 0.2e-3, "popular": 0.1e-3}
CAPACITY = 1 / (ENTRY_S + ANSWER_S["student"])
"Requests a second that the best variant can answer."
PHASES = ((0.5, 2.0), (3.0, 4.0), (0.5, 3.0))
"Load as a multiple of the capacity, and for how many seconds."
OVERLOAD_STARTS_S, OVERLOAD_ENDS_S, ENDS_S = 2.0, 6.0, 9.0


@dataclass(slots=True)
class Outcome:
    arrived_s: float
    answered_s: float
    variant: str


@dataclass
class Result:
    answers: list[Outcome] = field(default_factory=list)
    refused: list[tuple[float, str]] = field(default_factory=list)

    def good(self, start_s: float, end_s: float) -> float:
        """Answers inside the SLO a second, of requests that arrived then."""
        in_time = [a for a in self._between(start_s, end_s) if a.answered_s - a.arrived_s <= SLO_S]
        return len(in_time) / (end_s - start_s)

    def delay_s(self, start_s: float, end_s: float, quantile: float) -> float:
        delays = sorted(a.answered_s - a.arrived_s for a in self._between(start_s, end_s))
        return delays[int(quantile * (len(delays) - 1))]

    def share(self, variant: str, start_s: float, end_s: float) -> float:
        answers = self._between(start_s, end_s)
        return sum(a.variant == variant for a in answers) / len(answers)

    def refusals(self, start_s: float, end_s: float) -> int:
        return sum(start_s <= at_s < end_s for at_s, _ in self.refused)

    def _between(self, start_s: float, end_s: float) -> list[Outcome]:
        return [a for a in self.answers if start_s <= a.arrived_s < end_s]


def arrivals(rng: Random) -> Iterator[float]:
    at_s, ends_s = 0.0, 0.0
    for load, duration_s in PHASES:
        ends_s += duration_s
        while (at_s := at_s + rng.expovariate(load * CAPACITY)) < ends_s:
            yield at_s
        at_s = ends_s
    yield math.inf


def simulate(
    limit: Limit, ladder: tuple[str, ...], *, target_delay_s: float = 0.003, seed: int = 7
) -> Result:
    """The phases of load against one process."""
    rng, result, now_s = Random(seed), Result(), 0.0
    delay = QueueingDelay()
    limiter = Limiter(limit, delay=delay, target_delay_s=target_delay_s, clock=lambda: now_s)
    dimmer = Dimmer(len(ladder))
    queue: deque[tuple[float, Permit | None, str]] = deque()
    probe_sent_s = math.nan
    coming = arrivals(rng)
    next_s = next(coming)
    while queue or next_s < math.inf:
        while next_s <= now_s or (not queue and next_s < math.inf):
            now_s = max(now_s, next_s)
            queue.append((next_s, None, "arrival"))
            next_s = next(coming)
        arrived_s, permit, job = queue.popleft()
        if job == "probe":
            delay.observe(now_s - probe_sent_s, now_s)
            probe_sent_s = math.nan
        elif permit is not None:
            now_s += ANSWER_S[job] * rng.expovariate(1.0)
            permit.__exit__(None, None, None)
            result.answers.append(Outcome(arrived_s, now_s, job))
        else:
            if math.isnan(probe_sent_s):
                probe_sent_s = now_s
                queue.append((now_s, None, "probe"))
            dimmer.update(limiter.pressure(now_s), now_s)
            try:
                permit = limiter.acquire()
            except Overloaded as refused:
                result.refused.append((arrived_s, refused.reason))
            else:
                queue.append((arrived_s, permit, ladder[dimmer.rung("normal", rng.random())]))
            now_s += ENTRY_S
    return result


def adaptive() -> GradientLimit:
    return GradientLimit(rtt_floor_s=0.008)


@pytest.fixture(scope="module")
def with_ladder() -> Result:
    return simulate(adaptive(), tuple(ANSWER_S))


@pytest.fixture(scope="module")
def without_ladder() -> Result:
    return simulate(adaptive(), ("student",))


@pytest.fixture(scope="module")
def unlimited() -> Result:
    return simulate(FixedLimit(10**9), ("student",), target_delay_s=1e9)


def test_process_without_limits_collapses(unlimited: Result) -> None:
    assert unlimited.good(OVERLOAD_STARTS_S, OVERLOAD_ENDS_S) < 0.05 * CAPACITY
    assert unlimited.delay_s(OVERLOAD_STARTS_S, OVERLOAD_ENDS_S, 0.5) > 1
    assert unlimited.good(OVERLOAD_ENDS_S + 2, ENDS_S) == 0


def test_goodput_at_three_times_the_capacity_is_what_refusing_leaves(without_ladder: Result) -> None:
    left = (1 - 3 * CAPACITY * ENTRY_S) / ANSWER_S["student"]  # after the entry of every request

    assert without_ladder.good(OVERLOAD_STARTS_S, OVERLOAD_ENDS_S) >= 0.95 * left


@pytest.mark.parametrize("ladder", ["with_ladder", "without_ladder"])
def test_admitted_requests_are_answered_in_time_under_overload(
    ladder: str, request: pytest.FixtureRequest
) -> None:
    result: Result = request.getfixturevalue(ladder)

    assert result.delay_s(OVERLOAD_STARTS_S, OVERLOAD_ENDS_S, 0.99) <= SLO_S


@pytest.mark.parametrize("ladder", ["with_ladder", "without_ladder"])
def test_everything_is_well_two_seconds_after_the_overload(
    ladder: str, request: pytest.FixtureRequest
) -> None:
    result: Result = request.getfixturevalue(ladder)

    assert result.good(OVERLOAD_ENDS_S, OVERLOAD_ENDS_S + 2) >= 0.45 * CAPACITY
    assert result.refusals(OVERLOAD_ENDS_S + 2, ENDS_S) == 0
    assert result.share("student", OVERLOAD_ENDS_S + 2, ENDS_S) == 1


def test_cheaper_answers_are_given_before_requests_are_refused(
    with_ladder: Result, without_ladder: Result
) -> None:
    overload = (OVERLOAD_STARTS_S, OVERLOAD_ENDS_S)

    assert with_ladder.good(*overload) >= 2.5 * without_ladder.good(*overload)
    assert with_ladder.share("student", *overload) < 0.1


def test_nothing_is_refused_or_dimmed_at_half_of_the_capacity(with_ladder: Result) -> None:
    assert with_ladder.refusals(0, OVERLOAD_STARTS_S) == 0
    assert with_ladder.share("student", 0, OVERLOAD_STARTS_S) == 1


def test_queueing_delay_alone_keeps_goodput_when_the_limit_sees_nothing() -> None:
    result = simulate(FixedLimit(10_000), ("student",))

    assert {reason for _, reason in result.refused} == {"queueing_delay"}
    assert result.good(OVERLOAD_STARTS_S + 1, OVERLOAD_ENDS_S) >= 0.75 * CAPACITY
