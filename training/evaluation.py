"""Leave-one-out evaluation over the whole catalogue: no sampled negatives, which flatter.

A user's rank is the place of the held-out item among all items that the user has not had, 0 for the
best; of equal scores half count as better. HR@k is the share of users with rank < k, NDCG@k the mean of
1 / log2(rank + 2) over those, MRR@k the mean of 1 / (rank + 1).
"""

import numpy as np
from numpy.typing import NDArray

from recserve.inference.manifest import Metrics

N_BOOTSTRAP = 2000


def evaluate(
    scores: NDArray[np.float32], histories: list[NDArray[np.int64]], targets: NDArray[np.int64]
) -> Metrics:
    """Metrics of scores, (n_users, n_items), with a bootstrap 95 % interval over users."""
    ranks = held_out_ranks(scores, histories, targets)
    is_hit = ranks < 10
    gains = np.where(is_hit, 1 / np.log2(ranks + 2), 0)
    low, high = bootstrap_interval(gains)
    return Metrics(
        hr_10=float(is_hit.mean()),
        ndcg_10=float(gains.mean()),
        ndcg_10_low=low,
        ndcg_10_high=high,
        mrr_10=float(np.where(is_hit, 1 / (ranks + 1), 0).mean()),
        n_users=len(ranks),
    )


def held_out_ranks(
    scores: NDArray[np.float32], histories: list[NDArray[np.int64]], targets: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Rank of each user's held-out item, (n_users,)."""
    ranks = np.empty(len(targets))
    for user, (history, target) in enumerate(zip(histories, targets, strict=True)):
        others = scores[user].copy()
        others[history - 1] = -np.inf
        others[target - 1] = -np.inf
        own = scores[user, target - 1]
        ranks[user] = np.count_nonzero(others > own) + np.count_nonzero(others == own) / 2
    return ranks


def bootstrap_interval(values: NDArray[np.float64], *, seed: int = 0) -> tuple[float, float]:
    """Percentile 95 % interval of the mean, resampling users."""
    rng = np.random.default_rng(seed)
    draws = rng.multinomial(len(values), np.full(len(values), 1 / len(values)), size=N_BOOTSTRAP)
    low, high = np.percentile(draws @ values / len(values), [2.5, 97.5])
    return float(low), float(high)
