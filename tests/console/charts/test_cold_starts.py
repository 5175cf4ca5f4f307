"""Cold starts as pictures and tables: what is drawn, read from the specification."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from console.analysis.lifetimes import Stay, stays
from console.analysis.starts import budget_spent, cause_rows, longest_phase, thread_of
from console.charts.cold_start_lifetimes import MOST_INSTANCES, lifetime_chart, shown_instances
from console.charts.cold_starts import impact_bars, phase_waterfall
from console.palette import DARK, LIGHT
from console.telemetry import Table, table_of

START = datetime(2026, 11, 22, 12, tzinfo=UTC)
END = START + timedelta(hours=1)
NOTHING = Table()


def minute(n: float) -> datetime:
    return START + timedelta(minutes=n)


def summary(*phases: tuple[str, float, float, float], n_starts: int = 20) -> Table:
    """Phase, median start, median and p95, in milliseconds."""
    names, after, median, p95 = zip(*phases, strict=True)
    return table_of(
        {
            "phase": names,
            "n_starts": [n_starts] * len(phases),
            "median_after_ms": after,
            "median_ms": median,
            "p95_ms": p95,
        }
    )


def state(
    at: datetime, instance: str, from_state: str, to_state: str, in_state_s: float | None = None
) -> dict[str, Any]:
    return {
        "at": at,
        "instance": instance,
        "from_state": from_state,
        "to_state": to_state,
        "in_state_s": in_state_s,
    }


def states(*rows: dict[str, Any]) -> Table:
    return table_of({name: [row[name] for row in rows] for name in rows[0]})


def starts(*rows: tuple[str, str, float, float]) -> Table:
    """Cause, driver, milliseconds to readiness, impacted requests."""
    causes, drivers, ready, impacted = zip(*rows, strict=True)
    return table_of(
        {
            "started": [minute(1)] * len(rows),
            "instance": ["I2"] * len(rows),
            "cause": causes,
            "driver": drivers,
            "ready_ms": ready,
            "n_impacted": impacted,
        }
    )


def layers(chart: Any) -> list[dict[str, Any]]:
    """Each layer with its own data."""
    spec = chart.to_dict()
    found: list[dict[str, Any]] = [
        layer | {"rows": spec["datasets"][layer["data"]["name"]] if "data" in layer else []}
        for layer in spec["layer"]
    ]
    for layer in found:
        if not layer["rows"] and "data" in spec:
            layer["rows"] = spec["datasets"][spec["data"]["name"]]
    return found


def test_waterfall_has_a_bar_to_the_median_on_one_to_the_95th_percentile() -> None:
    chart = phase_waterfall(summary(("interpreter", 0, 100, 300), ("model_read", 20, 80, 90)), LIGHT)

    pale, solid, _ = layers(chart)
    assert [(row["after"], row["median_end"], row["p95_end"]) for row in solid["rows"]] == [
        (0, 100, 300),
        (20, 100, 110),
    ]
    assert pale["encoding"]["x2"]["field"] == "p95_end"
    assert solid["encoding"]["x2"]["field"] == "median_end"
    assert solid["encoding"]["y"]["sort"] == ["interpreter", "model_read"]
    assert [row["label"] for row in solid["rows"]] == ["100 ms, p95 300 ms", "80 ms, p95 90 ms"]


def test_labels_of_the_waterfall_have_room_right_of_the_bars() -> None:
    _, solid, _ = layers(phase_waterfall(summary(("interpreter", 0, 100, 1000)), LIGHT))

    axis = solid["encoding"]["x"]
    assert axis["scale"]["domain"] == [0, pytest.approx(1420)]
    assert max(axis["axis"]["values"]) == 1000


def test_few_starts_have_no_95th_percentile() -> None:
    _, solid, _ = layers(phase_waterfall(summary(("interpreter", 0, 100, 300), n_starts=19), LIGHT))

    assert solid["rows"][0]["label"] == "100 ms"
    assert solid["rows"][0]["p95_end"] == 100


def test_phases_have_the_colour_of_their_thread() -> None:
    chart = phase_waterfall(summary(("session blend", 0, 1, 2), ("interpreter", 0, 1, 2)), DARK)

    scale = layers(chart)[0]["encoding"]["color"]["scale"]
    assert dict(zip(scale["domain"], scale["range"], strict=True)) == {
        "imports the app": DARK.series[2],
        "loads models": DARK.series[0],
    }


@pytest.mark.parametrize(
    ("phase", "thread"),
    [
        ("import recserve", "imports the app"),
        ("import recserve.service", "builds the service"),
        ("first_inference blend", "loads models"),
        ("telemetry", "afterwards"),
    ],
)
def test_phase_belongs_to_a_thread(phase: str, thread: str) -> None:
    assert thread_of(phase) == thread


def test_longest_phase_is_one_of_work() -> None:
    assert longest_phase(summary(("models", 0, 900, 990), ("import numpy", 0, 300, 400))) == (
        "import numpy",
        300,
    )
    assert longest_phase(summary(("models", 0, 900, 990), ("telemetry", 950, 2700, 3000))) is None


def test_impacted_requests_are_split_by_whether_they_kept_the_slo() -> None:
    table = table_of(
        {"interval_start": [minute(0), minute(5)], "n_impacted": [5, 0], "n_impacted_over": [2, 0]}
    )

    over, within = impact_bars(table, LIGHT)["series"]

    assert [value for _, value in over["data"]] == [2, 0]
    assert [value for _, value in within["data"]] == [3, 0]
    assert over["stack"] == within["stack"]


def test_instance_is_in_one_state_until_the_next() -> None:
    told = states(
        state(minute(10), "I2", "", "starting"),
        state(minute(11), "I2", "starting", "active", 60),
        state(minute(30), "I2", "active", "draining", 1140),
        state(minute(31), "I2", "draining", "ended", 60),
    )

    found = stays(told, NOTHING, since=START, until=END)

    assert found == [
        Stay("I2", "starting", minute(10), minute(11)),
        Stay("I2", "active", minute(11), minute(30)),
        Stay("I2", "draining", minute(30), minute(31)),
    ]


def test_state_from_before_the_range_begins_with_it_and_the_last_ends_with_it() -> None:
    told = states(state(minute(20), "I1", "pre_warmed", "active", 7200))

    found = stays(told, NOTHING, since=START, until=END)

    assert found == [Stay("I1", "pre_warmed", START, minute(20)), Stay("I1", "active", minute(20), END)]


def test_instance_that_the_plan_tells_nothing_of_is_there_while_it_is_heard() -> None:
    seen = table_of(
        {
            "instance": ["I1", "I9"],
            "first_seen": [minute(0), minute(5)],
            "last_seen": [minute(60), minute(40)],
        }
    )
    told = states(state(minute(20), "I1", "", "active"))

    found = stays(told, seen, since=START, until=END)

    assert Stay("I9", "seen", minute(5), minute(40)) in found
    assert [stay.state for stay in found if stay.instance == "I1"] == ["active"]


def test_lifetimes_mark_starts_that_hurt() -> None:
    found = [Stay("I2", "starting", minute(1), minute(2)), Stay("I2", "active", minute(2), minute(9))]

    bars, pins = layers(
        lifetime_chart(found, starts(("scale_out", "request", 900, 3)), LIGHT, since=START, until=END)
    )

    assert [row["state"] for row in bars["rows"]] == ["starting", "active"]
    assert bars["encoding"]["x"]["scale"]["domain"] == [
        "2026-11-22T12:00:00.000Z",
        "2026-11-22T13:00:00.000Z",
    ]
    assert [(row["hurt"], row["said"]) for row in pins["rows"]] == [
        (True, "scale_out, ready after 900 ms, 3 requests waited")
    ]


def test_lifetimes_have_room_for_the_latest_instances() -> None:
    found = [Stay(f"I{n}", "active", minute(n / 10), END) for n in range(MOST_INSTANCES + 5)]

    assert shown_instances(found) == [f"I{n}" for n in range(5, MOST_INSTANCES + 5)]


def test_causes_are_counted_most_common_first() -> None:
    table = starts(
        ("scale_out", "request", 1000, 3), ("deployment", "warmup", 500, 0), ("scale_out", "warmup", 2000, 1)
    )

    assert cause_rows(table) == [
        ["scale out", 2, pytest.approx(2 / 3), 1, 1500, 4],
        ["deployment", 1, pytest.approx(1 / 3), 0, 500, 0],
    ]


def test_budget_spent_is_a_share_of_what_may_miss_the_slo() -> None:
    assert budget_spent(5, 1000, slo_share=0.99) == pytest.approx(0.5)
    assert budget_spent(0, 0, slo_share=0.99) is None
