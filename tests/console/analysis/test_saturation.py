"""Which resource is nearest to its mark, and how evenly instances share the work."""

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from console.analysis.saturation import imbalance, over_instances, rank, resources
from console.telemetry import Table, table_of

START = datetime(2026, 11, 22, 12, tzinfo=UTC)
IDLE: dict[str, Any] = {
    "cpu": 0.1,
    "cores": 1.0,
    "throttled": 0.0,
    "pressure_cpu": 0.01,
    "most_memory_mib": 200.0,
    "memory_limit_mib": 1000.0,
    "pressure_memory": 0.0,
    "pressure_io": 0.0,
    "longest_loop_lag_ms": 2.0,
}


def seen(*rows: dict[str, Any]) -> Table:
    """Rows of `contention.kql`; `minute` and `instance` say of when and whom."""
    filled: list[dict[str, Any]] = [{"minute": 0, "instance": "I1"} | IDLE | row for row in rows]
    columns = {name: [row[name] for row in filled] for name in ("instance", *IDLE)}
    return table_of(
        {"interval_start": [START + timedelta(minutes=row["minute"]) for row in filled]} | columns
    )


def test_resource_that_is_nearest_to_its_mark_comes_first() -> None:
    ranked = rank(seen({"throttled": 0.09, "cpu": 0.5}), resources(25.0))

    assert [each.resource.name for each in ranked[:2]] == ["throttling", "cpu"]
    assert ranked[0].nearness == pytest.approx(0.9)


def test_one_bad_minute_is_told_and_does_not_decide() -> None:
    rows: list[dict[str, Any]] = [{"minute": minute, "cpu": 0.8} for minute in range(60)]
    rows[30] |= {"longest_loop_lag_ms": 4000.0, "instance": "I3"}

    ranked = rank(seen(*rows), resources(25.0))

    assert ranked[0].resource.name == "cpu"
    lag = next(each for each in ranked if each.resource.name == "loop_lag")
    assert lag.nearness < 1 < lag.worst_nearness
    assert (lag.worst_instance, lag.worst_at) == ("I3", START + timedelta(minutes=30))


def test_use_is_a_share_of_what_the_instance_has() -> None:
    ranked = {each.resource.name: each for each in rank(seen({"cpu": 1.0, "cores": 4.0}), resources(25.0))}

    assert ranked["cpu"].high == pytest.approx(0.25)
    assert ranked["memory"].high == pytest.approx(0.2)


def test_what_is_not_measured_is_not_ranked() -> None:
    ranked = rank(seen({"throttled": None, "memory_limit_mib": None}), resources(25.0))

    assert {"throttling", "memory"}.isdisjoint(each.resource.name for each in ranked)


def test_most_and_mean_over_instances() -> None:
    table = seen({"cpu": 0.2}, {"cpu": 0.6, "instance": "I2"}, {"cpu": None, "minute": 1})

    times, most, mean, counts = over_instances(table, table["cpu"])

    assert len(times) == 2
    assert most[0] == pytest.approx(0.6)
    assert mean[0] == pytest.approx(0.4)
    assert np.isnan([most[1], mean[1]]).all()
    assert counts.tolist() == [2, 0]


def test_imbalance_is_told_of_two_instances_at_work() -> None:
    table = seen(
        {"cpu": 0.2},
        {"cpu": 0.6, "instance": "I2"},
        {"cpu": 0.5, "minute": 1},
        {"cpu": 0.001, "minute": 2},
        {"cpu": 0.02, "minute": 2, "instance": "I2"},
    )

    _, ratio = imbalance(table)

    assert ratio[0] == pytest.approx(1.5)
    assert np.isnan(ratio[1:]).all()
