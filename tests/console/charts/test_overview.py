from datetime import UTC, datetime, timedelta

from console.analysis.changes import LANES, Change
from console.analysis.slo import Kept, Worst
from console.charts.base import Spec
from console.charts.overview import latency_over_time
from console.palette import LIGHT
from console.telemetry import table_of

START = datetime(2026, 11, 22, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
START_MS = START.timestamp() * 1e3


def chart(*changes: Change, worst: Worst | None = None, low_ms: float = 4.0) -> Spec:
    latency = table_of(
        {
            "interval_start": [START, START + timedelta(minutes=1)],
            "p50_ms": [low_ms, 5.0],
            "p95_ms": [9.0, 12.0],
            "p99_ms": [20.0, None],
        }
    )
    return latency_over_time(
        latency, changes, LIGHT, slo_ms=25.0, since=START, until=START + HOUR, worst=worst
    )


def change(kind: str, n: int = 1) -> Change:
    return Change(kind=kind, since=START, until=START, what="it happened", n=n, instances=())


def test_all_of_the_range_is_shown_on_both_axes() -> None:
    spec = chart()

    assert [(axis["min"], axis["max"]) for axis in spec["xAxis"]] == [(START_MS, START_MS + 3_600_000)] * 2


def test_latency_breaks_where_it_is_not_known() -> None:
    p99 = next(series for series in chart()["series"] if series["name"] == "p99")

    assert p99["data"] == [[START_MS, 20.0], [START_MS + 60_000, None]]


def test_slo_and_releases_are_lines() -> None:
    spec = chart(change("deployment"), change("scale_out"))
    [marked] = [series for series in spec["series"] if "markLine" in series]

    assert [mark.get("yAxis") or mark.get("xAxis") for mark in marked["markLine"]["data"]] == [25.0, START_MS]


def test_each_kind_of_change_has_its_mark_on_its_lane() -> None:
    spec = chart(change("model"), change("scale_out", 3), change("health"))
    marks = {series["name"]: series["data"] for series in spec["series"] if series["type"] == "scatter"}

    assert marks == {
        "model version": [[START_MS, "releases", 1]],
        "scale out": [[START_MS, "instances", 3]],
        "health": [[START_MS, "events", 1]],
    }
    assert spec["yAxis"][1]["data"] == list(LANES)


def test_worst_minute_is_shaded() -> None:
    worst = Worst(START, START + timedelta(minutes=1), Kept(n_requests=5, n_good=1))
    [marked] = [series for series in chart(worst=worst)["series"] if "markArea" in series]

    assert marked["markArea"]["data"] == [[{"xAxis": START_MS}, {"xAxis": START_MS + 60_000}]]


def test_scale_begins_at_a_round_number_below_all_values() -> None:
    assert chart(low_ms=4.0)["yAxis"][0]["min"] == 2.0
    assert chart(low_ms=0.7)["yAxis"][0]["min"] == 0.5
