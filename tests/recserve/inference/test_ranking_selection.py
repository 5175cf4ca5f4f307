"""Diversity and exploration: worked by hand, and against what happens when the dice are thrown."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recserve.inference.ranking.selection import GenreSimilarity, select

RELEVANCE = np.array([1.0, 0.9, 0.6, 0.3])
DRAMA, COMEDY, BOTH = [1, 0], [0, 1], [1, 1]
GENRES = np.array([DRAMA, DRAMA, BOTH, COMEDY], np.float32)


def choose(diversity: float, *, pinned: list[list[int]] | None = None, n_places: int = 4) -> list[int]:
    """Candidates of `RELEVANCE` and `GENRES` in the order chosen."""
    rows = np.array([*GENRES, *(pinned or [])], np.float32)
    selection = select(
        RELEVANCE,
        n_places,
        diversity=diversity,
        similarity=GenreSimilarity(rows, len(RELEVANCE)),
        exploration=0.0,
        rng=np.random.default_rng(0),
        pinned=range(len(RELEVANCE), len(rows)),
    )
    return selection.places.tolist()


def test_similarity_is_shared_genres_over_all_genres() -> None:
    genres = np.array([[1, 1, 0, 0], [0, 1, 1, 1], [0, 0, 0, 0]], np.float32)

    similarity = GenreSimilarity(genres, n_candidates=3)

    assert similarity.to(0).tolist() == [1.0, 0.25, 0.0]
    assert similarity.to(2).tolist() == [0.0, 0.0, 0.0]


def test_greedy_choice_is_that_of_the_worked_example() -> None:
    # Item 0 first. Then 0.5 x relevance - 0.5 x similarity to item 0:
    #   item 1: 0.45 - 0.50 = -0.05    item 2: 0.30 - 0.25 = 0.05    item 3: 0.15 - 0.00 = 0.15
    # Item 3 second. Item 2 is half like either: 0.05 still; item 1 stays at -0.05.
    assert choose(0.5) == [0, 3, 2, 1]


def test_little_diversity_moves_little() -> None:
    # 0.9 x relevance - 0.1 x similarity: item 1 0.71, item 2 0.49, item 3 0.27.
    assert choose(0.1) == [0, 1, 2, 3]


def test_pinned_items_are_on_the_list_from_the_start() -> None:
    # With a comedy pinned: item 0 0.5, item 1 0.45, item 2 0.30 - 0.25, item 3 0.15 - 0.5; then as before.
    assert choose(0.5, pinned=[COMEDY]) == [0, 2, 1, 3]
    # With a drama pinned: item 0 0.5 - 0.5 = 0, item 1 -0.05, item 2 0.05, item 3 0.15.
    assert choose(0.5, pinned=[DRAMA], n_places=1) == [3]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12), st.integers(0, 15))
def test_without_diversity_the_order_is_that_of_relevance(relevance: list[float], n_places: int) -> None:
    best_first = np.array(sorted(relevance, reverse=True))

    selection = select(
        best_first,
        n_places,
        diversity=0.0,
        similarity=None,
        exploration=0.0,
        rng=np.random.default_rng(0),
    )

    assert selection.places.tolist() == list(range(min(n_places, len(relevance))))
    assert (selection.propensities == 1).all()


@pytest.mark.parametrize("diversity", [0.0, 0.7])
def test_propensities_are_the_frequencies_of_lists(diversity: float) -> None:
    """How often a list comes up must be the product of the propensities it was answered with."""
    rng, n_draws = np.random.default_rng(20_240_501), 20_000
    similarity = GenreSimilarity(GENRES, len(RELEVANCE)) if diversity else None
    counts: Counter[tuple[int, ...]] = Counter()
    probabilities: dict[tuple[int, ...], float] = {}

    for _ in range(n_draws):
        selection = select(RELEVANCE, 2, diversity=diversity, similarity=similarity, exploration=0.4, rng=rng)
        chosen = tuple(selection.places.tolist())
        counts[chosen] += 1
        probability = float(np.prod(selection.propensities))
        assert probabilities.setdefault(chosen, probability) == probability

    assert len(counts) == 4 * 3
    assert sum(probabilities.values()) == pytest.approx(1)
    expected = {chosen: n_draws * probability for chosen, probability in probabilities.items()}
    chi_square = sum((counts[chosen] - n) ** 2 / n for chosen, n in expected.items())
    assert chi_square < 31.3  # 0.999 quantile of chi-square with 11 degrees of freedom
