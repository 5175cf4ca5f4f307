"""Charts as data: what they draw, read from their specification."""

import re
from typing import Any

import pytest

from console.api import CatalogueItem, Phase, ScoredItem
from console.charts import OTHER_PHASE, PHASES, phase_bar, ranking, share_of_best

MEASURED = (Phase("admit", 0.5), Phase("infer", 1.25), Phase("encode", 0.25))


def test_phase_bar_stacks_the_phases_in_the_order_of_time() -> None:
    spec = phase_bar(MEASURED).to_dict()

    rows = _rows(spec)
    assert [(row["phase"], row["duration_ms"], row["share"]) for row in rows] == [
        ("admit", 0.5, 0.25),
        ("infer", 1.25, 0.625),
        ("encode", 0.25, 0.125),
    ]
    assert spec["encoding"]["x"]["stack"] == "zero"
    assert spec["encoding"]["order"]["field"] == "order"
    assert [row["order"] for row in rows] == [0, 1, 2]


def test_phase_bar_says_the_milliseconds_in_legend_and_tooltip() -> None:
    encoding = phase_bar(MEASURED).to_dict()["encoding"]

    assert encoding["color"]["scale"]["domain"] == ["admit 0.50 ms", "infer 1.25 ms", "encode 0.25 ms"]
    assert {"field": "duration_ms", "format": ".3f", "title": "ms", "type": "quantitative"} in encoding[
        "tooltip"
    ]


def test_phase_has_the_same_colour_whatever_else_was_measured() -> None:
    scale = phase_bar([Phase("infer", 1.0), Phase("rank", 1.0)]).to_dict()["encoding"]["color"]["scale"]

    assert scale["range"] == [PHASES["infer"][0], PHASES["rank"][0]]


def test_phase_that_the_console_does_not_know_is_drawn_too() -> None:
    spec = phase_bar([Phase("rerank", 1.0)]).to_dict()

    assert spec["encoding"]["color"]["scale"]["range"] == [OTHER_PHASE[0]]


def test_phases_of_no_duration_have_no_share() -> None:
    (row,) = _rows(phase_bar([Phase("admit", 0.0)]).to_dict())

    assert row["share"] == 0.0


@pytest.mark.parametrize(
    ("score", "best", "share"),
    [(8.0, 8.0, 1.0), (2.0, 8.0, 0.25), (-1.0, 8.0, 0.0), (-1.0, -1.0, 0.0), (0.0, 0.0, 0.0)],
)
def test_share_of_best_stays_between_nothing_and_all(score: float, best: float, share: float) -> None:
    assert share_of_best(score, best) == share


def test_ranking_shows_rank_title_genres_score_and_bar() -> None:
    heat = CatalogueItem(593, "Heat (1995)", 1995, ("Action", "Crime"))

    html = ranking([ScoredItem(593, "Heat (1995)", 8.0), ScoredItem(1, "Other", 2.0)], {593: heat})

    rows = [re.findall(r">([^<>]+)<", row) for row in html.split("<tr>")[2:]]
    assert rows == [["1", "Heat (1995)", "Action, Crime", "8.00"], ["2", "Other", "2.00"]]
    assert re.findall("width:([0-9.]+%)", html) == ["100.0%", "25.0%"]


def test_ranking_of_counts_has_no_decimals() -> None:
    assert ">1,337<" in ranking([ScoredItem(1, "A", 1337.0)], {})


def test_ranking_treats_titles_as_text() -> None:
    html = ranking([ScoredItem(1, "<img src=x onerror=alert(1)> & co", 1.0)], {})

    assert "<img" not in html
    assert "&lt;img src=x onerror=alert(1)&gt; &amp; co" in html


def test_ranking_of_nothing_is_an_empty_table() -> None:
    assert "<td" not in ranking([], {})


def _rows(spec: dict[str, Any]) -> list[dict[str, Any]]:
    """The data behind a chart; Altair moves it to the top of the specification."""
    rows: list[dict[str, Any]] = spec["datasets"][spec["data"]["name"]]
    return rows
