import math

import numpy as np
import pytest

from recserve.inference.manifest import Metrics
from training.evaluation import bootstrap_interval, discounted_gains, evaluate, held_out_ranks


def judge(lists: list[list[int]], targets: list[int], **changes: object) -> Metrics:
    settings = {
        "popularity": np.array([4, 2, 1, 1, 1]),
        "genres": [["Drama"], ["Drama", "War"], ["Comedy"], [], []],
        "lengths": np.array([3, 60])[: len(lists)],
    } | changes
    return evaluate(np.array(lists), np.array(targets), **settings)


def test_rank_is_the_place_on_the_list() -> None:
    ranks = held_out_ranks(np.array([[3, 1, 2], [3, 1, 2]]), np.array([2, 9]))

    assert ranks.tolist() == [2.0, math.inf]


def test_metrics_are_those_worked_by_hand() -> None:
    metrics = judge([[1, 2, 3], [2, 3, 1]], [1, 1])

    assert metrics.hr == {"5": 1.0, "10": 1.0, "20": 1.0}
    assert metrics.ndcg["10"] == pytest.approx((1 + 1 / math.log2(4)) / 2)
    assert metrics.mrr["10"] == pytest.approx((1 + 1 / 3) / 2)


def test_item_beyond_the_cutoff_counts_nothing() -> None:
    gains = discounted_gains(np.array([0.0, 4.0, 5.0, math.inf]), 5)

    assert gains.tolist() == [1.0, 1 / math.log2(6), 0.0, 0.0]


def test_coverage_is_the_share_of_the_catalogue_that_anybody_is_shown() -> None:
    assert judge([[1, 2], [2, 1]], [1, 1]).coverage_10 == pytest.approx(2 / 5)


def test_rare_items_are_more_novel() -> None:
    assert judge([[3], [4]], [1, 1]).novelty_10 > judge([[1], [1]], [1, 1]).novelty_10


def test_novelty_is_the_surprise_in_bits() -> None:
    popularity = np.array([8, 2, 1, 1, 1])

    assert judge([[2]], [1], popularity=popularity, lengths=np.array([3])).novelty_10 == pytest.approx(2.0)


def test_diversity_is_the_share_of_pairs_without_a_genre_in_common() -> None:
    assert judge([[1, 2, 3]], [1], lengths=np.array([3])).diversity_10 == pytest.approx(2 / 3)


def test_items_without_genres_have_no_diversity() -> None:
    assert judge([[1, 2]], [1], genres=[[]] * 5, lengths=np.array([3])).diversity_10 is None


def test_results_are_split_by_the_length_of_the_history() -> None:
    assert judge([[1], [2]], [1, 1]).ndcg_10_by_length == {"1-5": 1.0, "51+": 0.0}


def test_gaps_at_the_end_of_a_list_are_nobody() -> None:
    metrics = judge([[1, 0, 0]], [2], lengths=np.array([3]))

    assert (metrics.coverage_10, metrics.hr["10"]) == (pytest.approx(1 / 5), 0.0)


def test_bootstrap_interval_covers_the_mean_and_has_the_width_of_theory() -> None:
    values = np.random.default_rng(0).binomial(1, 0.3, 2000).astype(float)
    low, high = bootstrap_interval(values)

    assert low < values.mean() < high
    assert high - low == pytest.approx(2 * 1.96 * math.sqrt(0.3 * 0.7 / 2000), rel=0.1)
