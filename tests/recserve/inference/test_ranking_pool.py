"""How many candidates are asked for, and how often."""

from typing import Any

import msgspec
import numpy as np
import pytest

from recserve.inference.catalogue import Catalogue, CatalogueFile
from recserve.inference.ranking.pool import LEAST_CANDIDATES, next_pool_size, pool_size
from recserve.schemas import RankingRules

N_ITEMS = 10_000
ONE_IN_100 = {"filters": {"allow": {"genres": ["War"]}}}


def rules(**fields: Any) -> RankingRules:
    return msgspec.json.decode(msgspec.json.encode(fields), type=RankingRules)


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    """Every hundredth item is of the genre War."""
    return Catalogue(
        CatalogueFile(
            ids=list(range(1, N_ITEMS + 1)),
            titles=[""] * N_ITEMS,
            years=[2000] * N_ITEMS,
            genres=[["War"] if number % 100 == 0 else ["Drama"] for number in range(1, N_ITEMS + 1)],
            n_interactions=[0] * N_ITEMS,
        )
    )


def sizes_asked(ranked: np.ndarray, asked: RankingRules, items: Catalogue, *, k: int) -> list[int]:
    """Sizes of all the runs that one request takes of a model that ranks items like this."""
    sizes = [pool_size(asked, items, k=k)]
    while (larger := next_pool_size(sizes[-1], ranked[: sizes[-1]], asked, items, k=k)) is not None:
        sizes.append(larger)
    return sizes


@pytest.mark.parametrize(
    "fields",
    [{}, {"pins": [{"item_id": 5, "position": 3}]}, {"explain": True}, {"seed": 3}, {"diversity": 0}],
)
def test_rules_that_reorder_nothing_ask_for_k(fields: dict[str, Any], catalogue: Catalogue) -> None:
    assert pool_size(rules(**fields), catalogue, k=10) == 10


@pytest.mark.parametrize(
    "fields",
    [
        {"diversity": 0.1},
        {"exploration": 0.1},
        {"freshness_half_life_years": 5},
        {"boosts": [{"genres": ["War"], "weight": 2}]},
    ],
)
def test_rules_that_reorder_ask_for_more(fields: dict[str, Any], catalogue: Catalogue) -> None:
    assert pool_size(rules(**fields), catalogue, k=10) == LEAST_CANDIDATES
    assert pool_size(rules(**fields), catalogue, k=100) == 400


def test_filter_asks_in_proportion_to_what_it_leaves(catalogue: Catalogue) -> None:
    assert pool_size(rules(**ONE_IN_100), catalogue, k=10) == 1500


def test_filter_that_denies_two_items_asks_for_two_more(catalogue: Catalogue) -> None:
    assert pool_size(rules(filters={"deny": {"item_ids": [1, 2, "no item"]}}), catalogue, k=10) == 12


def test_filter_that_leaves_nothing_asks_once_for_one(catalogue: Catalogue) -> None:
    nothing = rules(filters={"allow": {"genres": ["Opera"]}})

    assert sizes_asked(np.arange(1, N_ITEMS + 1), nothing, catalogue, k=10) == [1]


def test_filter_whose_items_are_all_seen_asks_once_for_one(catalogue: Catalogue) -> None:
    two = rules(filters={"allow": {"item_ids": [7, 8]}})

    assert pool_size(two, catalogue, k=10, seen=(8, 7, 8)) == 1
    assert next_pool_size(1, np.array([1]), two, catalogue, k=10, seen=(8, 7, 8)) is None


def test_evenly_spread_items_are_found_in_one_run(catalogue: Catalogue) -> None:
    assert sizes_asked(np.arange(1, N_ITEMS + 1), rules(**ONE_IN_100), catalogue, k=10) == [1500]


def test_items_at_the_bottom_are_found_by_doubling(catalogue: Catalogue) -> None:
    numbers = np.arange(1, N_ITEMS + 1)
    worst_case = np.concatenate((numbers[numbers % 100 != 0], numbers[numbers % 100 == 0]))

    sizes = sizes_asked(worst_case, rules(**ONE_IN_100), catalogue, k=10)

    assert sizes == [1500, 3000, 6000, 9910]


def test_model_that_has_no_more_is_not_asked_again(catalogue: Catalogue) -> None:
    exhausted = np.concatenate((np.arange(1, 21), np.zeros(1480, np.int64)))

    assert next_pool_size(1500, exhausted, rules(**ONE_IN_100), catalogue, k=10) is None
    assert next_pool_size(1500, exhausted[:20], rules(**ONE_IN_100), catalogue, k=10) is None
