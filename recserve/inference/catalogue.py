"""The catalogue: which items exist, and what a person calls them."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property

import msgspec

from recserve.errors import InvalidModels, UnknownItem
from recserve.inference.attributes import Attributes


class CatalogueFile(msgspec.Struct, frozen=True, kw_only=True):
    """The catalogue as stored: parallel columns, item number i at index i - 1."""

    ids: list[int | str]
    titles: list[str]
    years: list[int | None]
    genres: list[list[str]]
    n_interactions: list[int]


@dataclass(frozen=True)
class Catalogue:
    columns: CatalogueFile
    numbers: dict[str, int] = field(init=False, repr=False)
    "Item number, from 1, by the text of the item id: callers may send 260 or '260'."

    def __post_init__(self) -> None:
        n_items = len(self.columns.ids)
        for name in self.columns.__struct_fields__:
            if len(getattr(self.columns, name)) != n_items:
                raise InvalidModels(f"the catalogue has {n_items} ids but another number of {name}")
        numbers = {str(item_id): i for i, item_id in enumerate(self.columns.ids, start=1)}
        if len(numbers) != n_items:
            raise InvalidModels("the catalogue holds an item id twice")
        object.__setattr__(self, "numbers", numbers)

    @classmethod
    def decode(cls, content: bytes) -> "Catalogue":
        try:
            return cls(msgspec.json.decode(content, type=CatalogueFile))
        except msgspec.DecodeError as err:
            raise InvalidModels(f"the catalogue cannot be read: {err}") from err

    @cached_property
    def titles_by_popularity(self) -> list[tuple[int, str]]:
        """Column and case-folded title of every item, the most popular first: what search reads."""
        n_interactions = self.columns.n_interactions
        by_popularity = sorted(range(len(n_interactions)), key=lambda column: -n_interactions[column])
        return [(column, self.columns.titles[column].casefold()) for column in by_popularity]

    @cached_property
    def attributes(self) -> Attributes:
        """Years and genres as rules read them, laid out on first use: a cold start does not wait for it."""
        return Attributes(self.numbers, self.columns.years, self.columns.genres)

    def __len__(self) -> int:
        return len(self.columns.ids)

    def number(self, item_id: int | str) -> int:
        """The item's number.

        Raises:
            UnknownItem: the catalogue lacks it.
        """
        number = self.numbers.get(str(item_id))
        if number is None:
            raise UnknownItem(
                f"item {item_id!r} is not in the catalogue; find ids with GET /api/items?query=",
                field="item_id",
                value=item_id,
                allowed="an item id of the catalogue",
            )
        return number

    def search(self, query: str) -> list[int]:
        """Columns of the items whose title holds every word of the query, the most popular first."""
        words = query.casefold().split()
        return [column for column, title in self.titles_by_popularity if all(word in title for word in words)]

    def known_numbers(self, item_ids: Iterable[int | str]) -> list[int]:
        """Numbers of those items that the catalogue knows, in the order given."""
        find = self.numbers.get
        return [number for number in map(find, map(str, item_ids)) if number is not None]
