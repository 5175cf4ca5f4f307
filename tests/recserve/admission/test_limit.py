from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recserve.admission.limit import FixedLimit, GradientLimit, Limit

LIMITS: dict[str, Callable[[], Limit]] = {
    "fixed": lambda: FixedLimit(7),
    "gradient": GradientLimit,
    "gradient, of one": lambda: GradientLimit(initial=1, maximum=1),
    "gradient with a floor": lambda: GradientLimit(rtt_floor_s=0.01),
}
every_limit = pytest.mark.parametrize("build", LIMITS.values(), ids=LIMITS)
samples = st.lists(
    st.tuples(st.floats(0, 60), st.integers(1, 10_000), st.floats(0, 10)), min_size=1, max_size=200
)


def feed(
    limit: Limit, rtt_s: float, *, n_windows: int, start_s: float = 0.0, in_flight: int | None = None
) -> float:
    """Ten samples every 100 ms, with the limit in use; returns when they end."""
    now_s = start_s
    for _ in range(n_windows * 10):
        now_s += 0.0101
        limit.update(rtt_s=rtt_s, in_flight=limit.value if in_flight is None else in_flight, now_s=now_s)
    return now_s


@every_limit
@given(samples=samples)
def test_limit_always_lets_somebody_in(
    build: Callable[[], Limit], samples: list[tuple[float, int, float]]
) -> None:
    limit, now_s = build(), 0.0
    for rtt_s, in_flight, elapsed_s in samples:
        now_s += elapsed_s
        limit.update(rtt_s=rtt_s, in_flight=in_flight, now_s=now_s)

        assert isinstance(limit.value, int)
        assert 1 <= limit.value <= 64


@every_limit
@given(samples=samples)
def test_limit_is_the_same_for_the_same_samples(
    build: Callable[[], Limit], samples: list[tuple[float, int, float]]
) -> None:
    values = []
    for limit in (build(), build()):
        now_s = 0.0
        for rtt_s, in_flight, elapsed_s in samples:
            now_s += elapsed_s
            limit.update(rtt_s=rtt_s, in_flight=in_flight, now_s=now_s)
        values.append(limit.value)

    assert values[0] == values[1]


@every_limit
def test_limit_that_nobody_uses_stays(build: Callable[[], Limit]) -> None:
    limit = build()
    before = limit.value
    feed(limit, 0.001, n_windows=50, in_flight=0)

    assert limit.value == before


def test_fixed_limit_is_what_the_operator_set() -> None:
    limit = FixedLimit(7)
    feed(limit, 10.0, n_windows=5)

    assert limit.value == 7


def test_limit_below_one_is_refused_because_nobody_would_ever_get_in() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        FixedLimit(0)
    with pytest.raises(ValueError, match="from 1 or more"):
        GradientLimit(minimum=0)


def test_gradient_limit_grows_while_requests_stay_fast() -> None:
    limit = GradientLimit(initial=4, maximum=32)
    feed(limit, 0.001, n_windows=100)

    assert limit.value == 32


def test_gradient_limit_shrinks_to_one_when_requests_get_slow() -> None:
    limit = GradientLimit(initial=32)
    now_s = feed(limit, 0.001, n_windows=20)
    feed(limit, 0.1, n_windows=60, start_s=now_s)

    assert limit.value == 1


def test_gradient_limit_takes_slowness_up_to_its_floor_for_no_queue() -> None:
    limit = GradientLimit(initial=16, rtt_floor_s=0.01)
    now_s = feed(limit, 0.001, n_windows=20)
    before = limit.value
    feed(limit, 0.009, n_windows=20, start_s=now_s)

    assert limit.value > before


def test_gradient_limit_waits_for_enough_samples() -> None:
    limit = GradientLimit(min_samples=10)
    for i in range(9):
        limit.update(rtt_s=0.001, in_flight=16, now_s=float(i))
    before = limit.value
    for i in range(9, 60):
        limit.update(rtt_s=0.001, in_flight=16, now_s=float(i))

    assert before == 16
    assert limit.value > 16


def test_baseline_recovers_within_a_second_after_it_has_grown_with_an_overload() -> None:
    limit = GradientLimit(long_window_s=5.0, maximum=32)
    now_s = feed(limit, 0.001, n_windows=20)
    now_s = feed(limit, 0.004, n_windows=200, start_s=now_s)  # 20 s: the baseline is about 4 ms
    grown = limit.value
    now_s = feed(limit, 0.001, n_windows=10, start_s=now_s)
    feed(limit, 0.004, n_windows=5, start_s=now_s)

    assert grown == 32
    assert limit.value < grown  # 4 ms is slow again
