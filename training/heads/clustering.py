"""Groups of items that lie together: k-means lists, cut into groups of bounded size.

Lists from k-means (Lloyd's algorithm on a sample, then one pass over all items) follow the data but are
of any size. Each is then halved, at right angles to the line between the means of its halves, until
every group fits a block; the halves are balanced, so that blocks are nearly full. A probe then costs the
same whatever it hits, and a large list is probed in parts.
"""

import numpy as np
from numpy.typing import NDArray

CHUNK = 16_384
"Items whose distances are held in memory at a time."
N_HALVING_STEPS = 6
"Rounds that settle where a group is halved."


def group_items(
    vectors: NDArray[np.float32],
    group_size: int,
    *,
    n_lists: int,
    n_sampled: int,
    n_rounds: int,
    rng: np.random.Generator,
) -> list[NDArray[np.int64]]:
    """Groups of at most `group_size` rows that lie together; every row is in one."""
    sample = vectors[rng.choice(len(vectors), min(n_sampled, len(vectors)), replace=False)]
    centroids = fit_centroids(sample, min(n_lists, len(sample)), n_rounds=n_rounds, rng=rng)
    nearest = assign(vectors, centroids)
    order = np.argsort(nearest, kind="stable")
    ends = np.cumsum(np.bincount(nearest, minlength=len(centroids)))
    groups: list[NDArray[np.int64]] = []
    for rows in np.split(order, ends[:-1]):
        if len(rows):
            _halve(vectors, rows, -(-len(rows) // group_size), rng, groups)
    return groups


def fit_centroids(
    sample: NDArray[np.float32], n_lists: int, *, n_rounds: int, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Lloyd's k-means: assign, then average. A list that falls empty starts again at a random row.

    Returns:
        Centroids, (n_lists, dim).
    """
    centroids = sample[rng.choice(len(sample), n_lists, replace=False)].copy()
    for _ in range(n_rounds):
        nearest = assign(sample, centroids)
        sizes = np.bincount(nearest, minlength=n_lists)
        starts, filled = np.cumsum(sizes) - sizes, sizes > 0
        sums = np.add.reduceat(sample[np.argsort(nearest, kind="stable")], starts[filled], axis=0)
        centroids[filled] = sums / sizes[filled, None]
        centroids[~filled] = sample[rng.choice(len(sample), np.count_nonzero(~filled))]
    return centroids


def assign(vectors: NDArray[np.float32], centroids: NDArray[np.float32]) -> NDArray[np.int64]:
    """The nearest centroid of each row, by Euclidean distance, (n,)."""
    half_squares = (centroids * centroids).sum(axis=1) / 2
    nearest = np.empty(len(vectors), np.int64)
    for start in range(0, len(vectors), CHUNK):
        closeness = vectors[start : start + CHUNK] @ centroids.T
        closeness -= half_squares
        nearest[start : start + CHUNK] = closeness.argmax(axis=1)
    return nearest


def _halve(
    vectors: NDArray[np.float32],
    rows: NDArray[np.int64],
    n_groups: int,
    rng: np.random.Generator,
    groups: list[NDArray[np.int64]],
) -> None:
    """Append `n_groups` groups of nearly equal size to `groups`."""
    if n_groups == 1:
        groups.append(rows)
        return
    inside = vectors[rows]
    direction = inside[rng.integers(len(inside))] - inside.mean(axis=0)
    for _ in range(N_HALVING_STEPS):
        along = inside @ direction
        is_above = along > np.median(along)
        if is_above.any() and not is_above.all():
            direction = inside[is_above].mean(axis=0) - inside[~is_above].mean(axis=0)
    n_below = n_groups // 2
    place = len(rows) * n_below // n_groups
    order = np.argpartition(inside @ direction, place)
    _halve(vectors, rows[order[:place]], n_below, rng, groups)
    _halve(vectors, rows[order[place:]], n_groups - n_below, rng, groups)
