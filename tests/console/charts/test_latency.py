"""The latency view's charts and sentences, read from their specs."""

import math
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from console.analysis.latency import GROWTH, compare, gaps, phases_by_band, verdict
from console.analysis.region import LatencyRegion
from console.charts.latency import phase_bars, variant_ranges
from console.charts.latency_heatmap import MERGED, heatmap, heatmap_legend
from console.palette import DARK, LIGHT
from console.telemetry import Table, table_of

SINCE = datetime(2026, 11, 22, 10, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def histogram() -> Table:
    rows = [(SINCE, 30, 90), (SINCE, 60, 10), (SINCE + MINUTE, 30, 1), (SINCE + MINUTE, 31, 1)]
    return table_of(
        {
            "interval_start": [at for at, _, _ in rows],
            "bucket": [bucket for _, bucket, _ in rows],
            "n_requests": [n for _, _, n in rows],
        }
    )


def drawn(region: LatencyRegion | None = None) -> dict[str, Any]:
    return heatmap(
        histogram(),
        LIGHT,
        interval=MINUTE,
        since=SINCE,
        until=SINCE + 2 * MINUTE,
        slo_ms=25.0,
        region=region,
    )


def test_heatmap_has_a_cell_for_each_time_and_latency_with_its_requests() -> None:
    cells, *_ = drawn()["series"]

    height = MERGED * math.log10(GROWTH)
    at_ms = SINCE.timestamp() * 1e3
    assert [(cell[0], cell[2]) for cell in cells["data"]] == [
        (at_ms, 90),
        (at_ms, 10),
        (at_ms + 60_000, 1),
        (at_ms + 60_000, 1),
    ]
    assert [cell[1] for cell in cells["data"]] == pytest.approx(
        [9 * height, 19 * height, 9 * height, 10 * height], abs=1e-4
    )
    levels = [cell[3] for cell in cells["data"]]
    assert levels[0] > levels[1] > levels[2] == 0


def test_heatmap_shows_median_tail_and_slo() -> None:
    _, p50, p99 = drawn()["series"]

    assert [series["name"] for series in (p50, p99)] == ["p50", "p99"]
    assert 10 ** p50["data"][0][1] == pytest.approx(GROWTH**29.5, rel=1e-3)
    assert 10 ** p99["data"][0][1] == pytest.approx(GROWTH**59.5, rel=1e-3)
    assert p99["markLine"]["data"][0]["yAxis"] == pytest.approx(math.log10(25), abs=1e-5)
    axis = drawn()["yAxis"]
    assert axis["min"] < math.log10(25) < axis["max"]


def test_heatmap_frames_the_selected_region() -> None:
    region = LatencyRegion(SINCE, SINCE + MINUTE, 10.0, 1e9)

    [[low, high]] = drawn(region)["series"][2]["markArea"]["data"]

    assert (low["yAxis"], low["xAxis"]) == (1.0, SINCE.timestamp() * 1e3)
    assert high["yAxis"] == drawn()["yAxis"]["max"]
    assert "markArea" not in drawn()["series"][2]


def test_legend_says_what_each_colour_stands_for() -> None:
    entries = heatmap_legend(histogram(), DARK)

    assert entries[0] == ("1 request", DARK.scale[1])
    assert len({text for text, _ in entries}) == len(entries)


def test_what_the_tail_adds_is_shared_out_among_the_phases_that_grow() -> None:
    bands = phases_by_band(_phases())

    found = {gap.phase: gap for gap in gaps(bands)}

    assert (found["queue"].p50_ms, found["queue"].p99_ms) == (1.0, 31.0)
    assert found["queue"].share == 0.75
    assert found["infer"].share == 0.25
    assert found["rank"].share == 0.0
    assert sum(gap.share for gap in found.values()) == 1.0


def test_phase_bars_stack_phases_in_the_order_of_time() -> None:
    bands = phases_by_band(_phases())

    spec = phase_bars({name: bands[name] for name in ("p50", "p99")}, LIGHT).to_dict()

    rows = next(rows for rows in spec["datasets"].values() if "phase" in rows[0])
    assert [row["phase"] for row in rows[:7]] == [
        "startup",
        "admit",
        "state",
        "queue",
        "infer",
        "rank",
        "encode",
    ]
    assert {row["band"] for row in rows} == {"p50", "p99"}
    assert sum(row["share"] for row in rows if row["band"] == "p99") == pytest.approx(1)


def test_variants_are_compared_with_their_numbers_and_what_is_too_few_is_not_claimed() -> None:
    many, slow, few = compare(_variants(n_slow=5000), slo_ms=25.0)

    assert [(each.label, each.n_requests) for each in (many, slow, few)] == [
        ("fast v1", 20_000),
        ("slow v1", 5000),
        ("rare v2", 40),
    ]
    assert many.share == pytest.approx(20_000 / 25_040)
    assert few.is_few
    assert not slow.is_few
    assert slow.over_share == 1.0
    assert verdict([many, slow, few]).startswith("slow v1 has the longest tail")
    assert "enough requests" in verdict([few])


def test_variants_whose_intervals_overlap_are_not_ranked() -> None:
    (first, *_) = compare(_variants(n_slow=5000), slo_ms=25.0)

    assert verdict([first, first]).endswith("cannot be told apart")


def test_ranges_reach_from_median_to_the_upper_end_of_p99() -> None:
    compared = compare(_variants(n_slow=5000), slo_ms=25.0)

    spec = variant_ranges(compared, DARK, slo_ms=25.0).to_dict()

    rows = next(rows for rows in spec["datasets"].values() if "variant" in rows[0])
    assert [row["variant"] for row in rows] == ["fast v1", "slow v1", "rare v2"]
    assert all(row["p50_ms"] <= row["p95_ms"] <= row["p99_ms"] <= row["high_ms"] for row in rows)
    low, high = spec["layer"][0]["encoding"]["x"]["scale"]["domain"]
    assert low < min(row["p50_ms"] for row in rows)
    assert high > max(row["high_ms"] for row in rows)


def _phases() -> Table:
    """A bucket with nearly all requests, and one with the slowest twentieth."""
    ordinary = {"startup": 0, "admit": 1, "state": 1, "queue": 1, "infer": 2, "rank": 1, "encode": 1}
    slow = ordinary | {"queue": 31, "infer": 12, "rank": 0.5}
    return table_of(
        {"bucket": [10, 40], "n_requests": [9500, 500]}
        | {f"{phase}_ms": [ordinary[phase], slow[phase]] for phase in ordinary}
    )


def _variants(*, n_slow: int) -> Table:
    rows = [
        ("fast", "v1", 29, 10_000),
        ("fast", "v1", 30, 10_000),
        ("slow", "v1", 80, n_slow),
        ("rare", "v2", 30, 40),
    ]
    names = ("variant", "version", "bucket", "n_requests", "weight_squares")
    return table_of(dict(zip(names, zip(*[(*row, row[-1]) for row in rows], strict=True), strict=True)))
