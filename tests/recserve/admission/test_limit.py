import pytest

from recserve.admission.limit import FixedLimit


def test_fixed_limit_is_what_the_operator_set() -> None:
    assert FixedLimit(7).value == 7


def test_limit_below_one_is_refused_because_nobody_would_ever_get_in() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        FixedLimit(0)
