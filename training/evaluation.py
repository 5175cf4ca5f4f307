"""Leave-one-out evaluation over the whole catalogue: no sampled negatives, which flatter.

A model is judged by the lists it would show: for each user the best `LIST_LENGTH` items that the user
has not had. A user's rank is the place of the held-out item on that list, 0 for the best. HR@k is the
share of users with rank < k, NDCG@k the mean of 1 / log2(rank + 2) over those, MRR@k the mean of
1 / (rank + 1).

Beyond accuracy, over the first ten of every list: coverage is the share of the catalogue that anybody is
shown; novelty the mean of -log2(p), in bits, with p how often the item was taken, divided by the number of
users, or by how often the most taken item was where repeats make that the larger; intra-list diversity the
mean share of pairs on a list that have no genre in common (left out where items have no genres).
"""

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from recserve.inference.manifest import Metrics

LIST_LENGTH = 20
CUTOFFS = (5, 10, 20)
N_BOOTSTRAP = 2000
HISTORY_BANDS = ((1, 5), (6, 20), (21, 50), (51, None))
"Lengths of history that results are split by, both ends included."


def evaluate(
    lists: NDArray[np.int64],
    targets: NDArray[np.int64],
    *,
    popularity: NDArray[np.int64],
    genres: Sequence[Sequence[str]],
    lengths: NDArray[np.int64],
) -> Metrics:
    """Judge lists.

    Args:
        lists: item numbers, best first, (n_users, LIST_LENGTH); 0 where a list is shorter.
        targets: each user's held-out item number, (n_users,).
        popularity: how often each item was taken in the fitting data, (n_items,).
        genres: of each item; empty lists where there are none.
        lengths: items in each user's history, (n_users,).
    """
    ranks = held_out_ranks(lists, targets)
    gains = discounted_gains(ranks, 10)
    low, high = bootstrap_interval(gains)
    return Metrics(
        hr={str(k): float((ranks < k).mean()) for k in CUTOFFS},
        ndcg={str(k): float(discounted_gains(ranks, k).mean()) for k in CUTOFFS},
        mrr={str(k): float(np.where(ranks < k, 1 / (ranks + 1), 0).mean()) for k in CUTOFFS},
        ndcg_10_low=low,
        ndcg_10_high=high,
        coverage_10=_coverage(lists[:, :10], len(popularity)),
        novelty_10=_novelty(lists[:, :10], popularity),
        diversity_10=_diversity(lists[:, :10], genres),
        ndcg_10_by_length=_by_length(gains, lengths),
        n_users=len(targets),
    )


def held_out_ranks(lists: NDArray[np.int64], targets: NDArray[np.int64]) -> NDArray[np.float64]:
    """Place of each user's held-out item, (n_users,); infinite where it is not on the list."""
    is_target = lists == targets[:, None]
    return np.where(is_target.any(1), is_target.argmax(1), np.inf)


def discounted_gains(ranks: NDArray[np.float64], k: int) -> NDArray[np.float64]:
    """Each user's part of NDCG@k, (n_users,)."""
    return np.where(ranks < k, 1 / np.log2(ranks + 2), 0.0)


def mean_ndcg_10(lists: NDArray[np.int64], targets: NDArray[np.int64]) -> float:
    """NDCG@10 of lists, (n_users, at least 10): what validation goes by."""
    return float(discounted_gains(held_out_ranks(lists, targets), 10).mean())


def bootstrap_interval(values: NDArray[np.float64], *, seed: int = 0) -> tuple[float, float]:
    """Percentile 95 % interval of the mean, resampling users."""
    rng = np.random.default_rng(seed)
    means = [values[rng.integers(len(values), size=len(values))].mean() for _ in range(N_BOOTSTRAP)]
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)


def _coverage(lists: NDArray[np.int64], n_items: int) -> float:
    return len(np.unique(lists[lists > 0])) / n_items


def _novelty(lists: NDArray[np.int64], popularity: NDArray[np.int64]) -> float:
    share = np.maximum(popularity, 1) / max(popularity.max(), len(lists))
    return float(-np.log2(share[lists[lists > 0] - 1]).mean())


def _diversity(lists: NDArray[np.int64], genres: Sequence[Sequence[str]]) -> float | None:
    if not any(genres):
        return None
    sets = [frozenset(of_item) for of_item in genres]
    distances = [
        sets[a - 1].isdisjoint(sets[b - 1])
        for items in lists
        for a, b in combinations([item for item in items.tolist() if item], 2)
    ]
    return float(np.mean(distances)) if distances else None


def _by_length(gains: NDArray[np.float64], lengths: NDArray[np.int64]) -> dict[str, float]:
    """NDCG@10 in each band of history length that has users."""
    split = {}
    for shortest, longest in HISTORY_BANDS:
        is_in = (lengths >= shortest) & (lengths <= (longest or lengths.max()))
        if is_in.any():
            split[f"{shortest}-{longest}" if longest else f"{shortest}+"] = float(gains[is_in].mean())
    return split
