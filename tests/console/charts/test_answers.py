"""Charts as data: what they draw, read from their specification."""

import re
from typing import Any

import pytest

from console.api_values import Phase, ScoredItem
from console.charts.answers import Move, moves, phase_bar, ranked, share_of_best, what_changed
from console.palette import DARK, LIGHT

MEASURED = (Phase("admit", 0.5), Phase("infer", 1.25), Phase("encode", 0.25))


def test_phase_bar_stacks_the_phases_in_the_order_of_time() -> None:
    spec = phase_bar(MEASURED, LIGHT).to_dict()

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
    encoding = phase_bar(MEASURED, LIGHT).to_dict()["encoding"]

    assert encoding["color"]["scale"]["domain"] == ["admit 0.50 ms", "infer 1.25 ms", "encode 0.25 ms"]
    assert {"field": "duration_ms", "format": ".3f", "title": "ms", "type": "quantitative"} in encoding[
        "tooltip"
    ]


def test_phase_has_the_same_colour_whatever_else_was_measured() -> None:
    bar = phase_bar([Phase("infer", 1.0), Phase("rank", 1.0)], DARK)
    scale = bar.to_dict()["encoding"]["color"]["scale"]

    assert scale["range"] == [DARK.phases["infer"], DARK.phases["rank"]]


def test_phase_that_the_console_does_not_know_is_drawn_too() -> None:
    spec = phase_bar([Phase("rerank", 1.0)], LIGHT).to_dict()

    assert spec["encoding"]["color"]["scale"]["range"] == [LIGHT.phases["other"]]


def test_phases_of_no_duration_have_no_share() -> None:
    (row,) = _rows(phase_bar([Phase("admit", 0.0)], LIGHT).to_dict())

    assert row["share"] == 0.0


@pytest.mark.parametrize(
    ("score", "best", "share"),
    [(8.0, 8.0, 1.0), (2.0, 8.0, 0.25), (-1.0, 8.0, 0.0), (-1.0, -1.0, 0.0), (0.0, 0.0, 0.0)],
)
def test_share_of_best_stays_between_nothing_and_all(score: float, best: float, share: float) -> None:
    assert share_of_best(score, best) == share


def test_ranked_item_shows_rank_title_genres_score_and_bar() -> None:
    html = ranked(2, ScoredItem(593, "Heat (1995)", 2.0), 8.0, genres=("Action", "Crime"))

    assert re.findall(r">([^<>]+)<", html) == ["2", "Heat (1995)", "Action, Crime", "2.00"]
    assert re.findall("width:([0-9.]+%)", html) == ["25.0%"]


def test_ranked_counts_have_no_decimals() -> None:
    assert ">1,337<" in ranked(1, ScoredItem(1, "A", 1337.0), 1337.0)


def test_ranked_item_treats_its_title_as_text() -> None:
    html = ranked(1, ScoredItem(1, "<img src=x onerror=alert(1)> & co", 1.0), 1.0)

    assert "<img" not in html
    assert "&lt;img src=x onerror=alert(1)&gt; &amp; co" in html


@pytest.mark.parametrize(
    ("move", "mark"),
    [(Move("new"), "new"), (Move("up", 3), "up 3"), (Move("down", 1), "down 1")],
)
def test_item_that_moved_is_marked(move: Move, mark: str) -> None:
    assert mark in ranked(1, ScoredItem(1, "A", 1.0), 1.0, move=move)


def test_item_that_stayed_is_not_marked() -> None:
    assert "move" not in ranked(1, ScoredItem(1, "A", 1.0), 1.0, move=Move("same"))


def test_moves_tell_how_each_item_got_to_its_place() -> None:
    assert moves(["a", "b", "c", "d"], ["c", "b", "new", "a"]) == [
        Move("up", 2),
        Move("same"),
        Move("new"),
        Move("down", 3),
    ]


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("abc", "abc", "the list stays as it was."),
        ("abc", "bcd", "1 new, 2 up; gone: a."),
        ("abcd", "acb", "1 up, 1 down; gone: d."),
        ("abc", "ab", "the others stay; gone: c."),
    ],
)
def test_what_changed_is_said_in_words(before: str, after: str, said: str) -> None:
    one, other = ([ScoredItem(name, name, 1.0) for name in names] for names in (before, after))

    assert what_changed(one, other) == said


def _rows(spec: dict[str, Any]) -> list[dict[str, Any]]:
    """The data behind a chart; Altair moves it to the top of the specification."""
    rows: list[dict[str, Any]] = spec["datasets"][spec["data"]["name"]]
    return rows
