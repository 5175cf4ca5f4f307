"""A ranking as the caller sees it: ids, titles, scores, and why."""

from collections.abc import Mapping
from math import isfinite

from msgspec import UNSET, structs

from recserve.inference.ranking import Ranking
from recserve.inference.registry import ServedModels
from recserve.schemas import ScoredItem


def list_items(ranking: Ranking, because: Mapping[int, int | None], models: ServedModels) -> list[ScoredItem]:
    """A list as the caller sees it."""
    columns, propensities = models.catalogue.columns, ranking.propensities
    ids, titles = columns.ids, columns.titles
    numbers = ranking.items.tolist()
    items = [
        ScoredItem(ids[number - 1], titles[number - 1], round(score, 4) if isfinite(score) else None)
        for number, score in zip(numbers, ranking.scores.tolist(), strict=True)
    ]
    if not because and propensities is None:
        return items
    reasons = [because.get(number) for number in numbers]
    return [
        structs.replace(
            item,
            because=UNSET if reason is None else ids[reason - 1],
            propensity=UNSET if propensities is None else float(propensities[place]),
        )
        for place, (item, reason) in enumerate(zip(items, reasons, strict=True))
    ]
