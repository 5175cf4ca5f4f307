"""Pieces of the page as HTML: what they say, and that nothing in them is taken for markup."""

import math
import re
from urllib.parse import unquote

import pytest

from console.pieces import Cell, Column, Tile, badge, data_table, legend, sparkline, tiles


def test_tile_says_figure_unit_and_comparison() -> None:
    html = tiles([Tile("p99", "41", unit="ms", delta="+16 ms over the SLO", tone="bad")])

    assert re.findall(r">([^<>]+)<", html) == ["p99", "41", "ms", "+16 ms over the SLO"]
    assert "rs-bad" in html
    assert "rs-spark" not in html


def test_tile_with_an_address_is_a_link() -> None:
    assert '<a class="rs-tile" href="latency?range=6h&amp;a=1" target="_self"' in tiles(
        [Tile("p99", "41", href="latency?range=6h&a=1")]
    )


def test_sparkline_spans_its_box_and_marks_the_last_point() -> None:
    html = sparkline([1.0, 3.0, 2.0], "warn")

    assert 'points="3.0,24.0 60.0,4.0 117.0,14.0"' in unquote(html)
    assert 'class="rs-spark-end rs-warn" style="left:97.5%;top:50.0%"' in html


def test_sparkline_skips_what_is_not_known() -> None:
    assert 'points="3.0,24.0 117.0,4.0"' in unquote(sparkline([1.0, math.nan, 2.0]))


@pytest.mark.parametrize("values", [[], [1.0], [math.nan, math.nan, 1.0]])
def test_sparkline_of_fewer_than_two_values_is_nothing(values: list[float]) -> None:
    assert sparkline(values) == ""


def test_sparkline_of_equal_values_is_level() -> None:
    assert 'points="3.0,14.0 117.0,14.0"' in unquote(sparkline([2.0, 2.0]))


def test_table_writes_numbers_bars_links_and_badges() -> None:
    columns = [
        Column("Trace"),
        Column("Duration", unit="ms", is_number=True),
        Column("Share", is_bar=True),
        Column("State"),
    ]

    html = data_table(
        columns, [[Cell("3f2a", href="trace?trace=3f2a"), 41.26, 0.4, Cell("cold", tone="warn")]]
    )

    assert '<a href="trace?trace=3f2a" target="_self">3f2a</a>' in html
    assert '<td class="rs-number">41.3</td>' in html
    assert 'style="width:40.0%"' in html
    assert '<span class="rs-badge rs-warn">cold</span>' in html
    assert re.findall(r"<th[^>]*>([^<]+)", html) == ["Trace", "Duration ", "Share", "State"]


def test_table_shows_what_is_not_known_as_a_dash() -> None:
    assert data_table([Column("a"), Column("b", is_number=True)], [[None, math.nan]]).count("–") == 2


def test_pieces_treat_what_they_show_as_text() -> None:
    mean = '"><img src=x onerror=alert(1)>'

    html = "".join(
        [
            tiles([Tile(mean, mean, unit=mean, delta=mean, href=mean, help=mean)]),
            data_table([Column(mean)], [[mean], [Cell(mean, href=mean, tone="bad", help=mean)]], label=mean),
            badge(mean, help=mean),
            legend([(mean, mean)]),
        ]
    )

    assert "<img" not in html
    assert '"">' not in html
