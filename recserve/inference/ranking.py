"""From scores to the list that is shown."""

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray


def rank(
    scores: NDArray[np.float32], k: int, *, exclude: Collection[int] = ()
) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """The k best items, best first.

    Args:
        scores: one user's scores, (n_items,); column j is item number j + 1.
        k: how many; fewer come back when fewer remain.
        exclude: item numbers that must not come back.

    Returns:
        Columns and their scores, each (min(k, n remaining),). Equal scores keep catalogue order, so the
        same scores always give the same list.
    """
    allowed = scores.copy()
    if exclude:
        allowed[np.fromiter(exclude, np.intp, len(exclude)) - 1] = -np.inf
    if k < len(allowed):
        threshold = np.partition(allowed, -k)[-k]
        candidates = np.flatnonzero(allowed >= threshold)
    else:
        candidates = np.arange(len(allowed))
    best_first = candidates[np.argsort(-allowed[candidates], kind="stable")[:k]]
    kept = best_first[np.isfinite(allowed[best_first])]
    return kept, scores[kept]
