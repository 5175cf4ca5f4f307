"""Pictures of the edge as data: what they draw, read from their specification."""

from datetime import timedelta

import pytest

from console.analysis.edge import (
    Bundle,
    agreement_over_time,
    histogram,
    latency_over_time,
    reasons_of,
    shares_over_time,
)
from console.charts.edge import (
    agreement_lines,
    bundle_rows,
    latency_lines,
    latency_shapes,
    reason_rows,
    who_answered,
)
from console.palette import DARK, LIGHT
from console.scope import Scope, Selection
from tests.console.analysis.test_edge import ANSWERS, MINUTE, START, compared_of


def test_bars_of_an_interval_fill_it() -> None:
    spec = who_answered(shares_over_time(ANSWERS), LIGHT, MINUTE)

    assert [each["name"] for each in spec["series"]] == [
        "device",
        "device, the cloud being out of reach",
        "cloud",
    ]
    for place in range(3):
        assert sum(each["data"][place][1] for each in spec["series"]) == pytest.approx(100, rel=1e-3)


def test_devices_have_one_colour_in_every_picture() -> None:
    for palette in (LIGHT, DARK):
        bars = who_answered(shares_over_time(ANSWERS), palette, MINUTE)["series"][0]
        lines = latency_lines(latency_over_time(ANSWERS), palette, MINUTE)["series"][0]
        steps = latency_shapes(histogram(ANSWERS), palette)["series"][0]

        assert {each["itemStyle"]["color"] for each in (bars, lines, steps)} == {palette.series[0]}


def test_latency_axis_holds_both_sides() -> None:
    spec = latency_lines(latency_over_time(ANSWERS), LIGHT, MINUTE)

    drawn = [value for each in spec["series"] for _, value in each["data"] if value is not None]
    assert spec["yAxis"]["type"] == "log"
    assert spec["yAxis"]["min"] <= min(drawn) < max(drawn) <= spec["yAxis"]["max"]


def test_shape_of_waits_adds_up_to_all_answers() -> None:
    spec = latency_shapes(histogram(ANSWERS), LIGHT)

    assert sum(share for each in spec["series"] for _, share in each["data"]) == pytest.approx(100, rel=1e-3)


def test_agreement_is_drawn_in_percent() -> None:
    spec = agreement_lines(agreement_over_time(compared_of(("v1", 4, 0.9, 1))), LIGHT, MINUTE)

    assert [each["data"][0][1] for each in spec["series"]] == [90, 25]


def test_reasons_lead_to_the_view_that_explains_them() -> None:
    until = START + timedelta(hours=1)
    scope = Scope(workspace=None, selection=Selection(), since=START, until=until, as_of=until)

    page = reason_rows(scope, reasons_of(ANSWERS))

    assert 'href="latency' in page
    assert "the cloud did not answer in time" in page


def test_newest_version_is_marked_and_hostile_names_are_text() -> None:
    def bundle(version: str) -> Bundle:
        return Bundle(
            version=version,
            client="<b>",
            n_answers=5,
            device_share=0.5,
            p50_ms=float("nan"),
            first_seen=START,
            last_seen=START + timedelta(minutes=5),
            agreement=None,
        )

    page = bundle_rows([bundle("2026-11-20"), bundle("2026-11-06"), bundle("")])

    assert page.count('<span class="rs-badge rs-good"') == 1
    assert page.count('<span class="rs-badge rs-warn"') == 1
    assert "&lt;b&gt;" in page
    assert "22 Nov 12:05" in page
    assert "First seen 22 Nov 12:00 UTC." in page


def test_single_point_stands_in_a_few_intervals_of_room() -> None:
    axis = agreement_lines(agreement_over_time(compared_of(("v1", 4, 0.9, 1))), LIGHT, MINUTE)["xAxis"]

    assert axis["max"] - axis["min"] == 8 * 60e3
    assert "min" not in who_answered(shares_over_time(ANSWERS), LIGHT, MINUTE)["xAxis"]
