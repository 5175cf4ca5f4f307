import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recserve.admission.brownout import Dimmer
from recserve.admission.priority import Priority


def press(dimmer: Dimmer, pressure: float, *, duration_s: float, start_s: float = 0.0) -> float:
    """A reading every 10 ms; returns when they end."""
    for i in range(round(duration_s / 0.01) + 1):
        dimmer.update(pressure, start_s + i * 0.01)
    return start_s + duration_s


def dimmed(level: float) -> Dimmer:
    dimmer = Dimmer(3)
    dimmer.level = level
    return dimmer


def test_best_variant_answers_while_there_is_room() -> None:
    dimmer = Dimmer(3)
    press(dimmer, 0.74, duration_s=10)

    assert dimmer.rung("normal", 0.999) == 0


def test_growing_share_takes_the_next_rung_while_pressure_lasts() -> None:
    dimmer = Dimmer(3, rise_at=0.75, rise_per_s=5.0)
    press(dimmer, 0.9, duration_s=0.1)  # half a rung
    rungs = [dimmer.rung("normal", (u + 0.5) / 10) for u in range(10)]

    assert rungs == [0] * 5 + [1] * 5


def test_everybody_is_at_the_last_rung_when_pressure_does_not_end() -> None:
    dimmer = Dimmer(3)
    press(dimmer, math.inf, duration_s=5)

    assert {dimmer.rung("normal", u / 10) for u in range(10)} == {2}


def test_dimmer_holds_between_its_thresholds() -> None:
    dimmer = Dimmer(3, rise_at=0.75, fall_at=0.4)
    now_s = press(dimmer, 1.0, duration_s=0.2)
    dimmer.update(0.5, now_s)
    level = dimmer.level
    press(dimmer, 0.5, duration_s=5, start_s=now_s)

    assert dimmer.level == level > 0


def test_dimmer_falls_slower_than_it_rises_and_all_the_way_within_two_seconds() -> None:
    dimmer = Dimmer(3)
    now_s = press(dimmer, 1.0, duration_s=0.5)
    risen = dimmer.level
    now_s = press(dimmer, 0.1, duration_s=0.5, start_s=now_s)
    halfway = dimmer.level
    press(dimmer, 0.1, duration_s=1.5, start_s=now_s)

    assert risen == 2
    assert 1 < halfway < 2
    assert dimmer.level == 0


def test_dimmer_moves_with_time_and_not_with_the_number_of_requests() -> None:
    often, seldom = Dimmer(3), Dimmer(3)
    for i in range(101):
        often.update(1.0, i * 0.001)
    for i in range(3):
        seldom.update(1.0, i * 0.05)

    assert often.level == pytest.approx(seldom.level)


def test_silence_is_calm() -> None:
    dimmer = dimmed(2.0)
    dimmer.update(1.0, 0.0)
    dimmer.update(1.0, 60.0)

    assert dimmer.level == 0


def test_one_reading_after_a_silence_does_not_speak_for_all_of_it() -> None:
    dimmer = Dimmer(3)
    dimmer.update(1.0, 0.0)
    dimmer.update(1.0, 0.1)

    assert dimmer.level < 0.25


def test_low_priority_goes_first_and_not_without_pressure() -> None:
    assert [dimmed(0.5).rung("normal", u) for u in (0.0, 0.6)] == [0, 1]
    assert [dimmed(0.5).rung("low", u) for u in (0.0, 0.6)] == [1, 1]
    assert dimmed(0.0).rung("low", 0.999) == 0


@given(
    levels=st.tuples(st.floats(0, 2), st.floats(0, 2)).map(sorted),
    u=st.floats(0, 1, exclude_max=True),
    priority=st.sampled_from(["normal", "low"]),
)
def test_more_dimming_never_gives_a_better_rung(levels: list[float], u: float, priority: Priority) -> None:
    higher, lower = (dimmed(level).rung(priority, u) for level in levels)

    assert higher <= lower <= 2


@given(level=st.floats(0, 2), u=st.floats(0, 1, exclude_max=True))
def test_low_priority_never_gets_a_better_rung_than_normal(level: float, u: float) -> None:
    assert dimmed(level).rung("low", u) >= dimmed(level).rung("normal", u)


@given(st.lists(st.tuples(st.floats(0, 5), st.floats(0, 5)), max_size=50))
def test_level_stays_on_the_ladder(readings: list[tuple[float, float]]) -> None:
    dimmer, now_s = Dimmer(3), 0.0
    for pressure, elapsed_s in readings:
        now_s += elapsed_s
        dimmer.update(pressure, now_s)

        assert 0 <= dimmer.level <= 2


def test_ladder_of_one_always_answers_with_it() -> None:
    dimmer = Dimmer(1)
    press(dimmer, 9.0, duration_s=1)

    assert dimmer.rung("low", 0.99) == 0


def test_brownout_that_starts_at_infinity_never_starts() -> None:
    dimmer = Dimmer(3, rise_at=math.inf)
    press(dimmer, 100.0, duration_s=5)

    assert dimmer.level == 0


def test_dimmer_must_fall_at_a_lower_pressure_than_it_rises_at() -> None:
    with pytest.raises(ValueError, match="fall at a lower"):
        Dimmer(3, rise_at=0.5, fall_at=0.5)
    with pytest.raises(ValueError, match="at least one"):
        Dimmer(0)
    with pytest.raises(ValueError, match="positive"):
        Dimmer(3, fall_per_s=0)
