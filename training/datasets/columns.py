"""What the cells of a user's own tables mean: ids, times, years, genres."""

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from training.datasets.dataset import DatasetError
from training.datasets.files import bad_cell, is_parquet

EARLIEST_S, LATEST_S = -62_135_596_800, 253_402_300_799
"Unix seconds of the years 1 to 9999; what lies outside is another unit."

ISO_FORMATS = ("%Y-%m-%dT%H:%M:%S%.f%#z", "%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d")
"The common ways to write a time, which polars reads fast; Python reads the rest."

ANOTHER_WRITING = r"^\+?(-?)0*(\d+)(?:\.0*)?$"
"Numbers that are not written as numbers are: 007, +7, 7.0."


def read_ids(values: pl.Series, path: Path) -> pl.Series:
    """Ids as integers or text.

    A CSV column holds integers if each of its values is written as an integer is; `007` makes it text.

    Raises:
        DatasetError: an id is missing, has blanks around it or is written in two ways, or the column has
            another type.
    """
    column = values.name
    if values.dtype in (pl.Categorical, pl.Enum):
        values = values.cast(pl.String)
    if not (values.dtype.is_integer() or values.dtype in (pl.String, pl.Null)):
        raise DatasetError(
            f"{path.name}, column {column}: ids are integers or text, but the column's type is {values.dtype}"
        )
    if values.dtype == pl.String:
        values = values.set(values == "", None)
    if values.null_count():
        raise bad_cell(path, _first(values.is_null()), column, None, "is missing")
    if values.dtype.is_integer():
        return _as_integers(values, path)
    values = values.cast(pl.String)
    if not is_parquet(path):
        numbers = values.cast(pl.Int64, strict=False)
        if not numbers.null_count() and (numbers.cast(pl.String) == values).all():
            return numbers
    padded = values != values.str.strip_chars()
    if padded.any():
        row = _first(padded)
        raise bad_cell(path, row, column, values[row], "has blanks around it")
    refuse_two_writings(values, f"{path.name}, column {column}")
    return values


def refuse_two_writings(ids: pl.Series, place: str) -> None:
    """Refuse text ids that are one number written in two ways, as 7 and 7.0 are.

    Raises:
        DatasetError: the number, and how it is written.
    """
    texts = ids.unique(maintain_order=True).alias("text")
    writings = (
        texts.to_frame()
        .filter(pl.col("text").str.contains(ANOTHER_WRITING))
        .group_by(pl.col("text").str.replace(ANOTHER_WRITING, "$1$2").alias("number"), maintain_order=True)
        .agg("text")
        .filter(pl.col("text").list.len() > 1)
    )
    if writings.height:
        written = " and ".join(map(repr, writings["text"][0].to_list()))
        raise DatasetError(f"{place}: {written} are the same number; write an id in one way")


def _as_integers(values: pl.Series, path: Path) -> pl.Series:
    numbers = values.cast(pl.Int64, strict=False)
    if numbers.null_count():
        row = _first(numbers.is_null())
        raise bad_cell(path, row, values.name, values[row], "is too large for an id; write such ids as text")
    return numbers


def read_times_us(values: pl.Series, path: Path) -> pl.Series:
    """Times as Unix microseconds.

    Numbers are Unix seconds; text is Unix seconds or ISO 8601, where a time without an offset is UTC.

    Raises:
        DatasetError: a time is missing or cannot be read.
    """
    if values.dtype == pl.String:
        values = values.set(values == "", None)
    if values.null_count():
        raise bad_cell(path, _first(values.is_null()), values.name, None, "is missing")
    if values.dtype in (pl.Datetime, pl.Date):
        return values.cast(pl.Datetime("us")).cast(pl.Int64)
    if values.dtype == pl.String:
        times_us = _times_of_text(values)
    elif values.dtype.is_numeric():
        times_us = _times_of_seconds(values)
    else:
        raise DatasetError(
            f"{path.name}, column {values.name}: times are Unix seconds, ISO 8601 text or a Parquet timestamp, "
            f"but the column's type is {values.dtype}"
        )
    if times_us.null_count():
        row = _first(times_us.is_null())
        raise bad_cell(path, row, values.name, values[row], _why_no_time(values[row]))
    return times_us


def _times_of_seconds(seconds: pl.Series) -> pl.Series:
    dtype = pl.Int64 if seconds.dtype.is_integer() else pl.Float64
    seconds = seconds.cast(dtype, strict=False)
    seconds = seconds.set(~seconds.is_between(EARLIEST_S, LATEST_S), None)  # NaN lies between nothing
    return (seconds * 1_000_000).round().cast(pl.Int64)


def _times_of_text(values: pl.Series) -> pl.Series:
    times_us = _times_of_seconds(values.cast(pl.Int64, strict=False))
    if times_us.null_count():
        times_us = _fill(times_us, _times_of_seconds(values.cast(pl.Float64, strict=False)))
    for form in ISO_FORMATS:
        if times_us.null_count():
            zone = "UTC" if form.endswith("z") else None
            parsed = values.str.to_datetime(form, time_unit="us", time_zone=zone, strict=False)
            times_us = _fill(times_us, parsed.cast(pl.Int64))
    if times_us.null_count():
        rest = values.filter(times_us.is_null()).unique()
        times_us = _fill(times_us, values.replace_strict(rest, _iso_times(rest), default=None))
    return times_us


def _fill(times_us: pl.Series, more: pl.Series) -> pl.Series:
    return times_us.zip_with(times_us.is_not_null(), more)


def _iso_times(texts: Iterable[str]) -> pl.Series:
    return pl.Series([_iso_time_us(text) for text in texts], dtype=pl.Int64)


def _iso_time_us(text: str) -> int | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    elapsed = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - datetime.fromtimestamp(0, UTC)
    return (elapsed.days * 86_400 + elapsed.seconds) * 1_000_000 + elapsed.microseconds


def _why_no_time(value: object) -> str:
    try:
        float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return "is neither Unix seconds nor an ISO 8601 time"
    return "is no time in Unix seconds; milliseconds must be divided by 1000"


def read_titles(values: pl.Series, path: Path) -> pl.Series:
    """Titles as text, none empty.

    Raises:
        DatasetError: an item has none.
    """
    titles = values.cast(pl.String).str.strip_chars()
    is_missing = titles.is_null() | (titles == "")
    if is_missing.any():
        raise bad_cell(path, _first(is_missing), values.name, None, "is missing")
    return titles


def read_years(values: pl.Series, path: Path) -> pl.Series:
    """Years as integers; empty where unknown.

    Raises:
        DatasetError: a year is no number from 0 to 9999.
    """
    text = values.cast(pl.String).str.strip_chars()
    is_known = text.is_not_null() & (text != "")
    years = text.str.replace(r"\.0$", "").cast(
        pl.Int32, strict=False
    )  # what has gaps is often stored as floats
    is_bad = is_known & ~years.is_between(0, 9999).fill_null(value=False)
    if is_bad.any():
        row = _first(is_bad)
        raise bad_cell(path, row, values.name, values[row], "is not a year")
    return years


def read_genres(values: pl.Series, path: Path) -> pl.Series:
    """Genres as a list an item, from `Drama|Comedy` or a list column; empty where unknown.

    Raises:
        DatasetError: the column is neither.
    """
    if values.dtype in (pl.String, pl.Null):
        values = values.cast(pl.String).fill_null("").str.split("|")
    if not isinstance(values.dtype, pl.List) or values.dtype.inner not in (pl.String, pl.Null):
        raise DatasetError(
            f"{path.name}, column {values.name}: genres are text with | between them, "
            f"but the column's type is {values.dtype}"
        )
    genre = pl.element().cast(pl.String).str.strip_chars()
    return values.list.eval(genre.filter(genre.is_not_null() & (genre != ""))).fill_null([])


def _first(is_bad: pl.Series) -> int:
    return int(is_bad.arg_max() or 0)
