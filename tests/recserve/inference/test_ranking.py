"""From candidates to a list, as the service does it: ask, ask for more, rank."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from recserve.inference.catalogue import Catalogue, CatalogueFile
from recserve.inference.ranking import pool
from recserve.inference.ranking.checks import check_rules
from recserve.inference.ranking.listing import Ranking, rank
from recserve.inference.ranking.pool import next_pool_size, pool_size
from recserve.inference.session import ScoringSession
from recserve.schemas import RankingRules

GENRES = ["Comedy", "Drama", "War"]


def rules(**fields: Any) -> RankingRules:
    """Rules as they come out of JSON."""
    return msgspec.json.decode(msgspec.json.encode(fields), type=RankingRules)


def catalogue(n_items: int, *, years: Any = None, genres: Any = None) -> Catalogue:
    """Items with ids 10, 20, ...; dramas of the year 2000 unless told otherwise."""
    return Catalogue(
        CatalogueFile(
            ids=[10 * number for number in range(1, n_items + 1)],
            titles=["?"] * n_items,
            years=[2000] * n_items if years is None else years,
            genres=[["Drama"]] * n_items if genres is None else genres,
            n_interactions=[0] * n_items,
        )
    )


@dataclass
class FakeModel:
    """Answers as the graphs do: best first, seen items left out, item 0 where fewer remain."""

    scores: list[float]
    "Of items 1, 2, ..."
    seen: tuple[int, ...] = ()
    asked: list[int] = field(default_factory=list)

    def best(self, k: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        self.asked.append(k)
        scores = np.array([-np.inf, *self.scores], np.float32)
        scores[list(self.seen)] = -np.inf
        order = np.argsort(-scores, kind="stable")[:k]
        return np.where(np.isinf(scores[order]), 0, order), scores[order]


def serve(model: FakeModel, asked: RankingRules, items: Catalogue, *, k: int, seed: int = 0) -> Ranking:
    """What the service does with one request."""
    check_rules(asked, items, k=k)
    size: int | None = pool_size(asked, items, k=k, seen=model.seen)
    while size is not None:
        candidates, scores = model.best(size)
        size = next_pool_size(size, candidates, asked, items, k=k, seen=model.seen)
    rng = np.random.default_rng(seed)
    return rank(candidates, scores, asked, items, k=k, rng=rng, seen=model.seen)


@st.composite
def requests(
    draw: st.DrawFn, *, exploration: float | None = None
) -> tuple[FakeModel, RankingRules, Catalogue, int]:
    n_items, k = draw(st.integers(1, 40)), draw(st.integers(1, 12))
    numbers = st.integers(1, n_items)
    ids = numbers.map(lambda number: 10 * number)
    items = catalogue(
        n_items,
        years=[
            2000,
            *draw(st.lists(st.none() | st.integers(1990, 2000), min_size=n_items - 1, max_size=n_items - 1)),
        ],
        genres=[
            ["War"],
            *draw(
                st.lists(
                    st.lists(st.sampled_from(GENRES), max_size=2), min_size=n_items - 1, max_size=n_items - 1
                )
            ),
        ],
    )
    conditions = st.one_of(
        st.fixed_dictionaries(
            {"genres": st.lists(st.sampled_from([*GENRES, "Opera"]), min_size=1, max_size=2)}
        ),
        st.fixed_dictionaries({"min_year": st.integers(1990, 2000)}),
        st.fixed_dictionaries({"item_ids": st.lists(ids, min_size=1, max_size=8)}),
    )
    pinned = draw(st.lists(ids, max_size=min(3, k), unique=True))
    positions = draw(st.permutations(range(1, k + 1)))
    fields: dict[str, Any] = {
        "filters": draw(st.fixed_dictionaries({}, optional={"allow": conditions, "deny": conditions})),
        "pins": [
            {"item_id": item, "position": place} for item, place in zip(pinned, positions, strict=False)
        ],
        "boosts": [
            draw(conditions) | {"weight": draw(st.sampled_from([0.5, 3]))}
            for _ in range(draw(st.integers(0, 2)))
        ],
        "diversity": draw(st.sampled_from([0, 0.5, 1])),
        "exploration": draw(st.sampled_from([0, 0.5])) if exploration is None else exploration,
    }
    if draw(st.booleans()):
        fields["freshness_half_life_years"] = draw(st.sampled_from([1, 5]))
    scores = draw(st.lists(st.floats(-5, 5, width=32), min_size=n_items, max_size=n_items))
    seen = draw(st.lists(numbers, max_size=10))
    return FakeModel(scores, tuple(seen)), rules(**fields), items, k


def admitted_numbers(asked: RankingRules, items: Catalogue) -> set[int]:
    numbers = set(range(1, len(items) + 1))
    return (
        numbers
        if asked.filters is msgspec.UNSET
        else set(np.flatnonzero(items.attributes.admitted(asked.filters).mask))
    )


@pytest.fixture(autouse=True)
def few_candidates(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small enough that the catalogues of these tests hold more items than rules choose from."""
    monkeypatch.setattr(pool, "LEAST_CANDIDATES", 15)
    monkeypatch.setattr(pool, "CANDIDATES_PER_PLACE", 1)


@given(requests())
def test_list_holds_different_items_that_the_filter_admits(request) -> None:
    model, asked, items, k = request

    shown = serve(model, asked, items, k=k).items.tolist()

    assert len(shown) == len(set(shown)) <= k
    assert set(shown) <= admitted_numbers(asked, items)


@given(requests())
def test_seen_items_are_shown_only_where_they_are_pinned(request) -> None:
    model, asked, items, k = request

    shown = serve(model, asked, items, k=k).items.tolist()

    assert set(shown) & set(model.seen) <= {items.number(pin.item_id) for pin in asked.pins}


@given(requests())
def test_list_is_short_only_when_nothing_else_may_be_shown(request) -> None:
    model, asked, items, k = request

    ranking = serve(model, asked, items, k=k)

    pinned = {items.number(pin.item_id) for pin in asked.pins}
    may_be_shown = admitted_numbers(asked, items) - (set(model.seen) - pinned)
    assert len(ranking.items) == min(k, len(may_be_shown))
    assert bool(ranking.note) >= (len(ranking.items) < k)


@given(requests())
def test_pinned_items_stand_at_their_positions(request) -> None:
    model, asked, items, k = request

    shown = serve(model, asked, items, k=k).items.tolist()

    admitted = admitted_numbers(asked, items)
    pinned = {pin.position: items.number(pin.item_id) for pin in asked.pins}
    standing = {position: number for position, number in pinned.items() if number in admitted}
    if len(shown) == k:
        assert {position: shown[position - 1] for position in standing} == standing
    assert [number for number in shown if number in standing.values()] == [
        standing[p] for p in sorted(standing)
    ]


@given(requests())
def test_asking_for_the_whole_catalogue_gives_the_same_list(request) -> None:
    model, asked, items, k = request

    ranking = serve(model, asked, items, k=k, seed=5)

    everything = rank(
        *model.best(len(items) + 1), asked, items, k=k, rng=np.random.default_rng(5), seen=model.seen
    )
    assert ranking.items.tolist() == everything.items.tolist()
    assert ranking.note == everything.note


@given(requests(exploration=0.5), st.integers(0, 2**53 - 1))
def test_same_seed_makes_the_same_list(request, seed: int) -> None:
    model, asked, items, k = request

    first, second = (serve(model, asked, items, k=k, seed=seed) for _ in range(2))

    assert first.items.tolist() == second.items.tolist()
    assert first.propensities.tolist() == second.propensities.tolist()


@given(requests(exploration=0.5))
def test_every_item_carries_its_propensity_and_a_pinned_one_is_certain(request) -> None:
    model, asked, items, k = request

    ranking = serve(model, asked, items, k=k)

    pinned = {items.number(pin.item_id) for pin in asked.pins}
    assert ((ranking.propensities > 0) & (ranking.propensities <= 1)).all()
    for number, propensity in zip(ranking.items.tolist(), ranking.propensities, strict=True):
        assert number not in pinned or propensity == 1


def test_different_seeds_explore_differently() -> None:
    model, items = FakeModel([float(-number) for number in range(30)]), catalogue(30)

    lists = {tuple(serve(model, rules(exploration=0.5), items, k=10, seed=seed).items) for seed in range(10)}

    assert len(lists) > 5


def test_propensity_is_one_where_nothing_else_remains() -> None:
    ranking = serve(FakeModel([1.0]), rules(exploration=0.5), catalogue(1), k=1)

    assert ranking.propensities.tolist() == [1]


def test_propensities_of_the_best_and_of_another() -> None:
    ranking = serve(FakeModel([4.0, 3.0, 2.0, 1.0]), rules(exploration=0.4), catalogue(4), k=2, seed=1)

    best_remaining, expected = [1, 2, 3, 4], []
    for number in ranking.items.tolist():
        share = 0.4 / len(best_remaining)
        expected.append(0.6 + share if number == best_remaining[0] else share)
        best_remaining.remove(number)
    assert ranking.propensities.tolist() == pytest.approx(expected)


def test_without_rules_the_order_of_the_model_stands() -> None:
    model = FakeModel([3.0, 9.0, 5.0, 7.0], seen=(4,))

    ranking = serve(model, rules(), catalogue(4), k=2)

    assert (ranking.items.tolist(), ranking.scores.tolist()) == ([2, 3], [9, 5])
    assert (ranking.propensities, ranking.note, model.asked) == (None, "", [2])


def test_diversity_of_zero_leaves_the_order_of_the_model() -> None:
    model = FakeModel([3.0, 9.0, 5.0, 7.0])

    assert serve(model, rules(diversity=0), catalogue(4), k=4).items.tolist() == [2, 4, 3, 1]


def test_diversity_brings_another_genre_up() -> None:
    items = catalogue(4, genres=[["Drama"], ["Drama"], ["Drama", "War"], ["War"]])

    ranking = serve(FakeModel([1.0, 0.93, 0.72, 0.51]), rules(diversity=0.5), items, k=3)

    # Relevance 1, 0.86, 0.43, 0. Second place: 0.43 - 0.5, 0.21 - 0.25, 0 - 0. Third: -0.07, -0.04.
    assert ranking.items.tolist() == [1, 4, 3]


def test_diversity_counts_pinned_items() -> None:
    items = catalogue(4, genres=[["Drama"], ["War"], ["Drama"], ["Drama"]])
    model = FakeModel([3.0, 2.9, 1.0, 0.0])
    pin = {"item_id": 30, "position": 2}

    without, pinned = (serve(model, rules(diversity=0.5, pins=pins), items, k=2) for pins in ([], [pin]))

    # Next to the pinned drama, item 1 is worth 0.5 - 0.5, less than the 0.48 of item 2.
    assert (without.items.tolist(), pinned.items.tolist()) == ([1, 2], [2, 3])


def test_boosts_leave_the_weight_of_diversity_alone() -> None:
    items = catalogue(3, genres=[["Drama"], ["Drama"], ["War"]])
    everything = {"min_year": 1900, "weight": 10}

    ranking = serve(FakeModel([3.0, 2.9, 2.0]), rules(diversity=0.6, boosts=[everything]), items, k=2)

    # Second place: 0.4 x 0.9 - 0.6 for item 2, and 0 for item 3.
    assert ranking.items.tolist() == [1, 3]


def test_boost_multiplies_the_relevance_of_items_that_meet_it() -> None:
    items = catalogue(4, genres=[["Drama"], ["War"], ["War"], ["Drama"]], years=[2000, 2000, 1990, 2000])
    newer_war = {"genres": ["War"], "min_year": 1995, "weight": 2}

    boosted = serve(FakeModel([3.0, 2.0, 1.5, 0.0]), rules(boosts=[newer_war]), items, k=4)
    demoted = serve(FakeModel([3.0, 2.0, 1.5, 0.0]), rules(boosts=[newer_war | {"weight": 0.5}]), items, k=4)

    # Relevance 1, 2/3, 1/2, 0: only item 2 meets both conditions, and becomes 4/3 or 1/3.
    assert boosted.items.tolist() == [2, 1, 3, 4]
    assert demoted.items.tolist() == [1, 3, 2, 4]
    assert boosted.scores.tolist() == [2, 3, 1.5, 0]


def test_boosts_of_an_item_multiply() -> None:
    twice = [{"item_ids": [20], "weight": 1.3}, {"genres": ["War"], "weight": 1.3}]
    items = catalogue(3, genres=[["Drama"], ["War"], ["Drama"]])
    model = FakeModel([10.0, 7.0, 0.0])  # relevance 1, 0.7, 0; 0.7 x 1.3 = 0.91, and x 1.3 again 1.18

    assert serve(model, rules(boosts=twice[:1]), items, k=1).items.tolist() == [1]
    assert serve(model, rules(boosts=twice), items, k=1).items.tolist() == [2]


def test_relevance_halves_with_every_half_life() -> None:
    items = catalogue(3, years=[1990, 2000, 2000])
    model = FakeModel([10.0, 4.0, 0.0])  # relevance 1, 0.4, 0; the first is 10 years older than the newest

    # 2 ^ (-10 / 10) = 0.5 stays above 0.4; 2 ^ (-10 / 5) = 0.25 does not.
    assert serve(model, rules(freshness_half_life_years=10), items, k=1).items.tolist() == [1]
    assert serve(model, rules(freshness_half_life_years=5), items, k=1).items.tolist() == [2]


def test_item_without_a_year_is_of_the_median_year() -> None:
    items = catalogue(5, years=[None, 1990, 1990, 2000, 1980])
    asked = rules(freshness_half_life_years=10)

    # Half of relevance 1 is above 0.4 x 1 and below 0.6 x 1.
    assert serve(FakeModel([10.0, 0.0, 0.0, 4.0, 0.0]), asked, items, k=1).items.tolist() == [1]
    assert serve(FakeModel([10.0, 0.0, 0.0, 6.0, 0.0]), asked, items, k=1).items.tolist() == [4]


def test_pinned_item_that_the_filter_excludes_is_left_out_and_said() -> None:
    asked = rules(
        pins=[{"item_id": 20, "position": 1}, {"item_id": 30, "position": 2}],
        filters={"deny": {"item_ids": [20]}},
    )

    ranking = serve(FakeModel([5.0, 4.0, 3.0, 2.0]), asked, catalogue(4), k=3)

    assert ranking.items.tolist() == [1, 3, 4]
    assert ranking.note == "item 20 is pinned, but the filter excludes it"


def test_pinned_item_that_the_model_did_not_name_has_no_score() -> None:
    asked = rules(pins=[{"item_id": 40, "position": 1}, {"item_id": 10, "position": 2}])

    ranking = serve(FakeModel([5.0, 4.0, 3.0, 2.0]), asked, catalogue(4), k=3)

    assert ranking.items.tolist() == [4, 1, 2]
    np.testing.assert_equal(ranking.scores, np.array([np.nan, 5, 4], np.float32))


def test_pins_move_up_in_a_short_list() -> None:
    asked = rules(pins=[{"item_id": 20, "position": 9}, {"item_id": 10, "position": 4}])

    assert serve(FakeModel([5.0, 4.0, 3.0]), asked, catalogue(3), k=10).items.tolist() == [3, 1, 2]


@pytest.mark.parametrize(
    ("filters", "seen", "shown", "note"),
    [
        (
            {"allow": {"item_ids": [10, 20, 30]}},
            (1, 2, 5),
            [3],
            "the filter leaves 3 of 6 items, 2 of them already seen",
        ),
        ({"deny": {"genres": ["Drama"]}}, (), [], "the filter leaves 0 of 6 items"),
        (
            {"allow": {"genres": ["Opera", "War"]}},
            (),
            [],
            "the filter leaves 0 of 6 items; no item has the genre 'Opera'; no item has the genre 'War'",
        ),
        (None, (1, 2, 2, 3), [4, 5, 6], "the catalogue has 6 items, 3 of them already seen"),
    ],
)
def test_short_list_says_why(
    filters: dict[str, Any] | None, seen: tuple[int, ...], shown: list[int], note: str
) -> None:
    asked = rules(**({"filters": filters} if filters else {}))

    ranking = serve(FakeModel([6.0, 5.0, 4.0, 3.0, 2.0, 1.0], seen), asked, catalogue(6), k=4)

    assert (ranking.items.tolist(), ranking.note) == (shown, note)


@given(
    st.lists(st.sampled_from([np.nan, np.inf, -np.inf, 0.0, 1.0, -3e38, 3e38]), min_size=1, max_size=12),
    st.sampled_from(
        [{}, {"diversity": 0.5}, {"boosts": [{"item_ids": [10], "weight": 2}]}, {"exploration": 0.5}]
    ),
)
def test_scores_that_are_no_numbers_do_no_harm(scores: list[float], fields: dict[str, Any]) -> None:
    items = np.arange(1, len(scores) + 1)

    ranking = rank(
        items,
        np.array(scores, np.float32),
        rules(**fields),
        catalogue(len(scores)),
        k=len(scores),
        rng=np.random.default_rng(0),
    )

    assert sorted(ranking.items.tolist()) == items.tolist()
    assert np.isfinite(ranking.scores).all()


def test_scores_as_far_apart_as_float32_allows_are_told_apart() -> None:
    scores = np.array([3e38, 1e38, -3e38], np.float32)
    asked = rules(boosts=[{"item_ids": [20], "weight": 2}])

    ranking = rank(np.arange(1, 4), scores, asked, catalogue(3), k=3, rng=np.random.default_rng(0))

    assert ranking.items.tolist() == [2, 1, 3]  # relevance 1, 2/3 x 2, 0


def test_infinite_score_counts_as_the_highest_and_nan_as_the_lowest() -> None:
    scores = np.array([np.nan, 2.0, np.inf, -np.inf, 1.0], np.float32)
    asked = rules(boosts=[{"item_ids": [99], "weight": 2}])

    ranking = rank(np.arange(1, 6), scores, asked, catalogue(5), k=5, rng=np.random.default_rng(0))

    assert ranking.items.tolist() == [2, 3, 1, 4, 5]
    assert ranking.scores.tolist() == [2, 2, 1, 1, 1]


def test_removed_candidates_are_counted() -> None:
    asked = rules(filters={"deny": {"item_ids": [10, 30]}})

    ranking = rank(
        np.array([1, 2, 3, 0]),
        np.array([3, 2, 1, -np.inf], np.float32),
        asked,
        catalogue(3),
        k=3,
        rng=np.random.default_rng(0),
    )

    assert (ranking.items.tolist(), ranking.n_filtered) == ([2], 2)


def test_real_graph_is_asked_until_the_filter_is_served(models_dir: Path) -> None:
    session = ScoringSession("near", (models_dir / "near.onnx").read_bytes(), n_items=6)
    items, asked = (
        catalogue(6, genres=[["Drama"]] * 3 + [["War"]] * 3),
        rules(filters={"allow": {"genres": ["War"]}}),
    )
    sizes: list[int] = []

    size: int | None = pool_size(asked, items, k=1, seen=(6,))
    while size is not None:
        sizes.append(size)
        found = session.recommend(np.array([[6]]), np.array([[6]]), size)  # 1, 2, 3, 4, 5, as 6 is seen
        size = next_pool_size(size, found.items[0], asked, items, k=1, seen=(6,))
    ranking = rank(
        found.items[0], found.scores[0], asked, items, k=1, rng=np.random.default_rng(0), seen=(6,)
    )

    assert (sizes, ranking.items.tolist(), ranking.note) == ([3, 4], [4], "")
