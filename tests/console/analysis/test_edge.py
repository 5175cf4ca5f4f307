"""Reports of devices, counted by hand."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from console.analysis.edge import (
    CLOUD,
    DEVICE,
    GROWTH,
    agreement_of,
    agreement_over_time,
    bundles_of,
    histogram,
    latency_of,
    latency_over_time,
    reasons_of,
    shares_over_time,
    side,
    totals_of,
    worst_stretch,
)
from console.telemetry import Table, table_of

START = datetime(2026, 11, 22, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def answers_of(*rows: tuple[int, str, str, int, int]) -> Table:
    """An answer to `edge_answers`: minute, who, why, bucket and count of each row."""
    names = ("interval_start", "answered_by", "reason", "bucket", "n_answers")
    columns: Sequence[Sequence[object]] = list(zip(*rows, strict=True))
    return table_of(dict(zip(names, [[START + m * MINUTE for m in columns[0]], *columns[1:]], strict=True)))  # type: ignore[operator]


def compared_of(*rows: tuple[str, float, float, float]) -> Table:
    """An answer to `edge_agreement`: bundle, comparisons, mean overlap and identical lists of each row."""
    bundles, n, overlap, identical = zip(*rows, strict=True)
    return table_of(
        {
            "interval_start": [START] * len(rows),
            "bundle": bundles,
            "client": ["js"] * len(rows),
            "n_compared": n,
            "mean_overlap": overlap,
            "n_identical": identical,
        }
    )


ANSWERS = answers_of(
    (0, "edge", "default", 2, 60),
    (0, "edge", "default", 4, 40),
    (0, "cloud", "rules", 25, 20),
    (1, "edge", "default", 2, 50),
    (1, "edge", "cloud_timeout", 42, 25),
    (1, "edge", "offline", 2, 5),
    (2, "cloud", "no_bundle", 25, 40),
)


def test_totals_tell_what_devices_answered_in_the_clouds_place() -> None:
    totals = totals_of(ANSWERS)

    assert (totals.n_device, totals.n_rescued, totals.n_cloud) == (180, 30, 60)
    assert totals.device_share == 0.75
    assert totals_of(Table()).n_answers == 0


def test_shares_of_an_interval_add_up_to_its_answers() -> None:
    shares = shares_over_time(ANSWERS)

    assert shares["n_device"].tolist() == [100, 50, 0]
    assert shares["n_rescued"].tolist() == [0, 30, 0]
    assert shares["n_cloud"].tolist() == [20, 0, 40]


def test_reasons_for_the_cloud_come_first_each_by_its_answers() -> None:
    reasons = reasons_of(ANSWERS)

    assert [(each.answered_by, each.name) for each in reasons] == [
        ("cloud", "no_bundle"),
        ("cloud", "rules"),
        ("edge", "default"),
        ("edge", "cloud_timeout"),
        ("edge", "offline"),
    ]
    assert sum(each.share for each in reasons) == pytest.approx(1)
    assert reasons[3].p50_ms == pytest.approx(GROWTH**41.5)
    assert reasons_of(Table()) == []


def test_reason_that_nobody_knows_means_its_own_name() -> None:
    [reason] = reasons_of(answers_of((0, "edge", "full_moon", 1, 1)))

    assert reason.meaning.words == "full_moon"


def test_percentiles_are_those_of_the_side() -> None:
    median, tail = (latency_of(side(ANSWERS, DEVICE), share) for share in (0.5, 0.95))

    assert median is not None
    assert tail is not None
    # Of 180 answers 115 are in bucket 2, 40 in bucket 4 and 25 in bucket 42.
    assert (median.value_ms, tail.value_ms) == (pytest.approx(GROWTH**1.5), pytest.approx(GROWTH**41.5))
    assert latency_of(side(Table(), CLOUD), 0.5) is None


def test_side_that_gave_no_answer_has_no_percentile_then() -> None:
    latency = latency_over_time(ANSWERS)

    assert latency["cloud_p50_ms"].tolist() == pytest.approx(
        [GROWTH**24.5, np.nan, GROWTH**24.5], nan_ok=True
    )
    assert latency["edge_p95_ms"].tolist() == pytest.approx([GROWTH**3.5, GROWTH**41.5, np.nan], nan_ok=True)


def test_histogram_has_every_bucket_and_all_answers() -> None:
    shapes = histogram(ANSWERS)

    assert shapes.n_rows == 43  # buckets 1 to 43: one empty at either end
    assert shapes["up_to_ms"][[0, -1]].tolist() == pytest.approx([GROWTH, GROWTH**43])
    assert shapes[DEVICE].sum() == pytest.approx(0.75)
    assert shapes[CLOUD][24] == pytest.approx(60 / 240)


def test_agreement_weighs_comparisons_and_bounds_what_it_says() -> None:
    agreement = agreement_of(compared_of(("v1", 40, 0.9, 30), ("v2", 10, 0.5, 0)))

    assert agreement is not None
    assert agreement.overlap == pytest.approx((40 * 0.9 + 10 * 0.5) / 50)
    assert agreement.identical == pytest.approx(0.6)
    assert 0.69 < agreement.overlap_low < agreement.overlap < agreement.overlap_high < 0.91
    assert agreement_of(Table()) is None


def test_perfect_agreement_of_few_is_not_certain() -> None:
    agreement = agreement_of(compared_of(("v1", 8, 1.0, 8)))

    assert agreement is not None
    assert agreement.overlap_high == pytest.approx(1)
    assert agreement.overlap_low < 0.7


def test_agreement_over_time_is_of_all_bundles() -> None:
    over_time = agreement_over_time(compared_of(("v1", 3, 1.0, 3), ("v2", 1, 0.2, 0)))

    assert over_time["overlap"].tolist() == pytest.approx([0.8])
    assert over_time["identical"].tolist() == pytest.approx([0.75])


def test_newest_bundle_comes_first_and_none_last() -> None:
    names = ("bundle", "client", "answered_by", "bucket", "n_answers", "first_seen", "last_seen")
    rows = [
        ("", "js", "cloud", 25, 4, START, START),
        ("2026-11-06", "js", "edge", 2, 10, START, START + MINUTE),
        ("2026-11-06", "js", "cloud", 25, 30, START - MINUTE, START),
        ("2026-11-20", "js", "edge", 3, 5, START, START),
        ("other", "js", "edge", 3, 5, START, START),
    ]
    table = table_of(dict(zip(names, zip(*rows, strict=True), strict=True)))

    found = bundles_of(table, compared_of(("2026-11-06", 10, 0.9, 1)))

    assert [each.version for each in found] == ["2026-11-20", "2026-11-06", "other", ""]
    older = found[1]
    assert (older.n_answers, older.device_share, older.first_seen) == (40, 0.25, START - MINUTE)
    assert older.p50_ms == pytest.approx(GROWTH**1.5)
    assert older.agreement is not None
    assert found[0].agreement is None
    assert found[3].p50_ms != found[3].p50_ms
    assert bundles_of(Table(), Table()) == []


def test_worst_stretch_is_where_devices_stood_in_most() -> None:
    assert worst_stretch(ANSWERS, MINUTE) == (START + MINUTE, START + 2 * MINUTE)
    assert worst_stretch(answers_of((0, "edge", "default", 2, 60)), MINUTE) is None
