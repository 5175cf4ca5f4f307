import math

import numpy as np
import pytest

from training.evaluation import bootstrap_interval, evaluate, held_out_ranks


def ranks(scores: list[list[float]], histories: list[list[int]], targets: list[int]) -> list[float]:
    arrays = [np.array(history, np.int64) for history in histories]
    return held_out_ranks(np.array(scores, np.float32), arrays, np.array(targets)).tolist()


def test_rank_counts_the_better_items() -> None:
    assert ranks([[0.9, 0.5, 0.7]], [[]], [2]) == [2.0]


def test_items_of_the_history_do_not_stand_in_the_way() -> None:
    assert ranks([[0.9, 0.5, 0.7]], [[1]], [2]) == [1.0]


def test_held_out_item_is_found_even_when_the_user_had_it_before() -> None:
    assert ranks([[0.9, 0.5, 0.7]], [[2]], [2]) == [2.0]


def test_of_equal_scores_half_count_as_better() -> None:
    assert ranks([[1.0, 1.0, 1.0]], [[]], [1]) == [1.0]


def test_metrics_are_those_worked_by_hand() -> None:
    scores = np.zeros((2, 12), np.float32)
    scores[0, 3] = 1.0  # first user: rank 0
    scores[1] = np.arange(12, 0, -1)  # second user: item 3 has rank 2
    metrics = evaluate(scores, [np.array([], np.int64)] * 2, np.array([4, 3]))

    assert metrics.hr_10 == 1.0
    assert metrics.ndcg_10 == pytest.approx((1 + 1 / math.log2(4)) / 2)
    assert metrics.mrr_10 == pytest.approx((1 + 1 / 3) / 2)
    assert metrics.n_users == 2


def test_item_beyond_the_tenth_counts_nothing() -> None:
    scores = np.arange(12, 0, -1, dtype=np.float32)[None, :]

    metrics = evaluate(scores, [np.array([], np.int64)], np.array([11]))

    assert (metrics.hr_10, metrics.ndcg_10, metrics.mrr_10) == (0.0, 0.0, 0.0)


def test_bootstrap_interval_covers_the_mean_and_has_the_width_of_theory() -> None:
    values = np.random.default_rng(0).binomial(1, 0.3, 2000).astype(float)
    low, high = bootstrap_interval(values)

    assert low < values.mean() < high
    assert high - low == pytest.approx(2 * 1.96 * math.sqrt(0.3 * 0.7 / 2000), rel=0.1)
