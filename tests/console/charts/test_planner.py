"""Specs of the planner view's charts."""

from typing import Any

from console.analysis.plan_question import Figure, PlanAnswer, Point, Setup
from console.charts.planner import errors_chart, plans_chart, quality_scale, row_of
from console.palette import LIGHT


def point(*, usd: float = 100.0, p99_ms: float | None = 20.0, quality: float = 0.09, **given: Any) -> Point:
    return Point(
        setup=Setup(),
        ladder=("student", "popular"),
        p50_ms=2.0,
        p99_ms=p99_ms,
        slo_share=0.995,
        cold_share=0.0,
        shed_share=0.0,
        quality=quality,
        usd_month=usd,
        n_instances=1.0,
        allocated_s={"active": 60.0},
        keeps=True,
        **given,
    )


def kinds(chart: Any) -> list[str]:
    """What the marked plans are called."""
    spec = chart.to_dict()
    rows = [rows_of(spec, layer)[0] for layer in spec["layer"] if layer["mark"]["type"] == "text"]
    return [row["kind"] for row in rows if "kind" in row]


def rows_of(spec: dict[str, Any], layer: dict[str, Any]) -> list[dict[str, Any]]:
    """What a layer draws."""
    data = layer["data"]
    rows: list[dict[str, Any]] = data["values"] if "values" in data else spec["datasets"][data["name"]]
    return rows


def test_recommended_and_todays_plan_are_marked() -> None:
    answer = PlanAnswer(
        frontier=(point(), point(usd=200.0, p99_ms=9.0, quality=0.08)),
        best=point(),
        today=point(usd=300.0),
    )

    assert kinds(plans_chart(answer, LIGHT, slo_ms=25.0, seen=(310.0, 18.0))) == [
        "recommended",
        "today, simulated",
        "today, observed",
    ]


def test_colours_are_told_where_qualities_differ() -> None:
    alike = PlanAnswer(frontier=(point(),))
    different = PlanAnswer(frontier=(point(), point(quality=0.02)))

    assert quality_scale(alike, LIGHT) == ""
    assert "NDCG@10 0.020" in quality_scale(different, LIGHT)


def test_what_is_slower_than_the_edge_stands_on_it() -> None:
    assert row_of(point(p99_ms=None), 200.0, "other")["p99_ms"] == 200.0
    assert row_of(point(p99_ms=None), 200.0, "other")["told_p99"] == "no answers"
    assert row_of(point(p99_ms=900.0), 200.0, "other")["told_p99"] == "900 ms"


def test_p99_is_the_mean_over_seeds_where_there_were_several() -> None:
    each = point(p99_interval=Figure(mean=18.0, low=16.0, high=20.0))

    row = row_of(each, 200.0, "frontier")

    assert (row["p99_low"], row["p99_ms"], row["p99_high"]) == (16.0, 18.0, 20.0)


def test_errors_that_were_not_observed_are_left_out() -> None:
    comparisons = [
        {"run": "a", "figure": "p95", "error": 0.3, "is_miss": True},
        {"run": "a", "figure": "cold_starts", "error": None, "is_miss": False},
    ]

    spec = errors_chart(comparisons, {"p95": 0.15, "cold_starts": 0.1}, LIGHT).to_dict()

    band, _, dots = spec["layer"]
    assert [row["figure"] for row in rows_of(spec, dots)] == ["p95"]
    assert [row["figure"] for row in rows_of(spec, band)] == ["p95"]
