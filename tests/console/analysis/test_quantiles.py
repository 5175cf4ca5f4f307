"""Quantiles of weighted histograms and their intervals."""

import numpy as np
import pytest
from numpy.typing import NDArray

from console.analysis.quantiles import (
    coarser,
    quantile,
    quantiles_over_time,
    share_above,
    shares_above_over_time,
)

GROWTH = 1.05


def bucket_of(latency_ms: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.ceil(np.log(latency_ms) / np.log(GROWTH)))


def test_quantile_is_right_to_the_width_of_a_bucket() -> None:
    latency_ms = np.random.default_rng(1).lognormal(2, 0.8, 50_000)

    found = quantile(bucket_of(latency_ms), np.ones(50_000), 0.99, growth=GROWTH)

    assert found is not None
    assert found.value_ms == pytest.approx(np.quantile(latency_ms, 0.99), rel=0.03)
    assert found.low_ms < found.value_ms < found.high_ms


def test_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(2)
    truth_ms = float(np.exp(2 + 0.8 * 2.3263))
    hits = 0
    for _ in range(200):
        found = quantile(bucket_of(rng.lognormal(2, 0.8, 4000)), np.ones(4000), 0.99, growth=GROWTH)
        assert found is not None
        hits += found.low_ms <= truth_ms <= found.high_ms

    assert 0.93 * 200 <= hits <= 200


def test_interval_of_few_requests_of_great_weight_is_wider_than_of_many() -> None:
    buckets = np.arange(1.0, 101.0)
    counts = np.full(100, 100.0)

    many = quantile(buckets, counts, 0.5, growth=GROWTH)
    few = quantile(buckets, counts, 0.5, growth=GROWTH, squares=counts * 50)

    assert many is not None
    assert few is not None
    assert many.value_ms == few.value_ms
    assert few.high_ms - few.low_ms > 3 * (many.high_ms - many.low_ms)


def test_p99_of_too_few_requests_has_no_upper_end() -> None:
    found = quantile(np.arange(1.0, 51.0), np.ones(50), 0.99, growth=GROWTH)

    assert found is not None
    assert not found.is_bounded


def test_no_requests_have_no_quantile() -> None:
    assert quantile(np.array([]), np.array([]), 0.5, growth=GROWTH) is None
    assert np.isnan(share_above(np.array([]), np.array([]), 25.0, growth=GROWTH))


def test_share_above_a_limit_counts_a_part_of_its_bucket() -> None:
    limit_ms = 2.0**3.25

    assert share_above(np.array([3.0, 4.0, 5.0]), np.array([2.0, 4.0, 2.0]), limit_ms, growth=2.0) == 5 / 8


def test_each_time_has_its_own_quantile_whatever_the_order_of_rows() -> None:
    times = np.array(
        ["2026-11-22T10:01", "2026-11-22T10:00", "2026-11-22T10:01", "2026-11-22T10:00"], "M8[us]"
    )
    buckets, counts = np.array([9.0, 1.0, 3.0, 2.0]), np.array([99.0, 99.0, 1.0, 1.0])

    found = quantiles_over_time(times, buckets, counts, 0.5, growth=2.0)

    assert found.tolist() == [2**0.5, 2**8.5]
    assert shares_above_over_time(times, buckets, counts, 4.0, growth=2.0).tolist() == [0.0, 1.0]
    assert quantiles_over_time(times[:0], buckets[:0], counts[:0], 0.5, growth=2.0).tolist() == []


def test_coarser_buckets_hold_all_requests_of_the_finer_ones() -> None:
    times = np.array(["2026-11-22T10:00"] * 4 + ["2026-11-22T10:01"], "M8[us]")
    buckets, counts = np.array([-2.0, 0.0, 1.0, 3.0, 4.0]), np.array([1.0, 2.0, 4.0, 8.0, 16.0])

    at, merged, n = coarser(times, buckets, counts, 3)

    assert list(zip(at.astype(str), merged, n, strict=True)) == [
        ("2026-11-22T10:00:00.000000", 0.0, 3.0),
        ("2026-11-22T10:00:00.000000", 1.0, 12.0),
        ("2026-11-22T10:01:00.000000", 2.0, 16.0),
    ]
