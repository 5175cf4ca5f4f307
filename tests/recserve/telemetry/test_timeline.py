import time

import pytest

from recserve.telemetry import cold_start as cold_starts
from recserve.telemetry.cold_start import ColdStart, process_start_s
from recserve.telemetry.timeline import Timeline, unix_minus_perf_s
from tests.recserve.conftest import Invocation


def test_phases_leave_no_gap() -> None:
    timeline = Timeline("work", started_s=10.0)
    timeline.mark("first", 11.0)
    timeline.mark("second", 13.5)

    assert timeline.phases() == [("first", 10.0, 11.0), ("second", 11.0, 13.5)]
    assert timeline.ended_s == 13.5


def test_timeline_without_marks_ends_where_it_starts() -> None:
    assert Timeline("work", started_s=3.0).ended_s == 3.0


def test_work_that_breaks_off_ends_in_the_phase_that_it_was_in() -> None:
    timeline = Timeline("work", started_s=10.0)
    timeline.enter("first")
    timeline.enter("second", 11.0)
    timeline.end()
    timeline.end()

    assert [phase for phase, _, _ in timeline.phases()] == ["first", "second"]
    assert timeline.phases()[0] == ("first", 10.0, 11.0)


def test_part_of_the_work_met_the_same_process() -> None:
    whole = Timeline("batch")
    whole.is_cold = True

    part = whole.part("recommend")

    assert (part.name, part.is_cold, part.is_impacted) == ("recommend", True, False)


def test_stamps_follow_a_wall_clock_that_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    before_s = unix_minus_perf_s()
    wall_clock = time.time
    monkeypatch.setattr(time, "time", lambda: wall_clock() + 3600)

    assert time.perf_counter() + before_s == pytest.approx(wall_clock(), abs=60)
    assert unix_minus_perf_s() - before_s == pytest.approx(3600, abs=60)


def test_first_invocation_meets_a_cold_process_and_the_next_does_not() -> None:
    cold_start = ColdStart()
    cold_start.is_ready = True

    assert [cold_start.meet(), cold_start.meet()] == [True, False]


def test_process_that_is_not_ready_is_cold_for_everybody() -> None:
    cold_start = ColdStart()

    assert [cold_start.meet(), cold_start.meet()] == [True, True]


def test_process_that_starts_knows_since_when() -> None:
    started_s = process_start_s()

    assert started_s is not None
    assert 0 < time.perf_counter() - started_s < 24 * 3600


def test_cold_start_begins_with_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    started_s = time.perf_counter() - 1.5
    monkeypatch.setattr(cold_starts, "process_start_s", lambda: started_s)

    cold_start = ColdStart()

    assert (cold_start.timeline.started_s, cold_start.placeholder_s) == (started_s, 0.0)


def test_start_of_a_placeholder_begins_when_it_gets_the_app(monkeypatch: pytest.MonkeyPatch) -> None:
    before_s = time.perf_counter()
    idle_s = 1e6  # more than the process that runs these tests can have worked for
    monkeypatch.setattr(cold_starts, "process_start_s", lambda: before_s - idle_s)

    cold_start = ColdStart()

    assert before_s <= cold_start.timeline.started_s <= time.perf_counter()
    assert cold_start.placeholder_s >= idle_s


def test_long_start_without_a_pause_is_no_placeholder(monkeypatch: pytest.MonkeyPatch) -> None:
    started_s = time.perf_counter() - 30
    monkeypatch.setattr(cold_starts, "process_start_s", lambda: started_s)
    monkeypatch.setattr(time, "process_time", lambda: 29.0)

    assert ColdStart().timeline.started_s == started_s


def test_warmup_makes_warm_when_it_is_through_and_a_timer_does_not() -> None:
    warming, warmed, timed = ColdStart(), ColdStart(), ColdStart()
    for cold_start in (warming, warmed, timed):
        cold_start.become_ready()
    warming.meet("warmup")
    warmed.meet("warmup")
    warmed.become_warm()
    timed.meet("timer")

    assert (warming.meet(), warmed.meet(), timed.meet()) == (True, False, True)
    assert (warming.driver, warmed.driver, timed.driver) == ("warmup", "warmup", "timer")


def test_everyone_who_waits_for_the_start_is_counted() -> None:
    cold_start = ColdStart()
    cold_start.meet("warmup")
    for _ in range(3):
        cold_start.meet()
    cold_start.become_ready()
    cold_start.meet()

    assert (cold_start.n_impacted, cold_start.driver) == (3, "warmup")


def test_nobody_waits_for_a_start_that_has_failed() -> None:
    cold_start = ColdStart()
    cold_start.meet()
    cold_start.fail()

    assert [cold_start.meet(), cold_start.meet()] == [False, False]
    assert (cold_start.n_impacted, cold_start.is_under_way) == (1, False)
    assert cold_start.building.phases()[-1][0] == "failed"


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
