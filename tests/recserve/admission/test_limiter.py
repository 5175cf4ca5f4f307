import math
from collections import Counter
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recserve.admission.limit import FixedLimit, Limit
from recserve.admission.limiter import Limiter
from recserve.admission.priority import Priority
from recserve.admission.queueing_delay import QueueingDelay
from recserve.errors import Overloaded


class Clock:
    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


class RecordingLimit:
    value = maximum = 8

    def __init__(self) -> None:
        self.samples: list[tuple[float, int]] = []

    def update(self, *, rtt_s: float, in_flight: int, now_s: float) -> None:
        self.samples.append((rtt_s, in_flight))


@pytest.fixture
def clock() -> Clock:
    return Clock()


def build(limit: int | Limit, clock: Clock, *, seed: int = 1) -> Limiter:
    return Limiter(
        FixedLimit(limit) if isinstance(limit, int) else limit,
        delay=QueueingDelay(),
        target_delay_s=0.004,
        clock=clock,
        rng=Random(seed),
    )


def answer(limiter: Limiter, clock: Clock, *, n: int = 1, rtt_s: float = 0.01, weight: int = 1) -> None:
    for _ in range(n):
        with limiter.acquire(weight=weight):
            clock.now_s += rtt_s


def refuse(limiter: Limiter, *, priority: Priority = "normal", weight: int = 1) -> Overloaded:
    with pytest.raises(Overloaded) as refused:
        limiter.acquire(priority=priority, weight=weight)
    return refused.value


def test_request_over_the_limit_is_refused_at_once(clock: Clock) -> None:
    limiter = build(2, clock)

    with limiter.acquire(), limiter.acquire():
        refused = refuse(limiter)

    assert refused.reason == "concurrency"
    assert refused.retry_after_s > 0


def test_place_is_given_back_when_the_request_ends(clock: Clock) -> None:
    limiter = build(1, clock)

    with limiter.acquire():
        pass

    with limiter.acquire():
        assert limiter.in_flight == 1
    assert limiter.in_flight == 0


def test_place_is_given_back_when_the_request_fails(clock: Clock) -> None:
    limiter = build(1, clock)

    with pytest.raises(ZeroDivisionError), limiter.acquire():
        _ = 1 / 0

    assert limiter.in_flight == 0


def test_limit_learns_from_answers_and_not_from_failures(clock: Clock) -> None:
    limit = RecordingLimit()
    limiter = build(limit, clock)
    with limiter.acquire():
        answer(limiter, clock, rtt_s=0.25)
    with pytest.raises(ZeroDivisionError), limiter.acquire():
        _ = 1 / 0

    assert limit.samples == [(0.25, 2), (0.25, 1)]


def test_limit_does_not_take_a_large_request_for_a_queue(clock: Clock) -> None:
    limit = RecordingLimit()
    answer(build(limit, clock), clock, weight=4)

    assert limit.samples == []


def test_low_priority_leaves_room_for_normal(clock: Clock) -> None:
    limiter = build(4, clock)

    with limiter.acquire(priority="low"), limiter.acquire(priority="low"), limiter.acquire(priority="low"):
        assert refuse(limiter, priority="low").reason == "concurrency"
        with limiter.acquire(priority="normal"):
            assert limiter.in_flight == 4


def test_low_priority_is_let_in_even_at_a_limit_of_one(clock: Clock) -> None:
    with build(1, clock).acquire(priority="low") as permit:
        assert permit.pressure == 0


def test_heavy_request_takes_as_many_places_and_gives_them_back(clock: Clock) -> None:
    limiter = build(8, clock)

    with limiter.acquire(weight=3):
        assert limiter.in_flight == 3
    assert limiter.in_flight == 0


def test_request_heavier_than_the_limit_counts_as_half_of_it(clock: Clock) -> None:
    limiter = build(8, clock)

    with limiter.acquire(), limiter.acquire(weight=256):
        assert limiter.in_flight == 5
        assert refuse(limiter, weight=256).reason == "concurrency"


def test_deadline_closer_than_an_answer_takes_is_refused(clock: Clock) -> None:
    limiter = build(8, clock)
    answer(limiter, clock, n=20, rtt_s=0.010)

    with pytest.raises(Overloaded) as refused:
        limiter.acquire(deadline_s=clock.now_s + 0.009)

    assert refused.value.reason == "deadline"
    with limiter.acquire(deadline_s=clock.now_s + 0.011):
        pass


@pytest.mark.parametrize("late_s", [1e-6, 1.0, math.inf])
def test_deadline_in_the_past_is_refused_whatever_is_known(clock: Clock, late_s: float) -> None:
    with pytest.raises(Overloaded) as refused:
        build(8, clock).acquire(deadline_s=clock.now_s - late_s)

    assert refused.value.reason == "deadline"


def test_deadlines_are_tried_again_when_refusing_them_has_left_nothing_to_learn_from(clock: Clock) -> None:
    limiter = build(8, clock)
    answer(limiter, clock, n=20, rtt_s=0.100)
    with pytest.raises(Overloaded):
        limiter.acquire(deadline_s=clock.now_s + 0.020)
    clock.now_s += 3.0

    with limiter.acquire(deadline_s=clock.now_s + 0.020):
        pass


def stand_in_queue(limiter: Limiter, clock: Clock, delay_s: float, *, n: int = 400) -> Counter[str]:
    """Ask every millisecond while the event loop is that far behind; what became of the requests."""
    outcomes: Counter[str] = Counter()
    for i in range(n):
        clock.now_s += 0.001
        limiter.delay.observe(delay_s, clock.now_s)
        priority: Priority = "low" if i % 2 else "normal"
        try:
            with limiter.acquire(priority=priority):
                outcomes[f"{priority} in"] += 1
        except Overloaded as refused:
            outcomes[f"{priority} {refused.reason}"] += 1
    return outcomes


def test_event_loop_that_is_behind_sheds_a_share_and_low_priority_first(clock: Clock) -> None:
    limiter = build(64, clock)

    with limiter.acquire():
        outcomes = stand_in_queue(limiter, clock, delay_s=0.006, n=200)

    assert outcomes["low queueing_delay"] > outcomes["normal queueing_delay"] > 0
    assert outcomes["normal in"] > outcomes["low in"] > 0


def test_something_is_let_in_however_far_behind_the_event_loop_is(clock: Clock) -> None:
    limiter = build(64, clock)

    with limiter.acquire():
        stand_in_queue(limiter, clock, delay_s=1.0, n=2000)
        outcomes = stand_in_queue(limiter, clock, delay_s=1.0, n=2000)

    assert limiter.shed_share == 0.98
    assert outcomes["normal in"] > 0


def test_idle_process_refuses_nobody_for_a_slow_event_loop(clock: Clock) -> None:
    outcomes = stand_in_queue(build(64, clock), clock, delay_s=1.0)

    assert outcomes == {"normal in": 200, "low in": 200}


def test_pressure_is_the_share_in_use_or_the_relative_delay_whichever_is_more(clock: Clock) -> None:
    limiter = build(4, clock)

    with limiter.acquire() as first, limiter.acquire() as second:
        assert (first.pressure, second.pressure) == (0.0, 0.25)
        assert limiter.pressure(clock.now_s) == 0.5
        limiter.delay.observe(0.006, clock.now_s)
        assert limiter.pressure(clock.now_s) == 1.5


def test_refused_callers_are_told_when_there_should_be_room(clock: Clock) -> None:
    limiter = build(10, clock)
    answer(limiter, clock, n=1000, rtt_s=0.01)  # 100 a second

    with limiter.acquire(weight=5), limiter.acquire(weight=5):
        first = refuse(limiter).retry_after_s
        for _ in range(400):
            last = refuse(limiter).retry_after_s

    assert 0.1 <= first <= 0.2  # 11 people wait for 100 answers a second
    assert 2.0 <= last <= 6.2  # 411


def test_refused_callers_do_not_come_back_together_and_the_same_seed_tells_the_same(clock: Clock) -> None:
    def retries(seed: int) -> list[float]:
        limiter = build(1, clock, seed=seed)
        with limiter.acquire():
            return [refuse(limiter).retry_after_s for _ in range(10)]

    assert len(set(retries(1))) == 10
    assert retries(1) == retries(1) != retries(2)


@given(n_refused=st.integers(0, 3000), n_answered=st.integers(0, 50))
def test_retry_after_is_sane_whatever_happened(n_refused: int, n_answered: int) -> None:
    clock = Clock()
    limiter = build(1, clock)
    answer(limiter, clock, n=n_answered)

    with limiter.acquire():
        retries = [refuse(limiter).retry_after_s for _ in range(n_refused)]

    assert all(0.1 <= retry_s <= 30 for retry_s in retries)


def test_reserved_share_must_leave_something(clock: Clock) -> None:
    with pytest.raises(ValueError, match="reserved share"):
        Limiter(FixedLimit(1), delay=QueueingDelay(), target_delay_s=1, reserved_share=1.0)


def test_work_of_another_kind_teaches_nothing_about_answers(clock: Clock) -> None:
    limit = RecordingLimit()
    limiter = build(limit, clock)
    answer(limiter, clock, n=5, rtt_s=0.002)
    n_samples = len(limit.samples)
    for _ in range(50):
        with limiter.acquire(is_typical=False):
            clock.now_s += 0.5
    limiter.acquire(deadline_s=clock.now_s + 0.01)

    assert len(limit.samples) == n_samples
