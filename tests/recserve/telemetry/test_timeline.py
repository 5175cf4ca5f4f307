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
    assert time.perf_counter() + UNIX_MINUS_PERF_S == pytest.approx(time.time(), abs=0.05)


def test_only_the_first_invocation_meets_a_cold_process() -> None:
    cold_start = ColdStart()

    assert [cold_start.meet("request"), cold_start.meet("request")] == [True, False]
    assert cold_start.cause == "request"


def test_cold_start_begins_with_the_process() -> None:
    started_s = process_start_s()

    assert started_s is not None
    assert 0 < time.perf_counter() - started_s < 3600
    assert ColdStart().timeline.started_s == pytest.approx(started_s, abs=0.1)
