"""KQL over the store: to SQL by duckdb-kql, on views of what the timespan reaches."""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import duckdb

from emulator.app_insights.answers import MAX_BYTES, MAX_ROWS, Answer
from emulator.app_insights.bags import select_json_rows, select_rows
from emulator.app_insights.errors import (
    QueryCancelled,
    QueryError,
    QuerySemanticError,
    QueryTimeout,
    QueryTooLarge,
)
from emulator.app_insights.parquet import read_segments
from emulator.app_insights.rewriting import Source
from emulator.app_insights.store import Snapshot, Store
from emulator.app_insights.tables import TABLES, sql_columns
from emulator.app_insights.timespan import Timespan, parse_timespan
from emulator.app_insights.translation import Translation, translate

DEFAULT_TIMEOUT_S = 180.0
"The service's, and 600 s at most."
MAX_TIMEOUT_S = 600.0
_FETCH_ROWS = 10_000
_N_TRIES = 5
"How often a query starts again because files that it was to read were replaced."
_MISSING_COLUMN = re.compile(r'(?:Referenced column|does not have a column named) "([^"]+)"')
_MISSING_TABLE = re.compile(r"Table with name (\S+) does not exist")


class QueryRun:
    """A query on its way, for whoever may want to end it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._cursor: duckdb.DuckDBPyConnection | None = None
        self.is_cancelled = False

    def cancel(self) -> None:
        """End the query, whether it runs yet or not."""
        with self._lock:
            self.is_cancelled = True
            if self._cursor is not None:
                self._cursor.interrupt()

    @contextmanager
    def running(self, cursor: duckdb.DuckDBPyConnection) -> Iterator[None]:
        """Let `cancel` interrupt what runs on a cursor in this block."""
        with self._lock:
            self._cursor = cursor
        try:
            if self.is_cancelled:
                raise duckdb.InterruptException("cancelled before it ran")
            yield
        finally:
            with self._lock:
                self._cursor = None


class Queries:
    """Answers queries over one store; safe on any thread."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def answer(
        self,
        text: str,
        timespan: str | None,
        *,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        run: QueryRun | None = None,
    ) -> Answer:
        """Run a query.

        Args:
            timespan: bounds TimeGenerated of every table, beside what the query says; None does not.

        Raises:
            QueryError: it cannot be answered.
            duckdb.Error: it cannot be answered for reasons of the emulator's.
        """
        run = run or QueryRun()
        timeout_s = min(timeout_s, MAX_TIMEOUT_S)
        within = parse_timespan(timespan, datetime.now(UTC))
        translation = translate(text)
        for n_try in range(1, _N_TRIES + 1):
            snapshot = self._store.snapshot(within.since, within.until)
            try:
                with self._store.database.cursor() as cursor, run.running(cursor):
                    return self._run(cursor, translation, snapshot, within, timeout_s)
            except duckdb.InterruptException as err:
                if run.is_cancelled:
                    raise QueryCancelled("nobody waits for the answer any more") from err
                raise QueryTimeout(f"the query took longer than {timeout_s:g} s") from err
            except duckdb.IOException:
                if n_try == _N_TRIES:
                    raise
            except duckdb.OutOfMemoryException as err:
                raise QueryTooLarge(
                    "the query needs more memory than it may have; ask for less time or fewer columns"
                ) from err
            except (duckdb.ProgrammingError, duckdb.DataError, duckdb.NotSupportedError) as err:
                raise _semantic_error(err) from err
        raise AssertionError("the loop ends by returning or raising")

    def _run(
        self,
        cursor: duckdb.DuckDBPyConnection,
        translation: Translation,
        snapshot: Snapshot,
        within: Timespan,
        timeout_s: float,
    ) -> Answer:
        with _interrupted_after(cursor, timeout_s):
            for name, source in translation.sources.items():
                view = self._view_of(source, snapshot, within)
                cursor.execute(f'CREATE OR REPLACE TEMP VIEW "{name}" AS {view}')
            cursor.execute(_parsed(translation.sql), translation.parameters or None)
            columns = [(name, str(kind)) for name, kind, *_ in cursor.description or ()]
            rows, is_cut = _fetched(cursor)
        return Answer(columns, rows, is_cut=is_cut)

    def _view_of(self, source: Source, snapshot: Snapshot, within: Timespan) -> str:
        """SQL of a table's rows in a snapshot: Parquet, and what is not Parquet yet."""
        bounds = [
            f"TimeGenerated {operator} TIMESTAMP '{moment.replace(tzinfo=None)}'"
            for operator, moment in ((">=", within.since), ("<", within.until))
            if moment is not None
        ]
        bounds += [condition.sql for condition in source.conditions]
        files = self._store.keys_of(snapshot.files.get(source.table, []))
        parts = [
            f"{rows} WHERE {' AND '.join(bounds) or 'true'}"
            for rows in select_rows(source.columns, files, source.keys)
        ]
        columns = sql_columns(source.table)
        if snapshot.segments:
            rows = select_json_rows(source.columns, read_segments(snapshot.segments, columns), source.keys)
            of_table = [f"Type = '{source.table}'", *bounds]
            parts.append(f"{rows} WHERE {' AND '.join(of_table)}")
        if not parts:
            empty = ", ".join(f'NULL::{kind} AS "{name}"' for name, kind in columns.items())
            parts.append(f"{select_json_rows(source.columns, f'(SELECT {empty})', source.keys)} WHERE false")
        return " UNION ALL ".join(parts)


@lru_cache(maxsize=256)
def _parsed(sql: str) -> duckdb.Statement:
    """A statement; DuckDB would parse it each time that it is asked."""
    [statement] = duckdb.extract_statements(sql)
    return statement


def _fetched(cursor: duckdb.DuckDBPyConnection) -> tuple[list[tuple[Any, ...]], bool]:
    """The rows of an answer, and whether there were more than one may have."""
    rows: list[tuple[Any, ...]] = []
    n_bytes = 0
    while part := cursor.fetchmany(_FETCH_ROWS):
        rows += part
        n_bytes += sum(len(value) if isinstance(value, str) else 8 for row in part for value in row)
        if len(rows) > MAX_ROWS or n_bytes > MAX_BYTES:
            return rows[:MAX_ROWS], True
    return rows, False


@contextmanager
def _interrupted_after(cursor: duckdb.DuckDBPyConnection, timeout_s: float) -> Iterator[None]:
    timer = threading.Timer(timeout_s, cursor.interrupt)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _semantic_error(err: duckdb.Error) -> QueryError:
    """DuckDB's complaint about the SQL, in the service's words where they are known."""
    text = str(err)
    if column := _MISSING_COLUMN.search(text):
        return QuerySemanticError(
            f"Failed to resolve column or scalar expression named '{column[1]}'; "
            "column names are case-sensitive"
        )
    if table := _MISSING_TABLE.search(text):
        return QuerySemanticError(
            f"Failed to resolve table or column expression named '{table[1]}'; tables are {', '.join(TABLES)}"
        )
    return QuerySemanticError(text.partition("\n")[0])
