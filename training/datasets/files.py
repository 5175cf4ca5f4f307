"""CSV and Parquet files: wanted columns read fast, and for a file that cannot be read, the place where it breaks."""

import codecs
import csv
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl

from training.datasets.dataset import DatasetError

MAX_NAMED_COLUMNS = 12
"A message that names all 300 columns of a file helps nobody."


def read_columns(path: Path, needed: Sequence[str], *, optional: Sequence[str] = ()) -> pl.DataFrame:
    """Read columns by name; those of a CSV file as text, those of a Parquet file as they are typed.

    Args:
        needed: columns that the file must have.
        optional: columns that are read where the file has them.

    Raises:
        DatasetError: the file is missing, empty, damaged or not UTF-8, or lacks a column.
    """
    try:
        frame = pl.scan_parquet(path, glob=False) if is_parquet(path) else scan_csv(path)
        require_columns(frame, path, needed)
        wanted = [name for name in frame.collect_schema().names() if name in {*needed, *optional}]
        # Without the pushdown every field of a row is parsed: a row with too many is refused, not cut.
        return without_blank_end(
            frame.select(wanted).collect(
                engine="streaming", optimizations=pl.QueryOptFlags(projection_pushdown=is_parquet(path))
            )
        )
    except (pl.exceptions.PolarsError, OSError) as err:
        raise unreadable(path, err) from err


def without_blank_end(frame: pl.DataFrame) -> pl.DataFrame:
    """The rows up to the last that is not empty; polars reads blank lines at the end of a CSV file as rows."""
    if frame.is_empty() or any(value is not None for value in frame.row(-1)):
        return frame
    filled = frame.select(~pl.all_horizontal(pl.all().is_null())).to_series().arg_true()
    return frame.head(filled[-1] + 1 if len(filled) else 0)


def scan_csv(path: Path, types: Mapping[str, pl.DataType | type[pl.DataType]] | None = None) -> pl.LazyFrame:
    """Look at a CSV file, columns without a type as text; nothing is read yet."""
    return pl.scan_csv(path, infer_schema=False, schema_overrides=dict(types or {}), glob=False)


def require_columns(frame: pl.LazyFrame, path: Path, needed: Sequence[str]) -> None:
    """Refuse a file that lacks columns.

    Raises:
        DatasetError: which are missing, and which there are.
    """
    found = frame.collect_schema().names()
    missing = [name for name in needed if name not in found]
    if not missing:
        return
    _require_utf8(path)
    named = ", ".join(map(repr, found[:MAX_NAMED_COLUMNS]))
    more = f" and {len(found) - MAX_NAMED_COLUMNS} more" if len(found) > MAX_NAMED_COLUMNS else ""
    separator = next((mark for mark in (";", "\t", "|") if len(found) == 1 and mark in found[0]), None)
    hint = f"; {separator!r} stands between its fields, which must be a comma" if separator else ""
    raise DatasetError(
        f"{path.name} lacks {_columns(missing)}; it needs the columns {', '.join(needed)} and has {named}{more}{hint}"
    )


def bad_cell(path: Path, row: int, column: str, value: object, problem: str) -> DatasetError:
    """The error for one value.

    Args:
        row: from 0; people count from 1, without the header.
        problem: completes the sentence that the value begins.
    """
    said = "the value" if value is None or value == "" else repr(value)
    return DatasetError(f"{path.name}, row {row + 1}, column {column}: {said} {problem}")


def unreadable(path: Path, err: Exception) -> DatasetError:
    """The error for a file that polars gave up on; says where the file breaks when that can be found."""
    if isinstance(err, OSError):
        return DatasetError(f"{path} cannot be read: {err.strerror or err}")
    if isinstance(err, pl.exceptions.NoDataError):
        return DatasetError(f"{path.name} is empty")
    reason = str(err).splitlines()[0]
    if is_parquet(path):
        return DatasetError(f"{path.name} is not a readable Parquet file: {reason}")
    try:
        _require_utf8(path)
        _require_even_rows(path)
    except DatasetError as found:
        return found
    hint = "; perhaps one double quote stands alone in a row" if "malformed" in reason else ""
    return DatasetError(f"{path.name} cannot be read: {reason}{hint}")


def is_parquet(path: Path) -> bool:
    return path.suffix.lower() in (".parquet", ".pq") or first_bytes(path, 4) == b"PAR1"


def first_bytes(path: Path, n_bytes: int) -> bytes:
    with path.open("rb") as file:
        return file.read(n_bytes)


def digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_text(path: Path) -> str:
    """The whole of a text file, without its byte order mark.

    Raises:
        DatasetError: it is missing or not UTF-8.
    """
    try:
        content = path.read_bytes()
    except OSError as err:
        raise unreadable(path, err) from err
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as err:
        raise _not_utf8(path, content[:2], content[err.start], err.start) from err


def _require_utf8(path: Path) -> None:
    decoder, n_decoded = codecs.getincrementaldecoder("utf-8")(), 0
    with path.open("rb") as file:
        while True:
            chunk = file.read(1 << 20)
            n_waiting = len(decoder.getstate()[0])
            try:
                decoder.decode(chunk, final=not chunk)
            except UnicodeDecodeError as err:
                offset = n_decoded - n_waiting + err.start
                raise _not_utf8(path, first_bytes(path, 2), err.object[err.start], offset) from err
            if not chunk:
                return
            n_decoded += len(chunk)


def _not_utf8(path: Path, start: bytes, byte: int, offset: int) -> DatasetError:
    is_utf16 = start in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
    guess = "UTF-16" if is_utf16 else "Windows-1252 or Latin-1"
    return DatasetError(
        f"{path.name} is not UTF-8 (byte 0x{byte:02x} at offset {offset}); it looks like {guess}: save it as UTF-8"
    )


def _require_even_rows(path: Path) -> None:
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows, n_read = csv.reader(file, strict=True), 0
        try:
            n_fields = len(next(rows, []))
            for n_read, row in enumerate(rows, start=1):
                if row and len(row) != n_fields:
                    raise DatasetError(
                        f"{path.name}, row {n_read}: {len(row)} fields, but the header has {n_fields}; "
                        "text with commas or line breaks needs double quotes around it"
                    )
        except csv.Error as err:
            raise DatasetError(
                f"{path.name}, row {n_read + 1}: {err}; double quotes stand around a whole field and are doubled inside"
            ) from err


def _columns(names: Sequence[str]) -> str:
    return f"the column{'s' if len(names) > 1 else ''} {', '.join(names)}"
