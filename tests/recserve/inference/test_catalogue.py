import msgspec
import pytest

from recserve.errors import InvalidModels, UnknownItem
from recserve.inference.catalogue import Catalogue

COLUMNS = {
    "ids": [10, "b-20"],
    "titles": ["A", "B"],
    "years": [1999, None],
    "genres": [[], ["Drama"]],
    "n_interactions": [2, 1],
}


def catalogue(**changes: list) -> Catalogue:
    return Catalogue.decode(msgspec.json.encode(COLUMNS | changes))


def test_items_are_found_by_number_or_text() -> None:
    assert (catalogue().number(10), catalogue().number("10"), catalogue().number("b-20")) == (1, 1, 2)


def test_unknown_item_is_named() -> None:
    with pytest.raises(UnknownItem, match="99") as unknown:
        catalogue().number(99)

    assert unknown.value.value == 99


def test_unknown_items_of_a_history_are_dropped_in_place() -> None:
    assert catalogue().known_numbers(["b-20", 99, 10]) == [2, 1]


def test_columns_of_different_length_are_refused() -> None:
    with pytest.raises(InvalidModels, match="titles"):
        catalogue(titles=["A"])


def test_item_id_that_stands_twice_is_refused() -> None:
    with pytest.raises(InvalidModels, match="twice"):
        catalogue(ids=[10, "10"])
