"""Bulk load of user histories: `python -m recserve.state load histories.csv`.

The file has the columns `user_id,item_id,timestamp` (Unix seconds). Loading the same file again adds
nothing.
"""

import argparse
import asyncio
import csv
import math
import sys
from collections.abc import Iterator
from pathlib import Path

from recserve.errors import RecserveError
from recserve.settings import read_settings
from recserve.state.sqlite import SqliteStore
from recserve.state.store import Interaction

COLUMNS = ("user_id", "item_id", "timestamp")


def read_histories(path: Path) -> Iterator[Interaction]:
    """Interactions of a CSV file.

    Raises:
        ValueError: a column is missing or a row cannot be read; the message names line and value.
    """
    with path.open(newline="", encoding="utf-8") as file:
        rows = csv.DictReader(file)
        missing = [column for column in COLUMNS if column not in (rows.fieldnames or ())]
        if missing:
            raise ValueError(f"{path} lacks the columns {missing}; it needs {','.join(COLUMNS)}")
        for row in rows:
            try:
                at_s = float(row["timestamp"])
                if not math.isfinite(at_s):
                    raise ValueError("not finite")
            except (TypeError, ValueError) as err:
                raise ValueError(
                    f"{path}, line {rows.line_num}: timestamp {row['timestamp']!r} is not Unix seconds"
                ) from err
            if not row["user_id"] or not row["item_id"]:
                raise ValueError(f"{path}, line {rows.line_num}: user_id and item_id must not be empty")
            yield Interaction(row["user_id"], row["item_id"], at_s)


async def load(path: Path, state_path: Path) -> int:
    """Load a file as a whole or not at all; returns how many interactions were new."""
    store = SqliteStore(state_path)
    try:
        return await store.record(list(read_histories(path)))
    finally:
        await store.close()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m recserve.state", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="load")
    load_command = commands.add_parser("load", help="load user histories from a CSV file")
    load_command.add_argument("file", type=Path)
    arguments = parser.parse_args()
    try:
        state_path = read_settings().state_path
        n_new = asyncio.run(load(arguments.file, state_path))
    except (OSError, ValueError, RecserveError) as err:
        sys.exit(f"error: {err}")
    print(f"{n_new} new interactions in {state_path}")


if __name__ == "__main__":
    main()
