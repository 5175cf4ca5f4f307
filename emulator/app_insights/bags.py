"""Keys of bags as columns of their own, so that queries need not parse JSON to read them.

To read one number of a bag is to parse its text: over millions of spans that is most of a query's time. So a
Parquet file has, beside the bags of its rows, a column for each key:

    Measurements.duration_ms    DOUBLE     numbers are moved here, and the bag keeps what is left
    Properties.recserve.kind    VARCHAR    text that repeats is copied here; '' where the key is missing, as
                                           KQL's `tostring` has it

Numbers are moved because they would take their place twice. Text is copied because a dictionary of few values
takes next to none, and the bag stays whole for those who read all of it. Which keys there are is learned from
the rows of each file when it is written, so files differ in them, and those of old have none. Who reads asks
each file for what it has, and the bag for the rest.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import duckdb

from emulator.app_insights.parquet import quoted, read_parquet
from emulator.app_insights.tables import BAGS, TABLES

MAX_KEYS = 100
"Of a bag, those that most rows have; a sender that writes ids as keys must not make a million columns."
_SAMPLE_ROWS = 10_000
_MAX_DISTINCT_SHARE = 0.5
"Text that repeats less is not copied."
_PLAIN = re.compile(r"[\w.:/@ -]+")
"Keys that need no quoting in a path of JSON."
_NUMBERS = {"DOUBLE", "BIGINT", "UBIGINT"}


class Key(NamedTuple):
    """A key of a bag."""

    bag: str
    name: str

    @property
    def column(self) -> str:
        return f"{self.bag}.{self.name}"

    @property
    def is_number(self) -> bool:
        return BAGS[self.bag] == "real"

    @property
    def is_plain(self) -> bool:
        return _PLAIN.fullmatch(self.name) is not None

    @property
    def path(self) -> str:
        """Where it is in its bag, as a string of SQL."""
        return f"""'$."{self.name}"'"""

    @property
    def from_bag(self) -> str:
        """SQL of its value where it has no column."""
        read = f'"{self.bag}" ->> {self.path}'
        return f"TRY_CAST({read} AS DOUBLE)" if self.is_number else f"coalesce({read}, '')"


def learn_keys(cursor: duckdb.DuckDBPyConnection, table: str, rows: str) -> list[Key]:
    """The keys of a table's bags that deserve a column, in the order of the most frequent.

    Args:
        rows: SQL that selects the rows, with the table's columns.
    """
    return [key for bag in bags_of(table) for key in _learn(cursor, bag, rows)]


def bags_of(table: str) -> list[str]:
    """Columns of a table whose keys may have columns."""
    return [column.name for column in TABLES[table] if column.name in BAGS]


def with_key_columns(rows: str, keys: Sequence[Key]) -> str:
    """SQL of rows as files have them: bags without their numbers, and a column for each key."""
    read = {bag: _parsed(bag, [key for key in keys if key.bag == bag]) for bag in {key.bag for key in keys}}
    if not read:
        return f"SELECT * FROM ({rows})"
    parsed = ", ".join(f"{sql} AS _{bag}" for bag, sql in read.items())
    values = [(key, f"_{key.bag}.{_name(key.name)}") for key in keys]
    columns = ", ".join(
        (value if key.is_number else f"coalesce({value}, '')") + f" AS {_name(key.column)}"
        for key, value in values
    )
    moved = _by_bag(key for key in keys if key.is_number)
    left = ", ".join(f"{_without(bag, of_bag)} AS {_name(bag)}" for bag, of_bag in moved.items())
    excluded = ", ".join(f"_{bag}" for bag in read)
    replaced = f" REPLACE ({left})" if left else ""
    return f"SELECT * EXCLUDE ({excluded}){replaced}, {columns} FROM (SELECT *, {parsed} FROM ({rows}))"


def select_rows(
    columns: Sequence[str], files: Mapping[Path, frozenset[Key]], wanted: Sequence[Key] = ()
) -> Iterable[str]:
    """SQL of a table's rows in Parquet files: some of its columns, bags whole, and those of the keys that are wanted.

    One statement for all files that have the same columns for it.

    Args:
        files: keys that have a column, by file.
    """
    groups: dict[tuple[frozenset[Key], frozenset[Key]], list[Path]] = defaultdict(list)
    for path, keys in files.items():
        moved = frozenset(key for key in keys if key.is_number and key.bag in columns)
        groups[moved, keys.intersection(wanted)].append(path)
    for (moved, at_hand), paths in groups.items():
        selected = [*_whole(columns, moved), *_values(wanted, at_hand)]
        yield f"SELECT {', '.join(selected)} FROM {read_parquet(paths)}"


def select_json_rows(columns: Sequence[str], rows: str, wanted: Sequence[Key] = ()) -> str:
    """The same of rows that have no columns for keys."""
    selected = [*map(_name, columns), *_values(wanted, frozenset())]
    return f"SELECT {', '.join(selected)} FROM {rows}"


def read_keys(cursor: duckdb.DuckDBPyConnection, paths: Sequence[Path]) -> dict[Path, frozenset[Key]]:
    """The keys that have a column, by file."""
    files = ", ".join(quoted(str(path)) for path in paths)
    columns = cursor.execute(
        f"SELECT file_name, name FROM parquet_schema([{files}]) WHERE contains(name, '.')"
    ).fetchall()
    found: dict[Path, set[Key]] = {path: set() for path in paths}
    for file, column in columns:
        bag, _, name = column.partition(".")
        if bag in BAGS:
            found[Path(file)].add(Key(bag, name))
    return {path: frozenset(keys) for path, keys in found.items()}


def _learn(cursor: duckdb.DuckDBPyConnection, bag: str, rows: str) -> list[Key]:
    names = cursor.execute(
        f"SELECT name FROM (SELECT unnest(json_keys({_name(bag)})) AS name FROM ({rows})) "
        "GROUP BY name ORDER BY count(*) DESC, name"
    ).fetchall()
    keys = [key for [name] in names if (key := Key(bag, name)).is_plain][:MAX_KEYS]
    # Columns of one name but for the case are one to DuckDB.
    n_alike = Counter(key.name.casefold() for key in keys)
    keys = [key for key in keys if n_alike[key.name.casefold()] == 1]
    if not keys:
        return []
    paths = ", ".join(key.path for key in keys)
    seen = cursor.execute(f"SELECT DISTINCT json_type({_name(bag)}, [{paths}]) FROM ({rows})").fetchall()
    types = [{of_row[n] for [of_row] in seen if of_row} - {None, "NULL"} for n in range(len(keys))]
    fitting = _NUMBERS if BAGS[bag] == "real" else {"VARCHAR"}
    keys = [key for key, of_key in zip(keys, types, strict=True) if of_key and of_key <= fitting]
    return keys if BAGS[bag] == "real" else _repeating(cursor, keys, rows)


def _repeating(cursor: duckdb.DuckDBPyConnection, keys: list[Key], rows: str) -> list[Key]:
    """Those of the keys whose text repeats in a sample, or is too rare to be in it."""
    if not keys:
        return []
    counts = ", ".join(
        f"count({read}), approx_count_distinct({read})"
        for read in (f'"{key.bag}" ->> {key.path}' for key in keys)
    )
    bag = _name(keys[0].bag)
    sample = f"SELECT {bag} FROM ({rows}) USING SAMPLE reservoir({_SAMPLE_ROWS} ROWS) REPEATABLE (0)"
    found = cursor.execute(f"SELECT {counts} FROM ({sample})").fetchone()
    assert found is not None
    pairs = zip(found[::2], found[1::2], strict=True)
    return [
        key
        for key, (n, n_distinct) in zip(keys, pairs, strict=True)
        if n < _SAMPLE_ROWS // 100 or n_distinct <= _MAX_DISTINCT_SHARE * n
    ]


def _by_bag(keys: Iterable[Key]) -> dict[str, list[Key]]:
    found: dict[str, list[Key]] = defaultdict(list)
    for key in keys:
        found[key.bag].append(key)
    return found


def _parsed(bag: str, keys: Sequence[Key]) -> str:
    """SQL that parses a bag once for all keys."""
    kind = "DOUBLE" if BAGS[bag] == "real" else "VARCHAR"
    structure = ", ".join(f'"{key.name}": "{kind}"' for key in keys)
    return f"json_transform({_name(bag)}, '{{{structure}}}')"


def _without(bag: str, keys: Iterable[Key]) -> str:
    """SQL of a bag without these keys."""
    removal = ", ".join(f'"{key.name}": null' for key in keys)
    name = _name(bag)
    return f"CASE WHEN json_type({name}) = 'OBJECT' THEN json_merge_patch({name}, '{{{removal}}}') ELSE {name} END"


def _whole(names: Iterable[str], moved: Iterable[Key]) -> list[str]:
    """Columns of a table, with numbers put back into their bags; a row that lacks one lacks it again."""
    of_bag = _by_bag(sorted(moved))
    columns = []
    for name in map(_name, names):
        if keys := of_bag.get(name.strip('"')):
            pairs = ", ".join(f"{quoted(key.name)}, {_name(key.column)}" for key in keys)
            # Of an object only: a patch would put one full of nulls in the place of anything else.
            whole = f"json_merge_patch({name}, json_object({pairs}))"
            columns.append(f"CASE WHEN json_type({name}) = 'OBJECT' THEN {whole} ELSE {name} END AS {name}")
        else:
            columns.append(name)
    return columns


def _values(wanted: Sequence[Key], at_hand: frozenset[Key]) -> list[str]:
    return [
        _name(key.column) if key in at_hand else f"{key.from_bag} AS {_name(key.column)}" for key in wanted
    ]


def _name(name: str) -> str:
    """A name of SQL."""
    return f'"{name}"'
