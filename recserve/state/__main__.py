"""Bulk load of user histories: `python -m recserve.state load histories.csv`.

The file has the columns `user_id,item_id,timestamp` (Unix seconds); each row becomes a view. Loading the same
file again adds nothing.
"""

import argparse
import asyncio
import csv
import math
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from recserve.errors import RecserveError
from recserve.settings import read_settings
from recserve.state.sqlite import SqliteStore
from recserve.state.store import Event, derive_event_id

COLUMNS = ("user_id", "item_id", "timestamp")


def read_histories(path: Path) -> Iterator[Event]:
    """Events of a CSV file; their ids derive from user, item and time.

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
            user_id, item_id = row["user_id"], row["item_id"]
            if not user_id or not item_id:
                raise ValueError(f"{path}, line {rows.line_num}: user_id and item_id must not be empty")
            yield Event(derive_event_id(user_id, item_id, at_s), user_id, item_id, "view", at_s)


async def load(path: Path, state_path: Path, *, until_s: float | None = None) -> int:
    """Load a file as a whole or not at all; returns how many events were new.

    Args:
        path: the CSV file.
        state_path: the SQLite file.
        until_s: Unix time that the newest event is moved to, and the others with it; None leaves them.
    """
    events = list(read_histories(path))
    if until_s is not None and events:
        shift_s = until_s - max(event.at_s for event in events)
        events = [event._replace(at_s=event.at_s + shift_s) for event in events]
    store = SqliteStore(state_path)  # what is too old to be shown is for the service to decide
    try:
        return (await store.record(events)).n_new
    finally:
        await store.close()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m recserve.state", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="load")
    load_command = commands.add_parser("load", help="load user histories from a CSV file")
    load_command.add_argument("file", type=Path)
    load_command.add_argument(
        "--until-now",
        action="store_true",
        help="move all times so that the newest is now: old data for a store where events expire",
    )
    arguments = parser.parse_args()
    try:
        state_path = read_settings().state_path
        until_s = time.time() if arguments.until_now else None
        n_new = asyncio.run(load(arguments.file, state_path, until_s=until_s))
    except (OSError, ValueError, RecserveError) as err:
        sys.exit(f"error: {err}")
    print(f"{n_new} new events in {state_path}")


if __name__ == "__main__":
    main()
