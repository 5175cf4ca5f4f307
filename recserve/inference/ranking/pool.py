"""How many candidates to ask a model for, so that the rules end in the right list.

The list is made from the best `n_candidates` items that the filter leaves: k where the model's order
stands, more where rules reorder. It is defined by that number alone, so asking for more than enough changes
nothing. How many to ask for is a guess from the share of the catalogue that the filter leaves; a guess that
proves too small is doubled, up to the size that cannot be too small:

    first = min(HEADROOM x wanted / share, wanted + items that the filter excludes)

It misbehaves on a filter that the user's taste avoids: the first guess is then far off, and reaching the
bottom of a catalogue of 100,000 items takes several runs of the model.
"""

import math
from collections.abc import Sequence

import numpy as np
from msgspec import UNSET
from numpy.typing import NDArray

from recserve.inference.catalogue import Catalogue
from recserve.schemas import Filters, RankingRules

LEAST_CANDIDATES = 200
"Fewest candidates that rules reorder; a run for 200 costs a few microseconds more than a run for 10."
CANDIDATES_PER_PLACE = 4
HEADROOM = 1.5
"What the first guess is multiplied by, since the items that a filter leaves lie unevenly in a ranking."


def n_candidates(rules: RankingRules, k: int) -> int:
    """How many of the best items that the filter leaves the rules choose from."""
    return max(LEAST_CANDIDATES, CANDIDATES_PER_PLACE * k) if reorders(rules) else k


def reorders(rules: RankingRules) -> bool:
    """Whether the best k that the filter leaves may not be the k to show."""
    return (
        rules.diversity > 0
        or rules.exploration > 0
        or rules.freshness_half_life_years is not UNSET
        or bool(rules.boosts)
    )


def is_plain(rules: RankingRules) -> bool:
    """Whether the model's best k are the list."""
    return rules.filters is UNSET and not rules.pins and not reorders(rules)


def pool_size(rules: RankingRules, catalogue: Catalogue, *, k: int, seen: Sequence[int] = ()) -> int:
    """How many candidates to ask the model for first, 1 to the size of the catalogue.

    Args:
        rules: what the list must obey.
        catalogue: what the model chooses from.
        k: items to show.
        seen: item numbers that the model leaves out by itself.
    """
    if rules.filters is UNSET:
        return min(n_candidates(rules, k), len(catalogue))
    share = catalogue.attributes.admitted(rules.filters).n_items / len(catalogue)
    wanted = _n_wanted(rules, rules.filters, catalogue, k=k, seen=seen)
    guess = math.ceil(HEADROOM * wanted / share) if wanted else 0
    return max(1, min(guess, _most_needed(rules.filters, catalogue, wanted)))


def next_pool_size(
    asked: int,
    items: NDArray[np.int64],
    rules: RankingRules,
    catalogue: Catalogue,
    *,
    k: int,
    seen: Sequence[int] = (),
) -> int | None:
    """How many candidates to ask for instead, or None where those that came are enough.

    Args:
        asked: how many were asked for.
        items: item numbers that came, best first; 0 where no more remain.
        rules: what the list must obey.
        catalogue: what the model chooses from.
        k: items to show.
        seen: item numbers that the model leaves out by itself.
    """
    if rules.filters is UNSET or np.count_nonzero(items) < asked:
        return None
    wanted = _n_wanted(rules, rules.filters, catalogue, k=k, seen=seen)
    survived = np.count_nonzero(catalogue.attributes.admitted(rules.filters).mask[items])
    most_needed = _most_needed(rules.filters, catalogue, wanted)
    if survived >= wanted or asked >= most_needed:
        return None
    return min(2 * asked, most_needed)


def _n_wanted(
    rules: RankingRules, filters: Filters, catalogue: Catalogue, *, k: int, seen: Sequence[int]
) -> int:
    """How many candidates the filter should leave: no more than there are that the user has not seen."""
    wanted = n_candidates(rules, k)
    admitted = catalogue.attributes.admitted(filters)
    if admitted.n_items >= wanted + len(seen):
        return wanted
    return min(wanted, admitted.n_items - count_seen(admitted.mask, seen))


def _most_needed(filters: Filters, catalogue: Catalogue, wanted: int) -> int:
    """A pool that holds `wanted` admitted items even if the model ranks every excluded item first."""
    return wanted + len(catalogue) - catalogue.attributes.admitted(filters).n_items


def count_seen(mask: NDArray[np.bool_], seen: Sequence[int]) -> int:
    """How many different items of `seen` a mask by item number admits."""
    return int(np.count_nonzero(mask[list(set(seen))]))
