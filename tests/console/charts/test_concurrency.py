"""Concurrency as pictures: what is drawn, read from the specification."""

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from console.analysis.knee import Knee, NoKnee
from console.analysis.load import needed_instances
from console.charts.concurrency import instance_lines, refusal_bars
from console.charts.concurrency_batches import batch_bars, dispatch_rows
from console.charts.concurrency_knee import knee_scatter
from console.palette import LIGHT
from console.telemetry import Table, table_of

START = datetime(2026, 11, 22, 12, tzinfo=UTC)
KNEE = Knee(in_flight=10, low=9, high=12, latency_ms=8, before=0.0, after=0.1, n_points=4)
NOTHING = Table()


def points(*rows: tuple[float, float, float]) -> Table:
    """In flight, p99 (ms), requests."""
    in_flight, p99, n = zip(*rows, strict=True)
    return table_of(
        {
            "interval_start": [START + timedelta(minutes=at) for at in range(len(rows))],
            "instance": ["I1"] * len(rows),
            "n_requests": n,
            "mean_in_flight": in_flight,
            "p99_ms": p99,
        }
    )


def named(spec: dict[str, Any]) -> dict[str, Any]:
    return {series["name"]: series for series in spec["series"]}


def test_points_stand_below_and_above_the_knee() -> None:
    spec = knee_scatter(points((2, 8, 500), (20, 22, 500), (3, 9, 7)), KNEE, LIGHT, slo_ms=25, limit=16)

    series = named(spec)
    assert [row[:2] for row in series["below the knee"]["data"]] == [[2, 8]]
    assert [row[:2] for row in series["above the knee"]["data"]] == [[20, 22]]
    assert [row[:2] for row in series["fewer than 100 requests: not fitted"]["data"]] == [[3, 9]]


def test_line_bends_at_the_knee_with_its_interval() -> None:
    fitted = named(knee_scatter(points((2, 8, 500), (20, 22, 500)), KNEE, LIGHT, slo_ms=25, limit=None))[
        "fitted line, 95 % interval of the knee"
    ]

    assert fitted["data"] == [[2, 8], [10, 8], [20, pytest.approx(8 * np.e, rel=1e-3)]]
    assert fitted["markArea"]["data"] == [[{"xAxis": 9}, {"xAxis": 12}]]


def test_without_a_knee_there_is_no_line() -> None:
    spec = knee_scatter(points((2, 8, 500)), NoKnee("few"), LIGHT, slo_ms=25, limit=None)

    assert list(named(spec)) == ["an instance and interval"]


@pytest.mark.parametrize(("limit", "marks"), [(16.0, 2), (640.0, 1), (None, 1)])
def test_limit_is_drawn_where_it_is_near_the_points(limit: float | None, marks: int) -> None:
    spec = knee_scatter(points((2, 8, 500), (20, 22, 500)), KNEE, LIGHT, slo_ms=25, limit=limit)

    assert len(spec["series"][0]["markLine"]["data"]) == marks
    assert spec["xAxis"]["max"] < 100


def test_axes_reach_around_points_and_promise() -> None:
    spec = knee_scatter(points((2, 8, 500), (20, 130, 500)), KNEE, LIGHT, slo_ms=25, limit=None)

    assert (spec["yAxis"]["type"], spec["yAxis"]["min"], spec["yAxis"]["max"]) == ("log", 5, 200)
    assert (spec["xAxis"]["min"], spec["xAxis"]["max"]) == (0, 30)


def test_point_carries_what_leads_to_its_requests() -> None:
    [row] = knee_scatter(points((2, 8, 1500)), NoKnee("few"), LIGHT, slo_ms=25, limit=None)["series"][0][
        "data"
    ]

    assert row == [2, 8, "22 Nov 12:00:00", "I1", "1,500", START.timestamp() * 1000]


def test_needed_instances_are_whole_and_at_least_one_for_any_work() -> None:
    assert needed_instances(np.array([0.0, 0.2, 4.0, 8.0, 8.1]), 4.0).tolist() == [0, 1, 1, 2, 3]


def test_instances_are_steps_and_decisions_marks() -> None:
    times = np.array(["2026-11-22T12:00"], dtype="datetime64[us]")
    one = np.ones(1)

    spec = instance_lines(times, one, one, one, LIGHT, wanted=(times, one))

    assert [series["name"] for series in spec["series"]] == ["ready", "busy", "needed", "wanted by the plan"]
    assert {series.get("step") for series in spec["series"][:3]} == {"end"}


def batches(*rows: tuple[str, int, float]) -> Table:
    """Dispatch reason, batch size, requests."""
    reasons, sizes, n = zip(*rows, strict=True)
    return table_of(
        {
            "variant": ["blend"] * len(rows),
            "dispatch": reasons,
            "batch_size": sizes,
            "n_requests": n,
            "mean_queue_ms": [1.0] * len(rows),
            "mean_infer_ms": [2.0] * len(rows),
        }
    )


def test_batches_are_shares_of_requests_by_size_and_reason() -> None:
    spec = batch_bars(batches(("full", 8, 25), ("idle", 1, 50), ("idle", 2, 25)), LIGHT)

    assert spec["xAxis"]["data"] == ["1", "2", "3–4", "5–8"]
    assert {name: series["data"] for name, series in named(spec).items()} == {
        "idle": [50, 25, 0, 0],
        "full": [0, 0, 0, 25],
    }


def test_largest_batches_share_a_bar() -> None:
    assert batch_bars(batches(("full", 500, 1)), LIGHT)["xAxis"]["data"][-1] == "33+"


def test_dispatch_reasons_have_shares_and_means() -> None:
    idle, full = dispatch_rows(batches(("full", 8, 25), ("idle", 1, 50), ("idle", 2, 25)))

    assert idle[0] == "idle"
    assert idle[2:] == [0.75, pytest.approx(4 / 3), 1.0, 2.0]
    assert full[2:4] == [0.25, 8.0]


def test_refused_and_browned_out_are_percent_of_all_requests() -> None:
    at = [START, START + timedelta(minutes=5)]
    load = table_of({"interval_start": at, "n_requests": [100, 200]})
    refusals = table_of(
        {
            "interval_start": [at[1], at[1], at[0]],
            "outcome": ["shed", "shed", "failed"],
            "reason": ["concurrency", "queueing_delay", "RuntimeError"],
            "n_requests": [20, 10, 1],
        }
    )
    brownout = table_of({"interval_start": [at[1]], "n_requests": [50]})

    series = named(refusal_bars(load, refusals, brownout, LIGHT))

    assert {name: [value for _, value in each["data"]] for name, each in series.items()} == {
        "answered by a lower rung": [0, 25],
        "shed: concurrency": [0, 10],
        "shed: queueing delay": [0, 5],
        "failed": [1, 0],
    }


def test_nothing_refused_is_no_series() -> None:
    load = table_of({"interval_start": [START], "n_requests": [100]})

    assert refusal_bars(load, NOTHING, NOTHING, LIGHT)["series"] == []
