"""An operation's story, from the rows of its trace."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from console.analysis.instance_moment import read_moment_of
from console.analysis.properties import properties_of
from console.analysis.trace import Operation, read_operation
from console.analysis.trace_steps import phases_ms, slowest_part, steps
from console.telemetry import table_of

BEGAN = datetime(2026, 11, 22, 10, 30, 12, tzinfo=UTC)
PHASES = {"admit_ms": 1.0, "state_ms": 60.0, "queue_ms": 2.0, "infer_ms": 5.0, "rank_ms": 0.0}


def row(kind: str, name: str, *, after_ms: float = 0, ms: float | None = 0, **given: Any) -> dict[str, Any]:
    return {
        "at": BEGAN + timedelta(milliseconds=after_ms),
        "span_kind": kind,
        "name": name,
        "duration_ms": ms,
        "id": f"id of {name}",
        "parent_id": "",
        "instance": "I1",
        "process": "p1",
        "outcome": "ok",
        "properties": "{}",
        "measurements": "{}",
    } | given


HOST = row("host", "POST /api/recommend", ms=72, outcome="200")
REQUEST = row(
    "request",
    "recommend",
    after_ms=1,
    ms=68,
    parent_id="id of POST /api/recommend",
    properties=json.dumps(
        {"recserve.variant": "student", "recserve.impacted": "False", "mine": "x", "empty": ""}
    ),
    measurements=json.dumps(PHASES | {"in_flight": 3, "pressure": 0.5}),
)


def operation(*rows: dict[str, Any]) -> Operation:
    read = read_operation(table_of({name: [each[name] for each in rows] for name in HOST}))
    assert read is not None
    return read


def test_waterfall_of_a_sampled_request_lays_its_phases_end_to_end() -> None:
    found = steps(operation(REQUEST, HOST))

    assert [(step.label, step.after_ms, step.took_ms) for step in found] == [
        ("host", 0, 72),
        ("host to app", 0, 1),
        ("recommend in the app", 1, 68),
        ("admit", 1, 1),
        ("state", 2, 60),
        ("queue", 62, 2),
        ("infer", 64, 5),
        ("app to host", 69, 3),
    ]


def test_waterfall_of_a_kept_request_has_its_phases_where_their_spans_are() -> None:
    queue = row("phase", "queue", after_ms=40, ms=20, parent_id="id of recommend")

    found = steps(operation(HOST, REQUEST, queue))

    assert [(step.label, step.after_ms) for step in found if step.kind == "phase"] == [("queue", 40)]


def test_length_of_a_phase_is_what_the_request_measured_not_whole_milliseconds() -> None:
    once = row("phase", "infer", after_ms=40, ms=4, parent_id="id of recommend")
    twice = [row("phase", "queue", after_ms=after, ms=1, parent_id="id of recommend") for after in (20, 60)]

    found = steps(operation(HOST, REQUEST | {"duration_ms": 67.0}, once, *twice))

    assert {step.label: step.took_ms for step in found if step.kind == "phase"} == {"infer": 5.0, "queue": 1}


def test_operation_without_a_host_span_begins_with_the_app() -> None:
    found = steps(operation(REQUEST))

    assert found[0].label == "recommend in the app"
    assert not [step for step in found if step.kind == "between"]


def test_operation_of_several_requests_is_about_the_longest() -> None:
    other = row("request", "events", after_ms=80, ms=2)

    read = operation(REQUEST, other, row("log", "a line", after_ms=5))

    assert read.request is not None
    assert read.request.name == "recommend"
    assert [step.label for step in steps(read)][-1] == "events in the app"
    assert [span.name for span in read.told] == ["a line"]


def test_start_of_a_process_is_a_story_too() -> None:
    start = row("cold_start", "cold_start", ms=900)
    phase = row("cold_start_phase", "import numpy", after_ms=100, ms=200)

    read = operation(phase, start)

    assert read.main.kind == "cold_start"
    assert [(step.label, step.after_ms) for step in steps(read)] == [
        ("start of the process", 0),
        ("import numpy", 100),
    ]


def test_broken_properties_do_not_break_the_story() -> None:
    read = operation(row("request", "recommend", ms=None, properties="{", measurements='[1, "x"]'))

    assert read.main.duration_ms == 0
    assert phases_ms(read.main) == {}
    assert read_operation(table_of({name: [] for name in HOST})) is None


def test_slowest_part_is_what_took_longest_above_the_usual() -> None:
    request = operation(REQUEST).main

    assert slowest_part(request, {"state_ms": 58.0, "infer_ms": 1.0}) == ("infer", 5.0, 1.0)
    assert slowest_part(request, {}) == ("state", 60.0, 0.0)


def test_moment_is_compared_with_the_other_minutes() -> None:
    table = table_of(
        {
            "interval_start": [BEGAN.replace(second=0) + timedelta(minutes=m) for m in range(-20, 20)],
            "cpu": [0.2 + 0.001 * (m % 3) for m in range(20)] + [0.9, 0.3] + [0.2] * 17 + [None],
        }
    )

    reading = read_moment_of(table, "cpu", BEGAN, BEGAN + timedelta(milliseconds=72))

    assert reading is not None
    assert (reading.now, reading.n_others, reading.rank) == (0.9, 37, 1.0)
    assert reading.normal == pytest.approx(0.2, abs=0.002)
    assert reading.is_unusual
    assert reading.before[-2:] == (0.9, 0.3)
    assert read_moment_of(table, "cpu", BEGAN + timedelta(hours=2), BEGAN + timedelta(hours=2)) is None


def test_properties_have_names_for_people_and_the_unknown_stay() -> None:
    groups = properties_of(operation(REQUEST).main)

    said = {each.label: each.text for group in groups.values() for each in group}
    assert said == {
        "Variant": "student",
        "Waited for a start": "no",
        "In flight": "3",
        "Pressure": "50 %",
        "mine": "x",
    }
    assert list(groups)[-1] == "Other"
