"""From candidates to a list: filter, weigh, choose, pin, and say why when the list is short."""

from collections.abc import Sequence
from math import isfinite
from typing import NamedTuple

import numpy as np
from msgspec import UNSET
from numpy.typing import NDArray

from recserve.inference.catalogue import Catalogue
from recserve.inference.ranking.pool import count_seen, is_plain, n_candidates, reorders
from recserve.inference.ranking.relevance import weigh
from recserve.inference.ranking.selection import GenreSimilarity, select
from recserve.schemas import RankingRules


class Ranking(NamedTuple):
    """A list as it is shown: columns of the same length, at most k."""

    items: NDArray[np.int64]
    "Item numbers, all different."
    scores: NDArray[np.float32]
    "The model's own, finite, whatever the rules made of them; NaN for a pinned item that it did not name."
    propensities: NDArray[np.float64] | None
    "Probability of each item at its place given those before it; 1 for a pinned item. None without exploration."
    n_filtered: int
    "Candidates of the model that the filter removed."
    note: str
    "Why there are fewer than k items, or why a pinned item is missing; empty when neither is so."


def rank(
    items: NDArray[np.int64],
    scores: NDArray[np.float32],
    rules: RankingRules,
    catalogue: Catalogue,
    *,
    k: int,
    rng: "np.random.Generator | None" = None,
    seen: Sequence[int] = (),
) -> Ranking:
    """Make the list that is shown from the candidates of a model.

    The filter speaks for every item that is shown, so it outranks pins: a pinned item that it excludes is
    left out, and the note says so. Where fewer than k items remain the list is shorter, and pins move up.

    Args:
        items: different item numbers, best first, as many as `pool_size` says; 0 where no more remain.
        scores: the model's scores of them. NaN and minus infinity count as the lowest of the others, infinity
            as the highest.
        rules: passed by `check_rules`.
        catalogue: what the numbers stand for.
        k: items to show.
        rng: where exploration takes its chances; the same state makes the same list. None without exploration:
            NumPy loads its generators on first use, and a cold start does without.
        seen: item numbers that the model left out by itself, for the note.
    """
    if is_plain(rules):
        n_shown = k if len(items) == k and items[-1] else np.count_nonzero(items[:k])
        note = _why_short(rules, catalogue, seen) if n_shown < k else ""
        return Ranking(items[:n_shown], _make_finite(scores[:n_shown]), None, 0, note)
    is_admitted = items > 0
    if rules.filters is not UNSET:
        is_admitted = catalogue.attributes.admitted(rules.filters).mask[items]
    best = np.flatnonzero(is_admitted)[: n_candidates(rules, k)]
    candidates = _Listed(items[best], _make_finite(scores[best]), np.ones(len(best)))
    pins, excluded = _place_pins(rules, catalogue)
    if pins:
        free, pinned = _take_out(candidates, list(pins.values()))
        chosen = _choose(free, k - len(pins), rules, catalogue, pinned=pinned.items, rng=rng)
        listed = _insert(chosen, pinned, list(pins))
    else:
        listed = _choose(candidates, k, rules, catalogue, pinned=candidates.items[:0], rng=rng)
    return Ranking(
        items=listed.items,
        scores=listed.scores,
        propensities=listed.propensities if rules.exploration > 0 else None,
        n_filtered=int(np.count_nonzero(items) - np.count_nonzero(is_admitted)),
        note=_note(rules, catalogue, is_short=len(listed.items) < k, excluded=excluded, seen=seen),
    )


class _Listed(NamedTuple):
    """Columns of a list, or of what it is made from."""

    items: NDArray[np.int64]
    scores: NDArray[np.float32]
    propensities: NDArray[np.float64]

    def take(self, which: slice | NDArray[np.bool_]) -> "_Listed":
        return _Listed(self.items[which], self.scores[which], self.propensities[which])


def _make_finite(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    if isfinite(scores.sum()):  # so are its terms, and it costs half as much to know
        return scores
    is_finite = np.isfinite(scores)
    known = scores[is_finite]
    lowest, highest = (known.min(), known.max()) if len(known) else (0, 0)
    return np.nan_to_num(scores, nan=lowest, posinf=highest, neginf=lowest)


def _place_pins(rules: RankingRules, catalogue: Catalogue) -> tuple[dict[int, int], list[int | str]]:
    """Item number by position, first position first; and the ids of pinned items that the filter excludes."""
    placed, excluded = {}, []
    for pin in sorted(rules.pins, key=lambda pin: pin.position):
        number = catalogue.number(pin.item_id)
        if rules.filters is UNSET or catalogue.attributes.admitted(rules.filters).mask[number]:
            placed[pin.position] = number
        else:
            excluded.append(pin.item_id)
    return placed, excluded


def _take_out(candidates: _Listed, pinned: list[int]) -> tuple[_Listed, _Listed]:
    """The candidates without the pinned items, and the pinned items in the order given."""
    known = dict(zip(candidates.items.tolist(), candidates.scores.tolist(), strict=True))
    scores = np.array([known.get(number, np.nan) for number in pinned], np.float32)
    is_free = ~np.isin(candidates.items, pinned)
    return candidates.take(is_free), _Listed(np.array(pinned), scores, np.ones(len(pinned)))


def _choose(
    candidates: _Listed,
    n_places: int,
    rules: RankingRules,
    catalogue: Catalogue,
    *,
    pinned: NDArray[np.int64],
    rng: "np.random.Generator | None",
) -> _Listed:
    """The best of the candidates in the eyes of the rules, at most `n_places`."""
    if not reorders(rules):
        return candidates.take(slice(n_places))
    items, scores, _ = candidates
    similarity = None
    if rules.diversity > 0:
        genres = catalogue.attributes.genre_table(np.concatenate((items, pinned)))
        similarity = GenreSimilarity(genres, len(items))
    selection = select(
        weigh(items, scores, rules, catalogue.attributes),
        n_places,
        diversity=rules.diversity,
        similarity=similarity,
        exploration=rules.exploration,
        rng=rng,
        pinned=range(len(items), len(items) + len(pinned)),
    )
    return _Listed(items[selection.places], scores[selection.places], selection.propensities)


def _insert(chosen: _Listed, pinned: _Listed, positions: list[int]) -> _Listed:
    """The list with pinned items at their positions, from 1 and rising, or at its end where it is shorter."""
    n_chosen = len(chosen.items)
    before = [min(position - 1 - n_pinned, n_chosen) for n_pinned, position in enumerate(positions)]
    return _Listed(
        np.insert(chosen.items, before, pinned.items),
        np.insert(chosen.scores, before, pinned.scores),
        np.insert(chosen.propensities, before, pinned.propensities),
    )


def _note(
    rules: RankingRules,
    catalogue: Catalogue,
    *,
    is_short: bool,
    excluded: list[int | str],
    seen: Sequence[int],
) -> str:
    """What a person should know of a list that is not as it was asked for."""
    sentences = [f"item {item_id!r} is pinned, but the filter excludes it" for item_id in excluded]
    if is_short:
        sentences.append(_why_short(rules, catalogue, seen))
    return "; ".join(sentences)


def _why_short(rules: RankingRules, catalogue: Catalogue, seen: Sequence[int]) -> str:
    if rules.filters is UNSET:
        why, n_seen = f"the catalogue has {len(catalogue)} items", len(set(seen))
    else:
        admitted = catalogue.attributes.admitted(rules.filters)
        why = f"the filter leaves {admitted.n_items} of {len(catalogue)} items"
        n_seen = count_seen(admitted.mask, seen)
    if n_seen:
        why += f", {n_seen} of them already seen"
    if rules.filters is not UNSET and rules.filters.allow is not UNSET:
        unknown = catalogue.attributes.unknown_genres(rules.filters.allow)
        why += "".join(f"; no item has the genre {genre!r}" for genre in unknown)
    return why
