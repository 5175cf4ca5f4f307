"""Percentiles of a histogram over time."""

from datetime import UTC, datetime, timedelta

import pytest

from console.analysis.latency import GROWTH, percentiles_over_time
from console.telemetry import Table, table_of

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def test_percentiles_are_the_middles_of_their_windows_buckets() -> None:
    later = NOON + timedelta(minutes=5)
    histogram = table_of(
        {
            "interval_start": [NOON, NOON, NOON, later],
            "bucket": [20, 40, 60, 30],
            "n_requests": [90, 9, 1, 4],
        }
    )

    found = percentiles_over_time(histogram)

    assert found.list("interval_start") == [NOON, later]
    assert found["n_requests"].tolist() == [100, 4]
    middles = {"p50_ms": (20, 30), "p95_ms": (40, 30), "p99_ms": (40, 30)}
    for name, buckets in middles.items():
        assert found[name].tolist() == pytest.approx([GROWTH ** (bucket - 0.5) for bucket in buckets])


def test_no_histogram_has_no_percentiles() -> None:
    assert percentiles_over_time(Table()).n_rows == 0
