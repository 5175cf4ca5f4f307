"""What the ladder is worth, from small tables."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from console.analysis.ladder import (
    answers_by_variant,
    brownouts,
    followed,
    followed_table,
    frontier,
    given_away,
    order_of,
    share_known,
)
from console.api_values import Ladder, Rung
from console.telemetry import Table, table_of

START = datetime(2026, 11, 22, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def rung(name: str, *, ndcg: float, latency_ms: float, n_bytes: int = 1_000_000) -> Rung:
    return Rung(
        name=name,
        description=name,
        n_bytes=n_bytes,
        n_parameters=1,
        latency_ms=latency_ms,
        ndcg=ndcg,
        ndcg_low=None,
        ndcg_high=None,
        hit_rate=0.1,
    )


BEST = rung("best", ndcg=0.10, latency_ms=0.3)
BEATEN = rung("beaten", ndcg=0.08, latency_ms=0.25)
CHEAP = rung("cheap", ndcg=0.09, latency_ms=0.2)
LADDER = Ladder(
    version="v1", dataset="films", n_items=5, serving=("best", "cheap"), rungs=(BEST, CHEAP, BEATEN)
)


def served(*rows: tuple[int, str, str, float]) -> Table:
    """Minute, variant, reason and answers of each row of `variants`."""
    return table_of(
        {
            "interval_start": [START + minute * MINUTE for minute, _, _, _ in rows],
            "variant": [variant for _, variant, _, _ in rows],
            "reason": [reason for _, _, reason, _ in rows],
            "n_requests": [n for _, _, _, n in rows],
        }
    )


def events(*rows: tuple[str, str, str, float, float]) -> Table:
    """Variant, kind, what followed, events and gain of each row of `feedback`."""
    names = ("variant", "event_kind", "followed", "n_events", "gain")
    columns: dict[str, list[Any]] = {name: [row[at] for row in rows] for at, name in enumerate(names)}
    return table_of(columns)


def test_frontier_leaves_out_what_another_rung_beats() -> None:
    assert frontier(LADDER.rungs) == {"best", "cheap"}


def test_rungs_that_are_equal_are_both_on_the_frontier() -> None:
    assert frontier([BEST, rung("twin", ndcg=0.10, latency_ms=0.3)]) == {"best", "twin"}


def test_variants_come_in_the_order_of_the_ladder_and_strangers_last() -> None:
    assert order_of(["x", "beaten", "a", "best"], LADDER) == ["best", "beaten", "a", "x"]
    assert order_of(["x", "a"], None) == ["a", "x"]


def test_answers_add_up_over_intervals_and_reasons() -> None:
    table = served((0, "cheap", "split", 1), (0, "best", "default", 5), (1, "cheap", "brownout", 2))

    assert list(answers_by_variant(table).items()) == [("best", 5), ("cheap", 3)]


def test_mix_gives_away_what_its_cheaper_answers_lack() -> None:
    assert given_away({"best": 50, "cheap": 50}, LADDER) == pytest.approx(0.05)
    assert given_away({"best": 50, "stranger": 50}, LADDER) == pytest.approx(0)
    assert given_away({"stranger": 50}, LADDER) is None
    assert given_away({}, LADDER) is None


def test_lists_are_judged_by_the_events_that_could_be_joined() -> None:
    table = events(
        ("best", "click", "listed", 10, 6.0),
        ("best", "click", "not_listed", 30, 0.0),
        ("best", "view", "listed", 10, 9.0),
        ("", "click", "unknown", 40, 0.0),
    )

    [best] = followed(table, {"best": 400})

    assert share_known(table) == pytest.approx(50 / 90)
    assert best.n_known == 50
    assert best.hit_rate == pytest.approx(0.4)
    assert best.gain == pytest.approx(0.3)
    # Half of the clicks are known, so those of 400 answers are seen as of 200.
    assert best.click_through == pytest.approx(10 / 200)
    assert best.hit_rate_low < 0.4 < best.hit_rate_high
    assert best.click_through_low < 0.05 < best.click_through_high


def test_no_click_is_no_click_through_rate() -> None:
    [best] = followed(events(("best", "view", "listed", 10, 6.0)), {"best": 400})

    assert best.click_through != best.click_through
    assert followed_table([best]).rows()[0]["click_through"] is None


def test_brownouts_beside_each_other_are_one_and_a_trace_of_it_is_none() -> None:
    table = served(
        (0, "best", "default", 100),
        (1, "best", "default", 50),
        (1, "counts", "brownout", 50),
        (2, "popular", "brownout", 20),
        (3, "best", "default", 1000),
        (3, "counts", "brownout", 5),
        (7, "counts", "brownout", 200),
    )

    longest, first = brownouts(table, MINUTE)

    assert (longest.since, longest.until) == (START + 7 * MINUTE, START + 8 * MINUTE)
    assert (first.since, first.until) == (START + MINUTE, START + 3 * MINUTE)
    assert (first.n_requests, first.variants) == (70, ("counts", "popular"))


def test_no_answers_are_no_brownouts() -> None:
    assert brownouts(Table(), MINUTE) == []
    assert brownouts(served((0, "best", "default", 1)), MINUTE) == []
