"""Percentiles and means of merged histograms."""

import pytest

from console.queries.histograms import bucket_limits_ms, counts_by_bucket, mean_over_band, percentile_ms


def test_percentile_of_windows_together() -> None:
    rows = [
        {"bucket": 3, "n_requests": 90},
        {"bucket": 10, "n_requests": 9},
        {"bucket": 3, "n_requests": 0},
        {"bucket": 20, "n_requests": 1},
    ]

    assert counts_by_bucket(rows) == {3: 90, 10: 9, 20: 1}
    assert percentile_ms(rows, 0.5, growth=2) == 2**2.5
    assert percentile_ms(rows, 0.99, growth=2) == 2**9.5
    assert percentile_ms(rows, 1, growth=2) == 2**19.5
    assert percentile_ms([], 0.5, growth=2) is None


def test_middle_of_a_bucket_lies_within_it() -> None:
    above_ms, up_to_ms = bucket_limits_ms(7, growth=1.1)

    middle_ms = percentile_ms([{"bucket": 7, "n_requests": 1}], 0.5, growth=1.1)
    assert middle_ms is not None
    assert above_ms < middle_ms < up_to_ms


def test_mean_over_a_band_takes_part_of_the_bucket_at_its_edge() -> None:
    rows = [
        {"bucket": 9, "n_requests": 10, "queue_ms": 50.0, "infer_ms": None},
        {"bucket": 2, "n_requests": 90, "queue_ms": 1.0, "infer_ms": 2.0},
    ]

    assert mean_over_band(rows, ["queue_ms"], from_share=0.95, to_share=1) == {"queue_ms": 50}
    half = mean_over_band(rows, ["queue_ms", "infer_ms"], from_share=0.8, to_share=1)
    assert half == pytest.approx({"queue_ms": 25.5, "infer_ms": 1.0})
    assert mean_over_band([], ["queue_ms"], from_share=0, to_share=1) == {}
