"""The trace view's charts, read from their specs."""

from typing import Any

from console.analysis.properties import Property
from console.analysis.trace_steps import Step
from console.charts.trace import MEDIAN, THIS, against_median, cold_start_waterfall, property_list, waterfall
from console.palette import LIGHT
from console.telemetry import table_of


def step(label: str, after_ms: float, took_ms: float, *, kind: str = "phase", colour: str = "") -> Step:
    return Step(label=label, kind=kind, colour=colour, after_ms=after_ms, took_ms=took_ms, meaning="")


def rows_with(spec: dict[str, Any], column: str) -> list[dict[str, Any]]:
    return next(rows for rows in spec["datasets"].values() if column in rows[0])


def test_waterfall_draws_steps_where_they_begin_and_end() -> None:
    steps = [step("host", 0, 70, kind="host"), step("queue", 10, 40, colour="queue"), step("queue", 60, 5)]

    spec = waterfall(steps, LIGHT, slo_ms=25.0).to_dict()

    rows = rows_with(spec, "end_ms")
    assert [(row["label"], row["after_ms"], row["end_ms"]) for row in rows] == [
        ("host", 0, 70),
        ("queue", 10, 50),
        ("queue (2)", 60, 65),
    ]
    assert rows[1]["colour"] == LIGHT.phases["queue"]
    assert spec["layer"][0]["encoding"]["y"]["sort"] == ["host", "queue", "queue (2)"]
    assert rows_with(spec, "at_ms") == [{"at_ms": 25.0, "label": "SLO"}]


def test_slo_beyond_the_end_is_not_drawn() -> None:
    spec = waterfall([step("host", 0, 7, kind="host")], LIGHT, slo_ms=25.0).to_dict()

    assert all("at_ms" not in row for rows in spec["datasets"].values() for row in rows)


def test_start_tells_what_the_request_waited_for_from_what_was_done() -> None:
    phases = table_of(
        {"phase": ["interpreter", "ready"], "after_ms": [0.0, 300.0], "phase_ms": [100.0, 50.0]}
    )

    rows = rows_with(cold_start_waterfall(phases, LIGHT, arrived_ms=200.0).to_dict(), "end_ms")

    assert [(row["label"], row["meaning"]) for row in rows] == [
        ("interpreter", "before the request came"),
        ("ready", "the request waited for it"),
    ]
    assert rows[0]["colour"] != rows[1]["colour"]


def test_phases_stand_beside_those_of_the_median() -> None:
    spec = against_median(
        {"queue": 40.0, "infer": 2.0}, {"infer_ms": 1.5, "rank_ms": 0.5, "state_ms": 0.0}, LIGHT
    )

    rows = rows_with(spec.to_dict(), "whose")
    assert [(row["phase"], row["whose"], row["took_ms"]) for row in rows] == [
        ("queue", THIS, 40.0),
        ("queue", MEDIAN, 0.0),
        ("infer", THIS, 2.0),
        ("infer", MEDIAN, 1.5),
        ("rank", THIS, 0.0),
        ("rank", MEDIAN, 0.5),
    ]


def test_properties_are_text_whatever_they_hold() -> None:
    html = property_list({"Other": [Property("<b>", "<img src=x>", "a <i>")]})

    assert "<img" not in html
    assert "<b>" not in html
    assert "&lt;img src=x&gt;" in html
