import pytest

from recserve.admission.limit import FixedLimit
from recserve.admission.limiter import Limiter
from recserve.errors import Overloaded


def test_request_over_the_limit_is_refused_at_once() -> None:
    limiter = Limiter(FixedLimit(2))

    with limiter.acquire(), limiter.acquire(), pytest.raises(Overloaded) as refused:
        limiter.acquire()

    assert refused.value.retry_after_s > 0
    assert "limit is 2" in str(refused.value)


def test_place_is_given_back_when_the_request_ends() -> None:
    limiter = Limiter(FixedLimit(1))

    with limiter.acquire():
        pass

    with limiter.acquire():
        assert limiter.in_flight == 1
    assert limiter.in_flight == 0


def test_place_is_given_back_when_the_request_fails() -> None:
    limiter = Limiter(FixedLimit(1))

    with pytest.raises(ZeroDivisionError), limiter.acquire():
        _ = 1 / 0

    assert limiter.in_flight == 0


def test_pressure_is_the_share_of_the_limit_that_others_use() -> None:
    limiter = Limiter(FixedLimit(4))

    with limiter.acquire() as first, limiter.acquire() as second:
        assert (first.pressure, second.pressure) == (0.0, 0.25)
