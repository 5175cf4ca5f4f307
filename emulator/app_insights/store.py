"""The store: an append-only journal in front of Parquet files by table and hour."""

import logging
import os
import threading
from collections import defaultdict
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb

from emulator.app_insights.bags import Key, learn_keys, read_keys, select_rows, with_key_columns
from emulator.app_insights.errors import StoreError
from emulator.app_insights.journal import Journal, sync_folder
from emulator.app_insights.layout import Compaction, Layout
from emulator.app_insights.parquet import draft_parquet, quoted, read_segments, write_parquet
from emulator.app_insights.tables import TABLES, sql_columns

log = logging.getLogger(__name__)

_HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreSettings:
    flush_after_s: float = 10.0
    "Longest that rows stay in the journal alone, where they are read more slowly."
    flush_bytes: int = 8 * 1024 * 1024
    "A segment of this size becomes Parquet at once."
    compact_files: int = 8
    "Small files of one table and hour that are made one."
    small_file_bytes: int = 16 * 1024 * 1024
    "A file of this size is compacted no more."
    retention_days: int = 30
    memory_limit: str = "1GB"
    "What DuckDB may use; it goes to the disk beyond."
    spill_limit: str = "8GB"
    "Of that; without one, a query could take the disk from ingestion."
    threads: int = 2


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a query reads: files and segments that together hold every row once."""

    files: dict[str, list[Path]]
    "Parquet files by table; hours that the query does not reach are left out."
    segments: list[Path]


class Store:
    """A data folder; safe on any thread. One process may use it at a time.

    Raises:
        StoreError: the folder cannot be used.
    """

    def __init__(self, data: Path, settings: StoreSettings) -> None:
        self._settings = settings
        self._layout = Layout(data)
        try:
            data.mkdir(parents=True, exist_ok=True)
            self._lock_file = _lock(data)
            for line in self._layout.recover():
                log.warning("%s", line)
            files = self._layout.files()
            self._journal = Journal(self._layout.journal, last_number=self._layout.last_number())
        except OSError as err:
            raise StoreError(f"cannot keep data in {data}: {err.strerror}; choose another --data") from err
        except ValueError as err:
            raise StoreError(
                f"{data} holds a file that no emulator has written: {err}; choose another --data"
            ) from err
        self._files: dict[tuple[str, datetime], list[Path]] = defaultdict(list)
        for table, hour, path in files:
            self._files[table, hour].append(path)
        self._keys: dict[Path, frozenset[Key]] = {}
        "Keys that have a column, by file; files of an earlier process are asked when they are first read."
        self._switching = threading.Lock()
        "Held while rows move between files, so that a snapshot sees each row once."
        self._writing = threading.Lock()
        "Held by what writes Parquet: one at a time."
        self.database = duckdb.connect(
            config={
                "threads": settings.threads,
                "memory_limit": settings.memory_limit,
                "temp_directory": str(data / "spill"),
                "max_temp_directory_size": settings.spill_limit,
                "autoinstall_known_extensions": False,
            }
        )
        self.database.execute("SET TimeZone = 'UTC'")

    @property
    def journal_bytes(self) -> int:
        return self._journal.n_bytes

    def append(self, lines: Iterable[bytes]) -> None:
        """Make rows durable and visible to queries.

        Raises:
            StoreFull: none of them is.
        """
        if content := b"".join(lines):
            self._journal.append(content)

    def snapshot(self, since: datetime | None, until: datetime | None) -> Snapshot:
        """What holds the rows from `since` to before `until`; None is no bound."""
        with self._switching:
            files: dict[str, list[Path]] = defaultdict(list)
            for (table, hour), paths in self._files.items():
                if (until is None or hour < until) and (since is None or hour + _HOUR > since):
                    files[table] += paths
            return Snapshot(files, self._journal.segments())

    def flush(self) -> None:
        """Turn what is in the journal into Parquet.

        Raises:
            OSError, duckdb.Error: it stays in the journal, from where queries read it too.
        """
        with self._writing:
            for segment in self._journal.seal():
                written = self._write_segment(segment)
                with self._switching:
                    for (table, hour), path in written:
                        self._files[table, hour].append(path)
                    self._journal.drop(segment)

    def maintain(self, now: datetime) -> None:
        """Make small files of an hour one, and drop hours that are too old."""
        with self._writing:
            self._layout.finish_compaction()
            self._retain(now)
            for (table, hour), paths in list(self._files.items()):
                small = [path for path in paths if path.stat().st_size < self._settings.small_file_bytes]
                if len(small) >= self._settings.compact_files:
                    self._compact(table, hour, small)

    def keys_of(self, paths: Sequence[Path]) -> dict[Path, frozenset[Key]]:
        """Keys of bags that have a column, by Parquet file.

        Raises:
            duckdb.IOException: a file is there no more.
        """
        known = {path: keys for path in paths if (keys := self._keys.get(path)) is not None}
        if asked := [path for path in paths if path not in known]:
            with self.database.cursor() as cursor:
                read = read_keys(cursor, asked)
            self._keys.update(read)
            known |= read
        return known

    def volume(self) -> dict[str, tuple[int, int]]:
        """Parquet files and their bytes by table."""
        with self._switching:
            files = [(table, path) for (table, _), paths in self._files.items() for path in paths]
        sizes: dict[str, tuple[int, int]] = dict.fromkeys(TABLES, (0, 0))
        for table, path in files:
            n_files, n_bytes = sizes[table]
            with suppress(FileNotFoundError):  # compacted meanwhile
                sizes[table] = n_files + 1, n_bytes + path.stat().st_size
        return sizes

    def close(self) -> None:
        """Turn the rest into Parquet, as far as possible."""
        try:
            self.flush()
        except (OSError, duckdb.Error) as err:
            log.warning("the journal stays as it is: %s", _first_line(err))
        self._journal.close()
        self.database.close()
        os.close(self._lock_file)

    def _write_segment(self, segment: Path) -> list[tuple[tuple[str, datetime], Path]]:
        written = []
        with self.database.cursor() as cursor:
            hours = cursor.execute(
                f"""SELECT Type, date_trunc('hour', TimeGenerated) FROM {
                    read_segments([segment], {"Type": "VARCHAR", "TimeGenerated": "TIMESTAMP"})
                }
                WHERE Type IN ({", ".join(map(quoted, TABLES))}) AND TimeGenerated IS NOT NULL
                GROUP BY ALL ORDER BY ALL"""
            ).fetchall()
            for table, hour in hours:
                rows = read_segments([segment], sql_columns(table))
                cursor.execute(
                    f"CREATE OR REPLACE TEMP TABLE part AS SELECT * FROM {rows} WHERE Type = '{table}' "
                    f"AND TimeGenerated >= '{hour}' AND TimeGenerated < '{hour + _HOUR}'"
                )
                path = self._layout.partition(table, hour) / f"{segment.stem}.parquet"
                write_rows(cursor, table, "SELECT * FROM part", path)
                written.append(((table, hour.replace(tzinfo=UTC)), path))
        return written

    def _compact(self, table: str, hour: datetime, paths: list[Path]) -> None:
        """Make files one; whatever moment it is cut off at, recovery ends with each row once."""
        names = sorted(number for path in paths for number in path.stem.split("-"))
        output = paths[0].with_name(f"{names[0]}-{names[-1]}.parquet")
        relative = [str(path.relative_to(self._layout.data)) for path in (output, *paths)]
        with self.database.cursor() as cursor:
            rows = " UNION ALL ".join(select_rows(list(sql_columns(table)), self.keys_of(paths)))
            draft = draft_parquet(cursor, _in_order(cursor, table, rows), output)
        self._layout.write_compaction(Compaction(output=relative[0], inputs=relative[1:]))
        with self._switching:
            draft.replace(output)
            sync_folder(output.parent)
            kept = [path for path in self._files[table, hour] if path not in paths]
            self._files[table, hour] = [output, *kept]
            for path in paths:
                self._keys.pop(path, None)
                path.unlink()
        self._layout.compaction.unlink()

    def _retain(self, now: datetime) -> None:
        oldest = now - timedelta(days=self._settings.retention_days)
        for key in [key for key in self._files if key[1] + _HOUR <= oldest]:
            with self._switching:
                for path in self._files.pop(key):
                    self._keys.pop(path, None)
                    path.unlink()
            partition = self._layout.partition(*key)
            if not any(partition.iterdir()):
                partition.rmdir()


def write_rows(cursor: duckdb.DuckDBPyConnection, table: str, rows: str, path: Path) -> None:
    """Write rows to a file of a table.

    Args:
        rows: SQL that selects them, with the table's columns.
    """
    write_parquet(cursor, _in_order(cursor, table, rows), path)


def _in_order(cursor: duckdb.DuckDBPyConnection, table: str, rows: str) -> str:
    """SQL of rows as files have them: by time, with columns for the keys of bags."""
    return f"{with_key_columns(rows, learn_keys(cursor, table, rows))} ORDER BY TimeGenerated"


def _lock(data: Path) -> int:
    """Keep other emulators out of the folder for as long as this process lives."""
    descriptor = os.open(data / "lock", os.O_RDWR | os.O_CREAT)
    try:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except ImportError:  # Windows
        pass
    except OSError as err:
        os.close(descriptor)
        raise StoreError(
            f"another emulator keeps its data in {data}; stop it, or choose another --data"
        ) from err
    return descriptor


def _first_line(err: Exception) -> str:
    return str(err).partition("\n")[0]
