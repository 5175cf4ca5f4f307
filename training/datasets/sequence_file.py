"""One line a user: the user's id, then items, oldest first, as the Amazon files of published evaluations are."""

from pathlib import Path
from typing import ClassVar

import polars as pl

from training.datasets.columns import read_ids
from training.datasets.dataset import Dataset, DatasetError, untitled_items
from training.datasets.files import digest, first_bytes, read_text
from training.datasets.table import COLUMNS, SUFFIXES


class SequenceFile:
    """A text file of sequences. It has no titles and no times, so its models are for evaluation only."""

    kind: ClassVar[str] = "sequences"
    accepts: ClassVar[str] = "a text file with one line a user: the user's id, then item ids, oldest first"

    def recognises(self, source: str) -> bool:
        path = Path(source)
        if not path.is_file() or path.suffix.lower() in SUFFIXES:
            return False
        words = first_bytes(path, 4096).partition(b"\n")[0].split()
        return (
            len(words) > 1
            and all(word.isascii() and word.decode().isprintable() for word in words)
            and not any(b"," in word or b"::" in word or word.decode() in COLUMNS for word in words)
        )

    def read(self, source: str) -> Dataset:
        path = Path(source)
        interactions = _read_interactions(path)
        return Dataset(
            name=path.stem,
            source=path.name,
            licence="not stated in the file; for evaluation only",
            terms="The file of sequences states no terms: use what is made from it for evaluation only.\n",
            interactions=interactions,
            items=untitled_items(interactions["item_id"]),
            sha256=digest(path),
        )


def _read_interactions(path: Path) -> pl.DataFrame:
    lines = pl.DataFrame({"words": pl.Series(read_text(path).split("\n"), dtype=pl.String)})
    lines = (
        lines.with_row_index("line", offset=1)
        .with_columns(pl.col("words").str.extract_all(r"\S+"))
        .filter(pl.col("words").list.len() > 0)
        .with_columns(pl.col("words").list.first().alias("user_id"))
    )
    if lines.is_empty():
        raise DatasetError(f"{path.name} is empty")
    _refuse_bare_users(lines, path)
    _refuse_second_lines(lines, path)
    interactions = lines.select(
        "user_id",
        pl.col("words").list.slice(1).alias("item_id"),
        pl.int_ranges(pl.col("words").list.len().cast(pl.Int64) - 1).alias("timestamp"),
    ).explode("item_id", "timestamp")
    return interactions.with_columns(
        read_ids(interactions["user_id"], path), read_ids(interactions["item_id"], path)
    )


def _refuse_bare_users(lines: pl.DataFrame, path: Path) -> None:
    bare = lines.filter(pl.col("words").list.len() == 1)
    if bare.height:
        line, user_id = bare.select("line", "user_id").row(0)
        raise DatasetError(
            f"{path.name}, line {line}: user {user_id!r} has no items; a line is `user item item ...`"
        )


def _refuse_second_lines(lines: pl.DataFrame, path: Path) -> None:
    again = lines.filter(~pl.col("user_id").is_first_distinct())
    if again.height:
        line, user_id = again.select("line", "user_id").row(0)
        first = lines.filter(pl.col("user_id") == user_id)["line"][0]
        raise DatasetError(
            f"{path.name}, line {line}: user {user_id!r} has line {first} already; all items of a user stand on "
            f"one line, oldest first. One interaction a line is a table: give it the header {','.join(COLUMNS)}"
        )
