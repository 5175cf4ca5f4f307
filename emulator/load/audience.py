"""Who comes, what they watched before, and what they watch next, whatever they are shown.

That what a user watches does not depend on the list is what makes the list's quality measurable. It follows from
the seed and the user's number alone, so that no delay of an answer changes it.
"""

from bisect import bisect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

ItemId = int | str
REDRAWS = 20
"Draws of an item that is not among those watched, before popularity draws one."


class Visit(NamedTuple):
    """One user's session."""

    before: list[ItemId]
    "Watched before, oldest first."
    following: Iterator[ItemId]
    "Watched after each list; the session ends with them."


class Audience(Protocol):
    def visit(self, number: int) -> Visit:
        """The user with this number; the same number is the same visit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Transitions:
    """What people take after what."""

    item_ids: Sequence[ItemId]
    followers: NDArray[np.int64]
    "Rows of `item_ids`, (n_items, n_followers)."
    weights: NDArray[np.float64]
    "Of the followers, 0 where there are fewer, (n_items, n_followers)."
    popularity: NDArray[np.float64]
    "Chance, unnormalised, that a user begins with an item, (n_items,)."
    allow_repeats: bool = False


class DrawnAudience:
    """Users whose every item is drawn from the transitions of the one before.

    Args:
        transitions: what follows what.
        seed: of all visits.
        n_before: items watched before the first list.
        n_lists: lists that a user asks for, on average; each further one is as likely as the one before.
    """

    def __init__(
        self, transitions: Transitions, *, seed: int, n_before: int = 5, n_lists: float = 5.0
    ) -> None:
        self._transitions, self._seed = transitions, seed
        self._n_before, self._leaves = n_before, 1 / n_lists
        self._popular = list(accumulate(transitions.popularity.tolist()))
        self._cumulated: dict[int, list[float]] = {}

    def visit(self, number: int) -> Visit:
        rng = np.random.default_rng([self._seed, number])
        watched = [self._draw_popular([], rng)]
        while len(watched) < self._n_before:
            watched.append(self._draw_next(watched, rng))
        ids = self._transitions.item_ids
        return Visit([ids[item] for item in watched], self._follow(watched, rng))

    def _follow(self, watched: list[int], rng: np.random.Generator) -> Iterator[ItemId]:
        while self._transitions.allow_repeats or len(watched) < len(self._transitions.item_ids):
            watched.append(self._draw_next(watched, rng))
            yield self._transitions.item_ids[watched[-1]]
            if rng.random() < self._leaves:
                return

    def _draw_next(self, watched: list[int], rng: np.random.Generator) -> int:
        last = watched[-1]
        if last not in self._cumulated:
            self._cumulated[last] = list(accumulate(self._transitions.weights[last].tolist()))
        return self._draw(self._cumulated[last], self._transitions.followers[last], watched, rng)

    def _draw(
        self,
        cumulated: list[float],
        items: NDArray[np.int64] | None,
        watched: list[int],
        rng: np.random.Generator,
    ) -> int:
        for _ in range(REDRAWS if cumulated and cumulated[-1] > 0 else 0):
            place = min(bisect(cumulated, rng.random() * cumulated[-1]), len(cumulated) - 1)
            item = place if items is None else int(items[place])
            if self._transitions.allow_repeats or item not in watched:
                return item
        if items is not None:
            return self._draw_popular(watched, rng)
        left = np.setdiff1d(np.arange(len(self._transitions.item_ids)), watched)
        return int(rng.choice(left)) if len(left) else watched[-1]

    def _draw_popular(self, watched: list[int], rng: np.random.Generator) -> int:
        return self._draw(self._popular, None, watched, rng)


class RecordedAudience:
    """Real users, each with the item that was really taken next; over again when all have come."""

    def __init__(self, visits: Sequence[tuple[Sequence[ItemId], ItemId]]) -> None:
        self._visits = visits

    def visit(self, number: int) -> Visit:
        before, following = self._visits[number % len(self._visits)]
        return Visit(list(before), iter([following]))
