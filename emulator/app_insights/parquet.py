"""Parquet files: the SQL that reads them, and writing them so that one that has its name is whole."""

import os
from collections.abc import Sequence
from pathlib import Path

import duckdb

from emulator.app_insights.journal import sync_folder


def read_parquet(paths: Sequence[Path]) -> str:
    """SQL that reads rows from Parquet files of the same columns."""
    return f"read_parquet({paths_list(paths)})"


def read_segments(segments: Sequence[Path], columns: dict[str, str]) -> str:
    """SQL that reads rows of all tables from segments; a line that is not whole yet is skipped."""
    types = ", ".join(f"{quoted(name)}: {quoted(kind)}" for name, kind in columns.items())
    return (
        f"read_json({paths_list(segments)}, format = 'newline_delimited', ignore_errors = true, "
        f"columns = {{{types}}})"
    )


def write_parquet(cursor: duckdb.DuckDBPyConnection, select: str, path: Path) -> None:
    """Write a query's rows; they are durable when this returns."""
    draft_parquet(cursor, select, path).replace(path)
    sync_folder(path.parent)


def draft_parquet(cursor: duckdb.DuckDBPyConnection, select: str, path: Path) -> Path:
    """Write a query's rows beside where they belong, and force them to the disk."""
    _make_folder(path.parent)
    draft = path.with_suffix(".draft")
    try:
        cursor.execute(f"COPY ({select}) TO {quoted(str(draft))} (FORMAT parquet, COMPRESSION zstd)")
        with draft.open("rb+") as file:
            os.fsync(file.fileno())
    except (OSError, duckdb.Error):
        draft.unlink(missing_ok=True)
        raise
    return draft


def _make_folder(folder: Path) -> None:
    """Make a folder whose name outlives a power cut, as what is put into it is to."""
    if not folder.exists():
        _make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        sync_folder(folder.parent)


def paths_list(paths: Sequence[Path]) -> str:
    """Paths as a list of SQL."""
    return "[" + ", ".join(quoted(str(path)) for path in paths) + "]"


def quoted(text: str) -> str:
    """Text as a string of SQL."""
    return "'" + text.replace("'", "''") + "'"
