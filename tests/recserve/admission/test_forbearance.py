import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recserve.admission.forbearance import Forbearance

TARGET_S = 0.003
STEP_S = 0.001


def feed(
    forbearance: Forbearance,
    start_s: float,
    duration_s: float,
    *,
    refused_share: float = 1.0,
    delay_s: float = 4 * TARGET_S,
) -> list[float]:
    """A request every millisecond, of which a share is refused unless it holds.

    Returns:
        When it began or ceased to hold.
    """
    changes = []
    n_refused, held = 0.0, forbearance.holds(start_s)
    for i in range(int(duration_s / STEP_S)):
        now_s = start_s + i * STEP_S
        if forbearance.holds(now_s) != held:
            changes.append(now_s)
            held = not held
        n_refused += 0.0 if held else refused_share
        is_refused = n_refused >= 1
        n_refused -= is_refused
        forbearance.observe(is_refused=is_refused, delay_s=delay_s, now_s=now_s)
    return changes


def test_refusing_goes_on_where_it_has_brought_the_delay_to_its_target() -> None:
    assert feed(Forbearance(TARGET_S), 0.0, 5.0, refused_share=0.98, delay_s=0.9 * TARGET_S) == []


def test_refusing_goes_on_where_answers_are_what_takes_the_time() -> None:
    assert feed(Forbearance(TARGET_S), 0.0, 5.0, refused_share=0.7) == []


def test_overload_is_given_three_windows_to_end_by_refusing() -> None:
    assert feed(Forbearance(TARGET_S), 0.0, 1.0)[0] == pytest.approx(0.3, abs=0.01)


def test_one_window_that_helped_starts_the_count_again() -> None:
    forbearance = Forbearance(TARGET_S)
    for i in range(10):
        feed(forbearance, i * 0.4, 0.25)

        assert feed(forbearance, i * 0.4 + 0.25, 0.15, refused_share=0.1) == []


def test_it_forbears_twice_as_long_each_time_refusing_is_still_futile() -> None:
    changes = feed(Forbearance(TARGET_S), 0.0, 100.0)
    held_s = [ended_s - began_s for began_s, ended_s in pairwise(changes)][::2]

    assert held_s == pytest.approx([2, 4, 8, 16, 32, 32], rel=0.01)


def test_it_starts_over_after_refusing_was_not_needed_for_as_long() -> None:
    forbearance = Forbearance(TARGET_S)
    feed(forbearance, 0.0, 6.8)  # it held for 2 s, and for 4 s
    feed(forbearance, 6.8, 5.2, refused_share=0.0, delay_s=0.0)
    began_s, ended_s = feed(forbearance, 12.0, 3.0)[:2]

    assert ended_s - began_s == pytest.approx(2, rel=0.01)


def test_queue_that_grows_while_it_forbears_is_refused_again_at_once() -> None:
    forbearance = Forbearance(TARGET_S)
    feed(forbearance, 0.0, 0.5)

    assert len(feed(forbearance, 0.5, 1.5, delay_s=100 * TARGET_S)) == 1
    assert not forbearance.holds(1.0)


def test_places_that_do_not_suffice_for_half_of_the_callers_end_it_at_once() -> None:
    forbearance = Forbearance(TARGET_S)
    feed(forbearance, 0.0, 0.5)
    for i in range(200):
        forbearance.observe(is_refused=i % 3 > 0, delay_s=2 * TARGET_S, now_s=0.5 + i * STEP_S)

    assert not forbearance.holds(0.75)


def test_trials_that_were_hopeless_become_rare() -> None:
    changes = feed(Forbearance(TARGET_S), 0.0, 120.0, delay_s=100 * TARGET_S)
    refused_s = [began_s - ended_s for ended_s, began_s in pairwise(changes)][1::2]

    assert refused_s == pytest.approx([2, 4, 8, 16, 32, 32], rel=0.02)


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 10), st.floats(0, 10)), max_size=200))
def test_it_holds_for_half_a_minute_at_most(requests: list[tuple[bool, float, float]]) -> None:
    forbearance, now_s = Forbearance(TARGET_S), 0.0
    for is_refused, delay_s, elapsed_s in requests:
        now_s += elapsed_s
        forbearance.observe(is_refused=is_refused, delay_s=delay_s, now_s=now_s)

        assert not forbearance.holds(now_s + 32.1)


def test_process_without_a_target_never_forbears() -> None:
    assert feed(Forbearance(math.inf), 0.0, 2.0) == []


def test_target_must_be_positive() -> None:
    with pytest.raises(ValueError, match="positive"):
        Forbearance(0)
