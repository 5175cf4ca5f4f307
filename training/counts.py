"""Item-to-item counts: what people took shortly after what. The baseline every neural model must beat.

Fitting adds 1 / d to the pair (a, b) whenever b follows a at distance d, up to `window`, and divides by
popularity(b) ** `damping`. A user's score for item b is the sum over the newest `n_recent` items a of
`decay` ** age(a) x weight(a, b). Only the `n_neighbours` heaviest pairs of each item are kept, so size
and time grow with the catalogue, not with its square.

It misbehaves on items nobody took after anything: they score zero, and only fill up lists that would be short.
"""

from dataclasses import dataclass
from typing import Annotated

import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray


class CountsConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    window: Annotated[int, Meta(ge=1)] = 5
    "How many items later still counts as following."
    damping: Annotated[float, Meta(ge=0)] = 0.0
    "Exponent of the popularity that a pair is divided by."
    n_recent: Annotated[int, Meta(ge=1)] = 5
    "Newest items of a history that are looked up."
    decay: Annotated[float, Meta(gt=0, le=1)] = 0.8
    n_neighbours: Annotated[int, Meta(ge=1)] = 100


@dataclass(frozen=True, slots=True)
class Counts:
    """The heaviest neighbours of each item.

    Attributes:
        neighbours: item numbers, (n_items + 1, n_neighbours); row 0 belongs to padding.
        weights: same shape; zero where an item has fewer neighbours.
    """

    config: CountsConfig
    neighbours: NDArray[np.int64]
    weights: NDArray[np.float32]


def fit_counts(
    sequences: list[NDArray[np.int64]], n_items: int, config: CountsConfig, *, allow_repeats: bool = False
) -> Counts:
    """Count pairs in sequences of item numbers, oldest first; an item follows itself only with `allow_repeats`."""
    firsts, seconds, weights = [], [], []
    for items in sequences:
        for distance in range(1, min(config.window, len(items) - 1) + 1):
            firsts.append(items[:-distance])
            seconds.append(items[distance:])
            weights.append(np.full(len(items) - distance, 1 / distance))
    pairs = np.concatenate(firsts) * (n_items + 1) + np.concatenate(seconds)
    codes, inverse = np.unique(pairs, return_inverse=True)
    totals = np.bincount(inverse, np.concatenate(weights)).astype(np.float64)
    first, second = np.divmod(codes, n_items + 1)
    popularity = np.bincount(np.concatenate(sequences), minlength=n_items + 1)
    damped = totals / np.maximum(popularity[second], 1) ** config.damping
    if not allow_repeats:
        is_pair = first != second
        first, second, damped = first[is_pair], second[is_pair], damped[is_pair]
    return _keep_heaviest(first, second, damped, n_items, config)


def _keep_heaviest(
    first: NDArray[np.int64],
    second: NDArray[np.int64],
    totals: NDArray[np.float64],
    n_items: int,
    config: CountsConfig,
) -> Counts:
    order = np.lexsort((second, -totals, first))
    first, second, totals = first[order], second[order], totals[order]
    starts = np.searchsorted(first, first)
    place = np.arange(len(first)) - starts
    kept = place < config.n_neighbours
    neighbours = np.zeros((n_items + 1, config.n_neighbours), np.int64)
    weights = np.zeros((n_items + 1, config.n_neighbours), np.float32)
    neighbours[first[kept], place[kept]] = second[kept]
    weights[first[kept], place[kept]] = totals[kept]
    return Counts(config, neighbours, weights)
