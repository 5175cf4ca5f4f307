"""KQL over the store: to SQL by duckdb-kql, on views of what the timespan reaches."""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import duckdb
import duckdb_kql

from emulator.app_insights.answers import MAX_ROWS, Answer
from emulator.app_insights.errors import QueryError, QuerySemanticError, QuerySyntaxError, QueryTimeout
from emulator.app_insights.shortcuts import shorten
from emulator.app_insights.store import Snapshot, Store, read_parquet, read_segments
from emulator.app_insights.tables import TABLES, sql_columns
from emulator.app_insights.timespan import Timespan, parse_timespan

DEFAULT_TIMEOUT_S = 180.0
"The service's, and 600 s at most."
MAX_TIMEOUT_S = 600.0
_N_TRIES = 5
"How often a query starts again because files that it was to read were replaced."
_DECLARATION = re.compile(r"\bdeclare\s+query_parameters\s*\((?P<parameters>.*?)\)\s*;", re.DOTALL)
_PARAMETER = re.compile(
    r"(?P<name>\w+)\s*:\s*\w+\s*=\s*(?P<value>(?:\"[^\"]*\"|'[^']*'|\w+\s*\([^)]*\)|[^,'\"()])+)"
)
_MISSING_COLUMN = re.compile(r'(?:Referenced column|does not have a column named) "([^"]+)"')
_MISSING_TABLE = re.compile(r"Table with name (\S+) does not exist")


class Queries:
    """Answers queries over one store; safe on any thread."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._schema = {table: [column.name for column in columns] for table, columns in TABLES.items()}

    def answer(self, text: str, timespan: str | None, *, timeout_s: float = DEFAULT_TIMEOUT_S) -> Answer:
        """Run a query.

        Args:
            timespan: bounds TimeGenerated of every table, beside what the query says; None does not.

        Raises:
            QueryError: it cannot be answered.
        """
        within = parse_timespan(timespan, datetime.now(UTC))
        sql = self._translate(text)
        for n_try in range(1, _N_TRIES + 1):
            snapshot = self._store.snapshot(within.since, within.until)
            try:
                return self._run(sql, snapshot, within, min(timeout_s, MAX_TIMEOUT_S))
            except duckdb.InterruptException as err:
                raise QueryTimeout(f"the query took longer than {timeout_s:g} s") from err
            except duckdb.IOException:
                if n_try == _N_TRIES:
                    raise
            except duckdb.Error as err:
                raise _semantic_error(err) from err
        raise AssertionError("the loop ends by returning or raising")

    def _translate(self, text: str) -> duckdb_kql.TranslationResult:
        if text.lstrip().startswith("."):
            raise QuerySyntaxError("management commands are not queries; the service runs none of them")
        try:
            sql = duckdb_kql.to_sql(with_defaults_as_let(text), schema=self._schema, allow_write=False)
        except duckdb_kql.KqlSyntaxError as err:
            raise QuerySyntaxError(str(err)) from err
        except duckdb_kql.KqlUnsupportedError as err:
            raise QuerySemanticError(f"{err}; the emulator does not run it, the service may") from err
        except duckdb_kql.KqlError as err:
            raise QuerySemanticError(str(err)) from err
        if sql.unbound:
            raise QuerySemanticError(f"query parameters without a default: {', '.join(sql.unbound)}")
        return sql

    def _run(
        self, sql: duckdb_kql.TranslationResult, snapshot: Snapshot, within: Timespan, timeout_s: float
    ) -> Answer:
        with self._store.database.cursor() as cursor:
            for table in TABLES:
                if f'"{table}"' in sql:
                    view = view_of(table, snapshot, within)
                    cursor.execute(f'CREATE OR REPLACE TEMP VIEW "{table}" AS {view}')
            with _interrupted_after(cursor, timeout_s):
                cursor.execute(shorten(str(sql)), sql.parameters or None)
                columns = [(name, str(kind)) for name, kind, *_ in cursor.description or ()]
                rows = cursor.fetchmany(MAX_ROWS + 1)
        return Answer(columns, rows[:MAX_ROWS], is_cut=len(rows) > MAX_ROWS)


def with_defaults_as_let(text: str) -> str:
    """Turn `declare query_parameters(name:type = value)` into `let name = value`.

    duckdb-kql binds parameters when the query runs and so cannot tell a timespan's `bin` from a number's;
    the API sends no values, so the defaults are what counts.
    """

    def lets(declaration: re.Match[str]) -> str:
        parameters = list(_PARAMETER.finditer(declaration["parameters"]))
        if len(parameters) != len(re.findall(r"\w+\s*:\s*(?:\w+)\s*(?:=|,|$)", declaration["parameters"])):
            return declaration[0]
        return " ".join(f"let {each['name']} = {each['value'].strip()};" for each in parameters)

    return _DECLARATION.sub(lets, text)


def view_of(table: str, snapshot: Snapshot, within: Timespan) -> str:
    """SQL of a table's rows in a snapshot: Parquet, and what is not Parquet yet."""
    columns = sql_columns(table)
    names = ", ".join(f'"{name}"' for name in columns)
    bounds = [
        f"TimeGenerated {operator} TIMESTAMP '{moment.replace(tzinfo=None)}'"
        for operator, moment in ((">=", within.since), ("<", within.until))
        if moment is not None
    ]
    parts = []
    if files := snapshot.files.get(table):
        parts.append(f"SELECT {names} FROM {read_parquet(files)} WHERE {' AND '.join(bounds) or 'true'}")
    if snapshot.segments:
        rows = read_segments(snapshot.segments, columns)
        of_table = [f"Type = '{table}'", *bounds]
        parts.append(f"SELECT {names} FROM {rows} WHERE {' AND '.join(of_table)}")
    if not parts:
        empty = ", ".join(f'NULL::{kind} AS "{name}"' for name, kind in columns.items())
        parts.append(f"SELECT {empty} WHERE false")
    return " UNION ALL ".join(parts)


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
