"""Regions of the heatmap as links that anybody may have written."""

from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl

import pytest

from console.analysis.region import UNREADABLE, LatencyRegion, link_to_region, read_region, region_of
from console.scope import Scope, Selection

SINCE = datetime(2026, 11, 22, 10, tzinfo=UTC)
REGION = LatencyRegion(SINCE, SINCE + timedelta(minutes=5), 25.0, 300.0)


def test_region_survives_its_link() -> None:
    scope = Scope(
        workspace=None,
        selection=Selection(range="24h", variant="student"),
        since=SINCE,
        until=SINCE + timedelta(hours=1),
        as_of=SINCE,
    )

    view, _, query = link_to_region(scope, REGION).partition("?")

    params = dict(parse_qsl(query))
    assert view == "latency"
    assert (params["range"], params["variant"]) == ("24h", "student")
    assert read_region(params) == (REGION, "")


def test_link_without_a_region_is_not_complained_about() -> None:
    assert read_region({"range": "24h"}) == (None, "")


@pytest.mark.parametrize(
    "changed",
    [
        {"since": "yesterday"},
        {"until": ""},
        {"until": "2026-11-22T09:00:00Z"},
        {"until": "2036-11-22T09:00:00Z"},
        {"least_ms": "many"},
        {"least_ms": "nan"},
        {"least_ms": "-1"},
        {"most_ms": "1"},
        {"most_ms": "inf"},
        {"most_ms": "9" * 400},
    ],
)
def test_tampered_region_is_left_out_with_a_sentence(changed: dict[str, str]) -> None:
    assert read_region(REGION.params() | changed) == (None, UNREADABLE)


def test_dragged_rectangle_grows_to_whole_seconds_and_three_figures() -> None:
    begin_ms = SINCE.timestamp() * 1e3

    region = region_of(begin_ms + 400, begin_ms + 1600, 0.12345, 1234.5)

    assert region == LatencyRegion(SINCE, SINCE + timedelta(seconds=2), 0.123, 1240.0)


def test_region_says_itself_in_words() -> None:
    assert REGION.label == "22 Nov 10:00 – 10:05, 25 ms to 300 ms"
