"""KQL to SQL by duckdb-kql, over views that have columns for the keys that a query reads."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import duckdb_kql
from duckdb_kql.lower import lower
from duckdb_kql.translate import to_sql

from emulator.app_insights.errors import QuerySemanticError, QuerySyntaxError
from emulator.app_insights.rewriting import Rewriting, Source, fold
from emulator.app_insights.shortcuts import shorten
from emulator.app_insights.tables import TABLES

_DECLARATION = re.compile(r"\bdeclare\s+query_parameters\s*\((?P<parameters>.*?)\)\s*;", re.DOTALL)
_PARAMETER = re.compile(
    r"(?P<name>\w+)\s*:\s*\w+\s*=\s*(?P<value>(?:\"[^\"]*\"|'[^']*'|\w+\s*\([^)]*\)|[^,'\"()])+)"
)
_OPTION = re.compile(r"^\s*set\s", re.MULTILINE)
_SCHEMA = {table: [column.name for column in columns] for table, columns in TABLES.items()}


@dataclass(frozen=True, slots=True)
class Translation:
    """A query as SQL.

    Attributes:
        sources: what the SQL reads, by the names of the views that it expects.
    """

    sql: str
    parameters: Mapping[str, Any]
    sources: Mapping[str, Source]


@lru_cache(maxsize=256)
def translate(text: str) -> Translation:
    """Translate a query; to parse one takes longer than many take to run, and consoles ask the same again.

    Raises:
        QuerySyntaxError, QuerySemanticError: it is no KQL, or none that the emulator runs.
    """
    if text.lstrip().startswith("."):
        raise QuerySyntaxError("management commands are not queries; the service runs none of them")
    try:
        return _translate(with_defaults_as_let(text))
    except duckdb_kql.KqlSyntaxError as err:
        raise QuerySyntaxError(str(err)) from err
    except duckdb_kql.KqlUnsupportedError as err:
        raise QuerySemanticError(f"{err}; the emulator does not run it, the service may") from err
    except duckdb_kql.KqlError as err:
        raise QuerySemanticError(str(err)) from err


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


def _translate(text: str) -> Translation:
    # What binds values or sets options is more than duckdb-kql's own steps, which are taken singly below.
    if not _DECLARATION.search(text) and not _OPTION.search(text):
        rewriting = Rewriting()
        query = rewriting.rewrite(fold(lower(text)))
        if rewriting.sources:
            views = {name: source.names for name, source in rewriting.sources.items()}
            sql = to_sql(query, _SCHEMA | views)
            return Translation(shorten(str(sql)), {}, rewriting.sources | _tables_in(str(sql)))
    sql = duckdb_kql.to_sql(text, schema=_SCHEMA, allow_write=False)
    if sql.unbound:
        raise QuerySemanticError(f"query parameters without a default: {', '.join(sql.unbound)}")
    return Translation(shorten(str(sql)), sql.parameters, _tables_in(str(sql)))


def _tables_in(sql: str) -> dict[str, Source]:
    """The tables that SQL reads as they are."""
    return {table: Source.whole(table) for table in TABLES if f'"{table}"' in sql}
