"""What every adapter gives back, and what an adapter is."""

from dataclasses import dataclass
from typing import ClassVar, Protocol

import polars as pl

from training.errors import TrainingError


class DatasetError(TrainingError):
    """Data that cannot be trained on; the message names file, row and remedy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """Interactions as they were recorded, and what is known of the items."""

    name: str
    source: str
    licence: str
    terms: str
    "The licence's text, carried beside whatever is made from the data."
    interactions: pl.DataFrame
    """Columns user_id, item_id, timestamp (Unix seconds). Rows of the same second stand in the order in which
    they happened, as far as that is known."""
    items: pl.DataFrame
    "Columns item_id, title, year, genres; one row an item."
    sha256: str
    "Digest of the interactions file."
    allow_repeats: bool = False
    "Whether an item that a user took before may be recommended again, as milk may and a film may not."


class Adapter(Protocol):
    """Reads one kind of source."""

    kind: ClassVar[str]
    "The word for it on the command line."
    accepts: ClassVar[str]
    "What such a source looks like, for messages."

    def recognises(self, source: str) -> bool:
        """Whether the source looks like this kind, judged by its name and first bytes."""
        ...

    def read(self, source: str) -> Dataset:
        """Read all of it.

        Raises:
            DatasetError: it is not what this kind must be.
        """
        ...


def untitled_items(item_ids: pl.Series) -> pl.DataFrame:
    """Items of which nothing is known but their ids."""
    ids = item_ids.unique().sort().alias("item_id")
    return pl.DataFrame(
        {
            "item_id": ids,
            "title": "Item " + ids.cast(pl.String),
            "year": pl.Series([None] * len(ids), dtype=pl.Int32),
            "genres": pl.Series([[]] * len(ids), dtype=pl.List(pl.String)),
        }
    )
