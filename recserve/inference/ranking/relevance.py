"""What a candidate is worth once boosts and freshness have had their say.

With model score s of a candidate, extremes over the candidates, weights w of the boosts it meets, and its
age in years against the newest year of the catalogue,

    relevance = (s - min s) / (max s - min s) x w1 x w2 x ... x 2 ^ (-age / half-life)

divided at the end by the largest of the list, so that diversity always weighs against [0, 1].

It misbehaves on the last candidate: its relevance is 0, which no boost lifts. Candidates that all score
the same are all of relevance 1.
"""

import numpy as np
from msgspec import UNSET
from numpy.typing import NDArray

from recserve.inference.attributes import Attributes
from recserve.schemas import RankingRules


def weigh(
    items: NDArray[np.int64], scores: NDArray[np.float32], rules: RankingRules, attributes: Attributes
) -> NDArray[np.float64]:
    """Relevance of each candidate, in [0, 1].

    Args:
        items: item numbers.
        scores: the model's scores, finite.
        rules: with a half-life only where `attributes` knows years.
        attributes: years and genres of the items.
    """
    relevance = stretch(scores)
    for boost in rules.boosts:
        relevance[attributes.meeting_all(boost)[items]] *= boost.weight
    if rules.freshness_half_life_years is not UNSET:
        relevance *= freshness(items, rules.freshness_half_life_years, attributes)
    largest = relevance.max(initial=0.0)
    return relevance / largest if largest > 0 else relevance


def stretch(scores: NDArray[np.float32]) -> NDArray[np.float64]:
    """Finite scores brought to [0, 1] by their extremes; 1 everywhere where they are all the same."""
    if not len(scores):
        return np.zeros(0)
    wide = scores.astype(np.float64)  # the difference of two float32 can be infinite
    lowest, highest = wide.min(), wide.max()
    return (wide - lowest) / (highest - lowest) if highest > lowest else np.ones(len(wide))


def freshness(
    items: NDArray[np.int64], half_life_years: float, attributes: Attributes
) -> NDArray[np.float64]:
    """2 ^ (-age / half-life), in (0, 1]; an item without a year is taken to be of the median year."""
    newest, median = attributes.newest_year, attributes.median_year
    assert newest is not None, "check_rules refuses freshness in a catalogue without years"
    assert median is not None
    years = np.nan_to_num(attributes.years[items].astype(np.float64), nan=median)
    return np.exp2((years - newest) / half_life_years)
