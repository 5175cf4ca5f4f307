"""A ranking as the caller sees it: ids, titles, scores, and why."""

import math
from collections.abc import Mapping

from msgspec import UNSET, structs

from recserve.inference.ranking import Ranking
from recserve.inference.registry import ServedModels
from recserve.schemas import ScoredItem


def list_items(ranking: Ranking, because: Mapping[int, int | None], models: ServedModels) -> list[ScoredItem]:
    """A list as the caller sees it."""
    propensities = ranking.propensities
    ids = models.catalogue.columns.ids
    listed = []
    for place, (number, score) in enumerate(
        zip(ranking.items.tolist(), ranking.scores.tolist(), strict=True)
    ):
        item = list_item(number, score, models)
        reason = because.get(number)
        if reason is not None or propensities is not None:
            item = structs.replace(
                item,
                because=UNSET if reason is None else ids[reason - 1],
                propensity=UNSET if propensities is None else float(propensities[place]),
            )
        listed.append(item)
    return listed


def list_item(number: int, score: float, models: ServedModels) -> ScoredItem:
    columns = models.catalogue.columns
    return ScoredItem(
        columns.ids[number - 1],
        columns.titles[number - 1],
        None if math.isnan(score) else round(score, 4),
    )
