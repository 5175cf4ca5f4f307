import time

import pytest

from recserve.telemetry.cold_start import ColdStart, process_start_s
from recserve.telemetry.timeline import UNIX_MINUS_PERF_S, Timeline
from tests.recserve.conftest import Invocation


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


def test_warmup_makes_warm_and_a_timer_does_not() -> None:
    warmed, timed = ColdStart(), ColdStart()
    for cold_start in (warmed, timed):
        cold_start.become_ready()
    warmed.meet("warmup")
    timed.meet("timer")

    assert (warmed.meet(), timed.meet()) == (False, True)
    assert (warmed.driver, timed.driver) == ("warmup", "timer")


def test_everyone_who_waits_for_the_start_is_counted() -> None:
    cold_start = ColdStart()
    cold_start.meet("warmup")
    for _ in range(3):
        cold_start.meet()
    cold_start.become_ready()
    cold_start.meet()

    assert (cold_start.n_impacted, cold_start.driver) == (3, "warmup")


def test_time_is_explained_once_where_two_threads_spend_it_together() -> None:
    cold_start = ColdStart()
    cold_start.timeline.started_s = 0.0
    cold_start.timeline.mark("interpreter", 1.0)
    cold_start.building.started_s = 1.5
    cold_start.building.mark("import numpy", 3.0)
    cold_start.timeline.mark("import recserve", 2.0)
    cold_start.ready_s = 4.0

    assert cold_start.explained_s == 3.0
    assert [name for name, _, _ in cold_start.phases()] == ["interpreter", "import recserve", "import numpy"]


def test_place_in_a_trace_comes_from_the_host_or_else_from_the_caller() -> None:
    hosted, alone = Timeline("recommend"), Timeline("recommend")
    hosted.belong_to(Invocation(trace_parent="00-of-the-host-01"), {"traceparent": "00-of-the-caller-01"})
    alone.belong_to(Invocation(), {"traceparent": "00-of-the-caller-01"})

    assert (hosted.trace_parent, alone.trace_parent) == ("00-of-the-host-01", "00-of-the-caller-01")
    assert hosted.invocation_id
