"""The catalogue on the device: ids, titles, and which items a filter leaves."""

import json
from collections.abc import Iterable, Mapping
from itertools import accumulate, chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recserve_edge.errors import InvalidBundle
from recserve_edge.request import ItemId

MAX_MASKS = 64
"Remembered filters: callers send the same few again and again."


class Catalogue:
    """Items by number, from 1; the number is the place in the file.

    Args:
        content: the file, verified: parallel lists `ids`, `titles`, `years` and `genres`.
        n_items: how many there must be.

    Raises:
        InvalidBundle: it is not a catalogue of that many items.
    """

    def __init__(self, content: bytes, *, n_items: int) -> None:
        try:
            columns = json.loads(content)
            self.ids: list[ItemId] = columns["ids"]
            self.titles: list[str] = columns["titles"]
            genres: list[list[str]] = columns["genres"]
            self._years = np.array([None, *columns["years"]], np.float32)  # NaN where it is unknown
            lengths = {len(self.ids), len(self.titles), len(self._years) - 1, len(genres)}
            self._numbers = {str(item_id): number for number, item_id in enumerate(self.ids, start=1)}
            self._codes_by_genre = {
                genre: code for code, genre in enumerate(dict.fromkeys(chain.from_iterable(genres)))
            }
        except (KeyError, TypeError, ValueError) as err:
            raise InvalidBundle("unreadable", f"the catalogue cannot be read: {err!r}") from err
        if lengths != {n_items} or len(self._numbers) != n_items:
            raise InvalidBundle(
                "unreadable",
                f"the catalogue has columns of {sorted(lengths)} and {len(self._numbers)} different ids; "
                f"the manifest says {n_items} items",
            )
        self._codes = np.fromiter(
            map(self._codes_by_genre.__getitem__, chain.from_iterable(genres)), np.int32
        )
        ends = np.fromiter(accumulate(chain((0,), map(len, genres))), np.int64)
        self._owners = np.repeat(np.arange(n_items + 1), np.diff(ends, prepend=0))
        "Item number that each of `_codes` belongs to."
        self._masks: dict[str, NDArray[np.bool_]] = {}

    def __len__(self) -> int:
        return len(self.ids)

    def known_numbers(self, item_ids: Iterable[ItemId]) -> list[int]:
        """Numbers of those items that the catalogue knows, in the order given."""
        find = self._numbers.get
        return [number for number in map(find, map(str, item_ids)) if number is not None]

    def admitted(self, filters: Mapping[str, Any]) -> NDArray[np.bool_]:
        """Whether an item may be shown, by item number: all of `allow` met, and none of `deny`; 0 never."""
        key = json.dumps(filters, sort_keys=True)
        mask = self._masks.get(key)
        if mask is None:
            if len(self._masks) >= MAX_MASKS:
                self._masks = {}
            mask = self._masks[key] = self._apply(filters)
        return mask

    def _apply(self, filters: Mapping[str, Any]) -> NDArray[np.bool_]:
        mask = np.ones(len(self) + 1, bool)
        for met in self._each(filters.get("allow", {})):
            mask &= met
        for met in self._each(filters.get("deny", {})):
            mask &= ~met
        mask[0] = False
        return mask

    def _each(self, conditions: Mapping[str, Any]) -> Iterable[NDArray[np.bool_]]:
        """For each condition that was sent, which item numbers meet it; both years are one."""
        if "genres" in conditions:
            wanted = [code for genre, code in self._codes_by_genre.items() if genre in conditions["genres"]]
            has_any = np.zeros(len(self) + 1, bool)
            has_any[self._owners[np.isin(self._codes, wanted)]] = True
            yield has_any
        if "min_year" in conditions or "max_year" in conditions:
            # A year that is unknown is NaN, of which every comparison is false.
            oldest, newest = conditions.get("min_year", -np.inf), conditions.get("max_year", np.inf)
            yield (self._years >= oldest) & (self._years <= newest)
        if "item_ids" in conditions:
            is_listed = np.zeros(len(self) + 1, bool)
            is_listed[self.known_numbers(conditions["item_ids"])] = True
            yield is_listed
