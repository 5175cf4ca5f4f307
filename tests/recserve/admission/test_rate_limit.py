import math
from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recserve.admission.rate_limit import CallerLimiter, Rate, owe, take
from recserve.errors import Overloaded

NEVER = -math.inf
rates = st.builds(Rate, st.floats(0.1, 1000), st.floats(1, 100))


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


def by_name(headers: Mapping[str, str], query: Mapping[str, str], *, is_key_checked: bool) -> bytes:
    return headers["name"].encode()


def limiter(clock: Clock, *, per_s: float = 1, burst: float = 3, max_callers: int = 100) -> CallerLimiter:
    return CallerLimiter(Rate(per_s, burst), name=by_name, max_callers=max_callers, clock=clock)


def n_admitted(callers: CallerLimiter, name: str, *, of: int) -> int:
    return sum(is_admitted(callers, name) for _ in range(of))


def is_admitted(callers: CallerLimiter, name: str) -> bool:
    try:
        callers.admit({"name": name}, {})
    except Overloaded:
        return False
    return True


@settings(deadline=None)
@given(rate=rates, steps_s=st.lists(st.floats(0, 5), max_size=60))
def test_no_stretch_of_time_holds_more_than_burst_and_rate(rate: Rate, steps_s: list[float]) -> None:
    now_s, full_at_s, taken_at_s = 0.0, NEVER, []
    for step_s in steps_s:
        now_s += step_s
        full_at_s, wait_s = take(full_at_s, now_s, rate)
        if not wait_s:
            taken_at_s.append(now_s)

    for place, starts_s in enumerate(taken_at_s):
        for n, ends_s in enumerate(taken_at_s[place:], 1):
            assert n <= rate.burst + rate.per_s * (ends_s - starts_s) + 1e-6


@settings(deadline=None)
@given(rate=rates, n_before=st.integers(0, 200), debt=st.integers(0, 500))
def test_whoever_waits_as_long_as_told_is_let_in_and_not_before(rate: Rate, n_before: int, debt: int) -> None:
    full_at_s = owe(NEVER, 0.0, rate, n=n_before + debt)
    _, wait_s = take(full_at_s, 0.0, rate)

    assert take(full_at_s, wait_s + 1e-6, rate).wait_s == 0
    assert not wait_s or take(full_at_s, wait_s * 0.99, rate).wait_s > 0


def test_a_burst_is_let_in_and_then_one_a_second(clock: Clock) -> None:
    callers = limiter(clock)
    at_once = n_admitted(callers, "ana", of=10)
    clock.now_s = 2.0
    after_two_seconds = n_admitted(callers, "ana", of=10)

    assert (at_once, after_two_seconds) == (3, 2)


def test_callers_do_not_pay_for_each_other(clock: Clock) -> None:
    callers = limiter(clock)
    n_admitted(callers, "ana", of=10)

    assert n_admitted(callers, "ben", of=10) == 3


def test_refusal_says_why_and_when_to_come_back(clock: Clock) -> None:
    callers = limiter(clock, per_s=0.5)
    n_admitted(callers, "ana", of=3)

    with pytest.raises(Overloaded) as refused:
        callers.admit({"name": "ana"}, {})

    assert (refused.value.reason, refused.value.retry_after_s) == ("caller_rate", pytest.approx(2.0))


def test_being_refused_costs_nothing(clock: Clock) -> None:
    callers = limiter(clock)
    n_admitted(callers, "ana", of=1000)
    clock.now_s = 1.0

    assert n_admitted(callers, "ana", of=10) == 1


def test_a_batch_keeps_its_caller_waiting_for_all_of_its_users(clock: Clock) -> None:
    callers = limiter(clock)
    callers.charge(callers.admit({"name": "ana"}, {}), 99)
    clock.now_s = 97.9
    early = is_admitted(callers, "ana")
    clock.now_s = 98.1

    assert (early, is_admitted(callers, "ana")) == (False, True)


def test_a_request_for_one_user_is_charged_once(clock: Clock) -> None:
    callers = limiter(clock)
    for _ in range(3):
        callers.charge(callers.admit({"name": "ana"}, {}), 0)

    assert not is_admitted(callers, "ana")


def test_table_stays_small_and_forgets_who_was_silent_longest(clock: Clock) -> None:
    callers = limiter(clock, max_callers=50)
    n_admitted(callers, "ana", of=3)
    for number in range(1000):
        callers.admit({"name": str(number)}, {})
        is_still_held = not is_admitted(callers, "ana")  # she keeps asking

        assert is_still_held
    assert len(callers) == 50


@pytest.mark.parametrize(
    ("per_s", "burst", "said"), [(0, 3, "0 requests a second"), (1, 0.5, "burst of 0.5")]
)
def test_a_rate_that_lets_nobody_in_is_refused(clock: Clock, per_s: float, burst: float, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        limiter(clock, per_s=per_s, burst=burst)
