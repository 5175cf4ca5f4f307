"""Samples keep the busiest stretch, the rate and the order."""

import numpy as np
import pytest

from planner.sampling import keep_stretches, sample_of
from planner.traffic import parse_traffic


def test_traffic_that_is_not_too_much_stays_as_it_is() -> None:
    traffic = parse_traffic("10/s", duration_s=60)

    assert sample_of(traffic, seed=0) is traffic


def test_sample_has_the_rate_and_the_busiest_stretch_of_all() -> None:
    traffic = parse_traffic("diurnal:50/s,peak=4,period=1h", duration_s=3600)
    all_s = traffic.arrivals_s(seed=0)

    sample = sample_of(traffic, seed=0, most=30_000)

    kept_s = sample.arrivals_s(seed=0)
    busiest = np.histogram(all_s, 24, (0, 3600))[0].max()
    assert len(kept_s) <= 36_000
    assert len(kept_s) / sample.duration_s == pytest.approx(50, rel=0.15)
    assert busiest in np.histogram(kept_s, round(sample.duration_s / 150), (0, sample.duration_s))[0]
    assert sample.period_s is None
    assert "the busiest among them" in sample.left_out


def test_stretches_stand_one_behind_the_other() -> None:
    kept_s = keep_stretches(np.arange(12.0), 2.0, first=1, every=2, n=3)

    assert kept_s.tolist() == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]
