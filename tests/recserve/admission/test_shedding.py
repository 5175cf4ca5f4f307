import pytest
from hypothesis import given
from hypothesis import strategies as st

from recserve.admission.shedding import ShedShare

TARGET_S = 0.004


def test_nobody_goes_while_the_delay_is_under_its_target() -> None:
    shed = ShedShare(TARGET_S)

    assert [shed.update(delay_s, i * 0.01) for i, delay_s in enumerate((0.0, 0.001, 0.0039))] == [0, 0, 0]


def test_share_grows_while_the_delay_is_over_its_target_and_never_is_everybody() -> None:
    shed = ShedShare(TARGET_S)
    shares = [shed.update(3 * TARGET_S, i * 0.01) for i in range(200)]

    assert shares == sorted(shares)
    assert shares[-1] == 0.98


def test_share_is_gone_within_a_second_once_the_delay_is() -> None:
    shed = ShedShare(TARGET_S)
    for i in range(200):
        shed.update(3 * TARGET_S, i * 0.01)
    for i in range(200, 300):
        shed.update(0.0, i * 0.01)

    assert shed.share == 0


def test_one_stall_does_not_close_the_door() -> None:
    shed = ShedShare(TARGET_S)
    shed.update(0.0, 0.0)

    assert shed.update(60.0, 0.01) < 0.9


@pytest.mark.parametrize("load", [1.2, 2.0, 3.0, 5.0])
def test_delay_of_a_fluid_queue_settles_on_target_at_the_share_that_must_go(load: float) -> None:
    shed, delay_s, step_s = ShedShare(TARGET_S), 0.0, 0.001
    for i in range(3000):
        share = shed.update(delay_s, i * step_s)
        delay_s = max(0.0, delay_s + (load * (1 - share) - 1) * step_s)

    assert delay_s == pytest.approx(TARGET_S, rel=0.1)
    assert shed.share == pytest.approx(1 - 1 / load, abs=0.02)


@given(st.lists(st.tuples(st.floats(0, 10), st.floats(0, 10)), max_size=100))
def test_share_is_a_share(readings: list[tuple[float, float]]) -> None:
    shed, now_s = ShedShare(TARGET_S), 0.0
    for delay_s, elapsed_s in readings:
        now_s += elapsed_s

        assert 0 <= shed.update(delay_s, now_s) <= 0.98


def test_target_must_be_positive() -> None:
    with pytest.raises(ValueError, match="positive"):
        ShedShare(0)
