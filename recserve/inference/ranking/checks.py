"""Rules that this catalogue cannot serve are refused before a model is asked."""

from msgspec import UNSET

from recserve.errors import InvalidRequest
from recserve.inference.catalogue import Catalogue
from recserve.schemas import RankingRules


def check_rules(rules: RankingRules, catalogue: Catalogue, *, k: int) -> None:
    """Refuse rules that this catalogue or this length of list cannot serve.

    Raises:
        InvalidRequest: a pinned item is unknown or its position beyond k; diversity without genres, or
            freshness without years.
    """
    for index, pin in enumerate(rules.pins):
        if str(pin.item_id) not in catalogue.numbers:
            raise InvalidRequest(
                f"pinned item {pin.item_id!r} is not in the catalogue; find ids with GET /api/items?query=",
                field=f"rules.pins[{index}].item_id",
                value=pin.item_id,
                allowed="an item id of the catalogue",
            )
        if pin.position > k:
            raise InvalidRequest(
                f"item {pin.item_id!r} is pinned to position {pin.position} of a list of {k}; raise k or pin it higher",
                field=f"rules.pins[{index}].position",
                value=pin.position,
                allowed=f"an integer from 1 to {k}",
            )
    if rules.diversity > 0 and not catalogue.attributes.has_genres:
        raise InvalidRequest(
            "diversity compares genres, and no item of this catalogue has any; leave it out, or serve a catalogue "
            "with genres",
            field="rules.diversity",
            value=rules.diversity,
            allowed="0",
        )
    if rules.freshness_half_life_years is not UNSET and catalogue.attributes.newest_year is None:
        raise InvalidRequest(
            "freshness compares years, and no item of this catalogue has one; leave it out, or serve a catalogue "
            "with years",
            field="rules.freshness_half_life_years",
            value=rules.freshness_half_life_years,
            allowed="nothing",
        )
