"""What rules a caller may send, and which of them a catalogue or a length of list cannot serve."""

from typing import Any

import msgspec
import pytest

from recserve.errors import InvalidRequest
from recserve.inference.catalogue import Catalogue, CatalogueFile
from recserve.inference.ranking.checks import check_rules
from recserve.schemas import RankingRules


def rules(**fields: Any) -> RankingRules:
    """Rules as they come out of JSON."""
    return msgspec.json.decode(msgspec.json.encode(fields), type=RankingRules)


def catalogue(*, year: int | None = 2000, genres: tuple[str, ...] = ("Drama",)) -> Catalogue:
    return Catalogue(
        CatalogueFile(
            ids=[10, "b"],
            titles=["A", "B"],
            years=[year, year],
            genres=[list(genres), list(genres)],
            n_interactions=[2, 1],
        )
    )


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"filters": {"allow": {}}}, "no condition was sent"),
        ({"filters": {"deny": {"min_year": 2001, "max_year": 2000}}}, "2001 is after `max_year` 2000"),
        ({"filters": {"allow": {"genres": []}}}, "length >= 1"),
        ({"filters": {"allow": {"genre": ["Drama"]}}}, "unknown field `genre`"),
        ({"boosts": [{"weight": 2}]}, "no condition was sent"),
        ({"boosts": [{"weight": 0, "genres": ["Drama"]}]}, "> 0"),
        ({"boosts": [{"weight": 10.5, "genres": ["Drama"]}]}, "<= 10"),
        ({"pins": [{"item_id": 1, "position": 0}]}, ">= 1"),
        (
            {"pins": [{"item_id": 1, "position": 2}, {"item_id": 2, "position": 2}]},
            "position 2 is pinned twice",
        ),
        (
            {"pins": [{"item_id": 1, "position": 1}, {"item_id": "1", "position": 2}]},
            "item '1' is pinned twice",
        ),
        ({"freshness_half_life_years": 0}, ">= 0.1"),
        ({"diversity": 1.1}, "<= 1"),
        ({"exploration": 0.6}, "<= 0.5"),
        ({"seed": -1}, ">= 0"),
    ],
)
def test_rules_that_make_no_sense_are_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=message):
        rules(**fields)


@pytest.mark.parametrize(
    ("fields", "where", "value", "field"),
    [
        ({"pins": [{"item_id": 99, "position": 1}]}, {}, 99, "rules.pins[0].item_id"),
        (
            {"pins": [{"item_id": 10, "position": 1}, {"item_id": "b", "position": 3}]},
            {},
            3,
            "rules.pins[1].position",
        ),
        ({"diversity": 0.5}, {"genres": ()}, 0.5, "rules.diversity"),
        ({"freshness_half_life_years": 5.0}, {"year": None}, 5.0, "rules.freshness_half_life_years"),
    ],
)
def test_rules_that_the_catalogue_cannot_serve_are_refused(
    fields: dict[str, Any], where: dict[str, Any], value: object, field: str
) -> None:
    with pytest.raises(InvalidRequest) as refused:
        check_rules(rules(**fields), catalogue(**where), k=2)

    assert (refused.value.field, refused.value.value) == (field, value)
    assert refused.value.allowed


def test_rules_that_the_catalogue_can_serve_pass() -> None:
    everything = rules(
        pins=[{"item_id": "10", "position": 2}],
        boosts=[{"genres": ["Opera"], "item_ids": [99], "weight": 2}],
        filters={"allow": {"genres": ["Opera"]}, "deny": {"item_ids": ["nobody's"]}},
        freshness_half_life_years=5,
        diversity=0.5,
        exploration=0.1,
        seed=7,
        explain=True,
    )

    check_rules(everything, catalogue(), k=2)
