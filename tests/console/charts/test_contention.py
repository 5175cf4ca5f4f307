"""Contention as pictures: what is drawn, read from the specification."""

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from console.analysis.saturation import Resource, resources
from console.charts.contention import (
    imbalance_line,
    lag_scatter,
    memory_lines,
    resource_heatmap,
    resource_spark,
)
from console.charts.log_axes import step_above, step_below
from console.palette import LIGHT
from console.telemetry import Table, table_of

START = datetime(2026, 11, 22, 12, tzinfo=UTC)
MINUTE_MS = 60_000.0
[CPU] = [resource for resource in resources(25.0) if resource.name == "cpu"]
TIMES = np.array(["2026-11-22T12:00", "2026-11-22T12:01"], dtype="datetime64[us]")


def used(*rows: tuple[float, str, float | None]) -> Table:
    """Minute, instance, cores in use of one."""
    minutes, instances, cpu = zip(*rows, strict=True)
    return table_of(
        {
            "interval_start": [START + timedelta(minutes=at) for at in minutes],
            "instance": instances,
            "cpu": cpu,
            "cores": [1.0] * len(rows),
        }
    )


def drawn(table: Table, resource: Resource = CPU) -> dict[str, Any]:
    return resource_heatmap(table, resource, LIGHT, interval_ms=MINUTE_MS)


def test_heatmap_has_a_cell_for_each_instance_and_interval_that_was_measured() -> None:
    spec = drawn(used((0, "I1", 0.2), (0, "I2", 0.5), (2, "I1", None), (3, "I2", 0.9)))

    assert spec["yAxis"]["data"] == ["I1", "I2"]
    assert len(spec["xAxis"]["data"]) == 4
    assert [cell[:3] for cell in spec["series"][0]["data"]] == [[0, 0, 0.2], [0, 1, 0.5], [3, 1, 0.9]]


def test_cell_carries_what_leads_to_its_requests() -> None:
    [cell] = drawn(used((0, "I1", 0.2)))["series"][0]["data"]

    assert cell[3:] == [START.timestamp() * 1000, "I1", "20 %", "22 Nov 12:00"]


def test_colours_of_warning_begin_at_the_mark() -> None:
    scale = drawn(used((0, "I1", 0.2)))["visualMap"]

    n = len(scale["inRange"]["color"]) - 1
    assert scale["max"] * (n - 1) / n == pytest.approx(CPU.mark)
    assert scale["text"][0] == "saturated: 85 %"


@pytest.mark.parametrize(
    ("n_minutes", "labels"),
    [(6, ["12:00", "12:01", "12:02", "12:03", "12:04", "12:05"]), (45, ["12:00", "12:05", "12:10"])],
)
def test_heatmap_labels_round_times_only(n_minutes: int, labels: list[str]) -> None:
    words = drawn(used(*((at, "I1", 0.1) for at in range(n_minutes))))["xAxis"]["data"]

    assert [word for word in words if word][: len(labels)] == labels
    assert sum(map(bool, words)) <= 12


def test_lag_and_latency_are_logarithmic_and_reach_around_the_points() -> None:
    table = table_of(
        {
            "interval_start": [START, START],
            "instance": ["I1", "I2"],
            "lag_ms": [3.0, 4000.0],
            "p99_ms": [9.0, 700.0],
            "n_requests": [1500.0, 20.0],
        }
    )

    spec = lag_scatter(table, LIGHT, slo_ms=25)

    assert spec["series"][0]["data"][1] == [
        4000,
        700,
        "I2",
        "22 Nov 12:00:00",
        "20",
        START.timestamp() * 1000,
    ]
    assert (spec["xAxis"]["min"], spec["xAxis"]["max"]) == (2, 5000)
    assert (spec["yAxis"]["min"], spec["yAxis"]["max"]) == (5, 1000)


def test_memory_is_drawn_below_its_limit() -> None:
    spec = memory_lines(TIMES, np.array([200.0, 260.0]), np.array([150.0, 160.0]), 1000.0, LIGHT)

    assert spec["series"][0]["markLine"]["data"] == [{"yAxis": 1000.0}]
    assert spec["yAxis"]["max"] > 1000


def test_memory_without_a_limit_is_drawn_all_the_same() -> None:
    spec = memory_lines(TIMES, np.array([200.0, 260.0]), np.array([150.0, 160.0]), float("nan"), LIGHT)

    assert "markLine" not in spec["series"][0]
    assert "max" not in spec["yAxis"]


@pytest.mark.parametrize(("ratio", "top"), [([1.001, 1.01], 2.0), ([1.0, 3.2], 3.5), ([np.nan, np.nan], 2.0)])
def test_even_work_is_a_flat_line(ratio: list[float], top: float) -> None:
    axis = imbalance_line(TIMES, np.array(ratio), LIGHT)["yAxis"]

    assert (axis["min"], axis["max"]) == (1, top)


def test_spark_of_many_intervals_keeps_the_peak() -> None:
    most = np.zeros(1000)
    most[500] = 9.0

    spark = resource_spark(np.arange(1000), most)

    assert len(spark) == 60
    assert max(spark) == 9.0


@pytest.mark.parametrize(
    ("value", "below", "above"), [(3, 2, 5), (5, 5, 5), (0.07, 0.05, 0.1), (110, 100, 200)]
)
def test_steps_of_an_axis_are_1_2_5(value: float, below: float, above: float) -> None:
    assert (step_below(value), step_above(value)) == (below, above)
