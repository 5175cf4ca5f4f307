"""The user's own data: a table of interactions, and one of items, as CSV or Parquet."""

from pathlib import Path
from typing import ClassVar

import polars as pl

from training.datasets.columns import (
    read_genres,
    read_ids,
    read_times_us,
    read_titles,
    read_years,
    refuse_two_writings,
)
from training.datasets.dataset import Dataset, DatasetError, untitled_items
from training.datasets.files import digest, first_bytes, is_parquet, read_columns

COLUMNS = ("user_id", "item_id", "timestamp")
ITEM_COLUMNS = ("item_id", "title")
SUFFIXES = (".csv", ".parquet", ".pq")


class Table:
    """A CSV or Parquet file of interactions, and one of items."""

    kind: ClassVar[str] = "table"
    accepts: ClassVar[str] = f"a CSV or Parquet file with the columns {', '.join(COLUMNS)}"

    def __init__(self, *, items: Path | None = None) -> None:
        """
        Args:
            items: CSV or Parquet file with the columns item_id and title, perhaps year and genres; without it
                an item is called by its id.
        """
        self.items = items

    def recognises(self, source: str) -> bool:
        path = Path(source)
        if not path.is_file():
            return False
        header = first_bytes(path, 4096).partition(b"\n")[0]
        return (
            path.suffix.lower() in SUFFIXES
            or header.startswith(b"PAR1")
            or all(name.encode() in header for name in COLUMNS)
        )

    def read(self, source: str) -> Dataset:
        path = Path(source)
        interactions = _read_interactions(path)
        if self.items is None:
            items = untitled_items(interactions["item_id"])
        else:
            items = _read_items(self.items)
            interactions, items = _with_ids_of_one_type(interactions, path, items, self.items)
            _require_all_items(interactions, path, items, self.items)
        return Dataset(
            name=path.stem,
            source=path.name,
            licence="that of the data it was made from",
            terms=f"Made from {path.name}, the data of whoever trained these models; their terms hold.\n",
            interactions=interactions,
            items=items,
            sha256=digest(path),
        )


def _read_interactions(path: Path) -> pl.DataFrame:
    frame = read_columns(path, COLUMNS)
    if frame.is_empty():
        raise DatasetError(f"{path.name} holds no interactions, only the names of columns")
    by_time = pl.DataFrame(
        {
            "user_id": read_ids(frame["user_id"], path),
            "item_id": read_ids(frame["item_id"], path),
            "time_us": read_times_us(frame["timestamp"], path),
        }
    ).sort("time_us", maintain_order=True)
    return by_time.select("user_id", "item_id", timestamp=pl.col("time_us") // 1_000_000)


def _read_items(path: Path) -> pl.DataFrame:
    frame = read_columns(path, ITEM_COLUMNS, optional=("year", "genres"))
    if frame.is_empty():
        raise DatasetError(f"{path.name} holds no items, only the names of columns")
    nothing = pl.Series([None] * frame.height, dtype=pl.String)
    items = pl.DataFrame(
        {
            "item_id": read_ids(frame["item_id"], path),
            "title": read_titles(frame["title"], path),
            "year": read_years(frame.get_column("year", default=nothing), path),
            "genres": read_genres(frame.get_column("genres", default=nothing), path),
        }
    )
    repeats = ~items["item_id"].is_first_distinct()
    if repeats.any():
        item_id = items["item_id"].filter(repeats)[0]
        first, again = (items["item_id"] == item_id).arg_true()[:2].to_list()
        raise DatasetError(
            f"{path.name}, rows {first + 1} and {again + 1}: item {item_id!r} stands there twice; "
            "an item has one row"
        )
    return items


def _with_ids_of_one_type(
    interactions: pl.DataFrame, path: Path, items: pl.DataFrame, items_path: Path
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The same item ids in both tables, as text where either has text.

    A CSV file has no types, so its integers give way; those of a Parquet file are meant as they are typed.
    """
    if interactions["item_id"].dtype == items["item_id"].dtype:
        return interactions, items
    numbers, numbers_path, texts_path = (
        (interactions, path, items_path)
        if interactions["item_id"].dtype == pl.Int64
        else (items, items_path, path)
    )
    if is_parquet(numbers_path):
        number = numbers["item_id"][0]
        raise DatasetError(
            f"item_id is a number in {numbers_path.name} and text in {texts_path.name}; {number!r} and "
            f"{str(number)!r} are different ids: write both files with one type"
        )
    as_text = pl.col("item_id").cast(pl.String)
    interactions, items = interactions.with_columns(as_text), items.with_columns(as_text)
    ids = pl.concat([table["item_id"].unique(maintain_order=True) for table in (interactions, items)])
    refuse_two_writings(ids, f"{path.name} and {items_path.name}, column item_id")
    return interactions, items


def _require_all_items(interactions: pl.DataFrame, path: Path, items: pl.DataFrame, items_path: Path) -> None:
    taken = interactions["item_id"].unique(maintain_order=True)
    missing = taken.filter(~taken.is_in(items["item_id"].implode()))
    if len(missing):
        raise DatasetError(
            f"{items_path.name} lacks {len(missing)} of the {len(taken)} items in {path.name}, the first is "
            f"{missing[0]!r}; add them, or leave out their interactions"
        )
