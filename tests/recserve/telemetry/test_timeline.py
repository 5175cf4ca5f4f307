import time

import pytest

from recserve.telemetry.cold_start import ColdStart, process_start_s
from recserve.telemetry.timeline import UNIX_MINUS_PERF_S, Timeline


def test_phases_leave_no_gap() -> None:
    timeline = Timeline("work", started_s=10.0)
    timeline.mark("first", 11.0)
    timeline.mark("second", 13.5)

    assert timeline.phases() == [("first", 10.0, 11.0), ("second", 11.0, 13.5)]
    assert timeline.ended_s == 13.5


def test_timeline_without_marks_ends_where_it_starts() -> None:
    assert Timeline("work", started_s=3.0).ended_s == 3.0


def test_stamps_become_unix_time() -> None:
    stamp_s = time.perf_counter() + UNIX_MINUS_PERF_S

    assert abs(stamp_s - time.time()) < 60  # the clocks are apart by years where this is wrong


def test_first_invocation_meets_a_cold_process_and_the_next_does_not() -> None:
    cold_start = ColdStart()
    cold_start.is_ready = True

    assert [cold_start.meet(), cold_start.meet()] == [True, False]


def test_process_that_is_not_ready_is_cold_for_everybody() -> None:
    cold_start = ColdStart()

    assert [cold_start.meet(), cold_start.meet()] == [True, True]


def test_cold_start_begins_with_the_process() -> None:
    started_s = process_start_s()

    assert started_s is not None
    assert 0 < time.perf_counter() - started_s < 3600
    assert ColdStart().timeline.started_s == pytest.approx(started_s, abs=0.1)
