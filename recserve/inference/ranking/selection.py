"""Which candidates take the free places of a list, one place after the other.

Diversity is maximal marginal relevance (Carbonell and Goldstein, SIGIR 1998). Each place goes to the
candidate that remains with the largest

    (1 - diversity) x relevance - diversity x similarity to the most similar item of the list

where the similarity of two items is the Jaccard index of their genres: those they share over those that
either has. Pinned items are on the list from the start. Items without genres are similar to nothing, so a
catalogue that has genres for few items favours those without.

Exploration is epsilon-greedy, place by place: with probability `exploration` a candidate is drawn at
random from those that remain, the best included. An item is therefore shown at its place, given the places
before it, with the propensity

    (1 - exploration) x [it is the best that remains] + exploration / number that remain

which is what off-policy estimates divide by.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Selection(NamedTuple):
    places: NDArray[np.intp]
    "Indices into the candidates, in the order of the list."
    propensities: NDArray[np.float64]
    "Probability of each choice given those before it, in (0, 1]; 1 without exploration."


class GenreSimilarity:
    """Jaccard index of genres between candidates and the items of a list.

    Args:
        genres: 1 where an item has a genre, (items, genres): first the candidates, then the pinned items.
        n_candidates: how many of the rows are candidates.
    """

    def __init__(self, genres: NDArray[np.float32], n_candidates: int) -> None:
        self._genres = genres
        self._n_genres = genres.sum(1)
        self._n_candidates = n_candidates

    def to(self, item: int) -> NDArray[np.float32]:
        """Similarity of every candidate to the item of one row, in [0, 1], (candidates,)."""
        shared = self._genres[: self._n_candidates] @ self._genres[item]
        either = self._n_genres[: self._n_candidates] + self._n_genres[item] - shared
        similarity: NDArray[np.float32] = shared / np.maximum(either, 1)
        return similarity

    def to_nearest(self, items: Sequence[int]) -> NDArray[np.float32]:
        """Similarity of every candidate to the most similar of some rows; 0 where there are none."""
        nearest = np.zeros(self._n_candidates, np.float32)
        for item in items:
            nearest = np.maximum(nearest, self.to(item))
        return nearest


def select(
    relevance: NDArray[np.float64],
    n_places: int,
    *,
    diversity: float,
    similarity: GenreSimilarity | None,
    exploration: float,
    rng: "np.random.Generator | None",
    pinned: Sequence[int] = (),
) -> Selection:
    """Fill places one by one.

    Args:
        relevance: of each candidate, in [0, 1]; of candidates that are equal the first wins.
        n_places: how many to fill; fewer are filled when there are fewer candidates.
        diversity: weight of unlikeness, in [0, 1].
        similarity: between candidates; None where `diversity` is 0.
        exploration: probability of a random draw, in [0, 1].
        rng: where chance comes from; None without exploration.
        pinned: rows of `similarity` that are on the list from the start.
    """
    n_places = min(n_places, len(relevance))
    places = np.zeros(n_places, np.intp)
    propensities = np.ones(n_places)
    worth = (1 - diversity) * relevance  # -inf once chosen
    redundancy = similarity.to_nearest(pinned) if similarity else None
    for place in range(n_places):
        marginal = worth if redundancy is None else worth - diversity * redundancy
        chosen = best = int(marginal.argmax())
        if exploration > 0:
            assert rng is not None
            n_left = len(relevance) - place
            if rng.random() < exploration:
                chosen = int(np.flatnonzero(worth > -np.inf)[rng.integers(n_left)])
            propensities[place] = (1 - exploration) * (chosen == best) + exploration / n_left
        places[place] = chosen
        worth[chosen] = -np.inf
        if similarity is not None and redundancy is not None:
            redundancy = np.maximum(redundancy, similarity.to(chosen))
    return Selection(places, propensities)
