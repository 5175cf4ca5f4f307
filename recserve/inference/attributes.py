"""What is known of items beyond their names, laid out so that a rule costs microseconds.

Genres are kept as one flat array of codes with an offset for each item, so memory grows with the genres
that items have and not with items x genres. Which items a filter leaves is worked out once for the whole
catalogue and remembered: callers send the same few filters again and again.
"""

from collections.abc import Iterable
from functools import lru_cache
from itertools import accumulate, chain
from typing import NamedTuple

import numpy as np
from msgspec import UNSET
from numpy.typing import NDArray

from recserve.schemas import Conditions, Filters

MASKS_BYTES = 8 * 2**20
"Most memory for remembered masks of one catalogue, each a byte an item."
MOST_MASKS = 64


class Admitted(NamedTuple):
    """The items that a filter leaves."""

    mask: NDArray[np.bool_]
    "By item number, (n_items + 1,); number 0, which is no item, is never admitted."
    n_items: int


class Attributes:
    """Years and genres of a catalogue's items.

    Args:
        numbers: item number, from 1, by the text of the item id.
        years: of each item; None where it is unknown.
        genres: of each item.
    """

    def __init__(self, numbers: dict[str, int], years: list[int | None], genres: list[list[str]]) -> None:
        self._numbers = numbers
        self.n_items = len(years)
        self.years = np.array([None, *years], np.float32)
        "By item number, NaN where it is unknown, (n_items + 1,)."
        known_years = np.sort(self.years[~np.isnan(self.years)])
        self.newest_year = float(known_years[-1]) if len(known_years) else None
        "None in a catalogue without years."
        # By hand: numpy.median imports numpy.ma, which takes 50 ms.
        self.median_year = float(known_years[(len(known_years) - 1) // 2]) if len(known_years) else None
        "The older of the two in the middle; None in a catalogue without years."
        self._codes_by_genre = {
            genre: code for code, genre in enumerate(dict.fromkeys(chain.from_iterable(genres)))
        }
        self._codes = np.fromiter(
            map(self._codes_by_genre.__getitem__, chain.from_iterable(genres)), np.int32
        )
        "Genres of item 1, then of item 2, and so on."
        self._ends = np.fromiter(accumulate(chain((0,), map(len, genres))), np.int64)
        "Where the genres of each item number end in `_codes`, (n_items + 1,)."
        self._owners = np.repeat(np.arange(self.n_items + 1, dtype=np.int32), np.diff(self._ends, prepend=0))
        "Item number that each of `_codes` belongs to."
        n_masks = max(8, min(MOST_MASKS, MASKS_BYTES // (self.n_items + 1)))
        self._remembered_filters = lru_cache(n_masks // 2)(self._apply)
        self._remembered_conditions = lru_cache(n_masks // 2)(self._meet_all)

    @property
    def has_genres(self) -> bool:
        return bool(self._codes_by_genre)

    def admitted(self, filters: Filters) -> Admitted:
        """The items that may be shown: all conditions of `allow` met, and none of `deny`."""
        return self._remembered_filters(filters)

    def meeting_all(self, conditions: Conditions) -> NDArray[np.bool_]:
        """Whether an item meets every condition, by item number, (n_items + 1,); number 0 means nothing."""
        return self._remembered_conditions(conditions)

    def unknown_genres(self, conditions: Conditions) -> list[str]:
        """The genres asked for that no item has."""
        if conditions.genres is UNSET:
            return []
        return [genre for genre in conditions.genres if genre not in self._codes_by_genre]

    def genre_table(self, items: NDArray[np.int64]) -> NDArray[np.float32]:
        """1 where an item has a genre, (items, genres that any of them has).

        Args:
            items: item numbers.
        """
        lengths = self._ends[items] - self._ends[items - 1]
        rows = np.repeat(np.arange(len(items)), lengths)
        starts = np.repeat(self._ends[items] - np.cumsum(lengths), lengths)
        present, columns = np.unique(self._codes[starts + np.arange(len(rows))], return_inverse=True)
        table = np.zeros((len(items), len(present)), np.float32)
        table[rows, columns] = 1
        return table

    def _apply(self, filters: Filters) -> Admitted:
        mask = np.ones(self.n_items + 1, bool)
        if filters.allow is not UNSET:
            mask &= self._meet_all(filters.allow)
        if filters.deny is not UNSET:
            for met in self._each(filters.deny):
                mask &= ~met
        mask[0] = False
        mask.flags.writeable = False
        return Admitted(mask, int(np.count_nonzero(mask)))

    def _meet_all(self, conditions: Conditions) -> NDArray[np.bool_]:
        mask = np.ones(self.n_items + 1, bool)
        for met in self._each(conditions):
            mask &= met
        mask.flags.writeable = False
        return mask

    def _each(self, conditions: Conditions) -> Iterable[NDArray[np.bool_]]:
        """For each condition that was sent, which item numbers meet it."""
        if conditions.genres is not UNSET:
            yield self._having_any(conditions.genres)
        if conditions.min_year is not UNSET or conditions.max_year is not UNSET:
            # A year that is unknown is NaN, of which every comparison is false.
            oldest = -np.inf if conditions.min_year is UNSET else conditions.min_year
            newest = np.inf if conditions.max_year is UNSET else conditions.max_year
            yield (self.years >= oldest) & (self.years <= newest)
        if conditions.item_ids is not UNSET:
            is_listed = np.zeros(self.n_items + 1, bool)
            found = [self._numbers.get(str(item_id), 0) for item_id in conditions.item_ids]
            is_listed[found] = True
            yield is_listed

    def _having_any(self, genres: Iterable[str]) -> NDArray[np.bool_]:
        is_wanted = np.zeros(len(self._codes_by_genre), bool)
        is_wanted[[self._codes_by_genre[genre] for genre in genres if genre in self._codes_by_genre]] = True
        has_any = np.zeros(self.n_items + 1, bool)
        has_any[self._owners[is_wanted[self._codes]]] = True
        return has_any
