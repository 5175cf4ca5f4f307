"""Rows and errors in the JSON of the Log Analytics query API."""

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

from duckdb_kql.types import kusto_type

from emulator.app_insights.errors import QueryError, QuerySyntaxError

MAX_ROWS = 500_000
"The service answers no more of them."
MAX_BYTES = 100 * 1024 * 1024
"Nor more than this, as text."


@dataclass(frozen=True, slots=True)
class Answer:
    """Columns with their DuckDB types, and rows."""

    columns: Sequence[tuple[str, str]]
    rows: Sequence[tuple[Any, ...]]
    is_cut: bool = False
    "There was more than `MAX_ROWS` or `MAX_BYTES`."


def table_json(answer: Answer) -> dict[str, Any]:
    """The body of a successful answer; one that is cut says so as the service does."""
    table = {
        "name": "PrimaryResult",
        "columns": [{"name": name, "type": kusto_type(kind)} for name, kind in answer.columns],
        "rows": [[_json_value(value) for value in row] for row in answer.rows],
    }
    if not answer.is_cut:
        return {"tables": [table]}
    message = f"the result set has more than {MAX_ROWS} records or {MAX_BYTES} bytes"
    limit = {"code": "QueryLimitsExceeded", "message": message}
    return {"tables": [table], "error": _error("PartialError", "There were some errors", [limit])}


def error_json(err: QueryError) -> dict[str, Any]:
    """The body of a refusal of a query."""
    kind = "SyntaxError" if isinstance(err, QuerySyntaxError) else "SemanticError"
    about = "A syntax error has been identified in the query."
    if kind == "SemanticError":
        about = "A semantic error occurred."
    steps = [{"code": kind, "message": about}, {"code": err.code, "message": str(err)}]
    return {"error": _error("BadArgumentError", "The request had some invalid properties", steps)}


def plain_error_json(code: str, message: str) -> dict[str, Any]:
    """The body of any other refusal."""
    return {"error": _error(code, message, [])}


def _error(code: str, message: str, inner: Iterable[dict[str, Any]]) -> dict[str, Any]:
    error: dict[str, Any] = {"message": message, "code": code, "correlationId": str(uuid4())}
    outer = error
    for step in inner:
        outer["innererror"] = dict(step)
        outer = outer["innererror"]
    return error


def _json_value(value: Any) -> Any:
    """A value as the API writes it: dates and spans as text, bags and arrays as JSON in text."""
    match value:
        case float() if math.isnan(value):
            return "NaN"
        case float() if math.isinf(value):
            return "Infinity" if value > 0 else "-Infinity"
        case datetime():
            return value.replace(tzinfo=None).isoformat() + "Z"
        case date():
            return f"{value.isoformat()}T00:00:00Z"
        case timedelta():
            return _timespan(value)
        case list() | dict():
            return json.dumps(value, default=_json_value, separators=(",", ":"))
        case UUID() | Decimal():
            return str(value)
        case bytes():
            return value.hex()
    return value


def _timespan(value: timedelta) -> str:
    """`[-][d.]hh:mm:ss[.fffffff]`, as .NET writes it."""
    sign, value = ("-", -value) if value < timedelta(0) else ("", value)
    minutes, seconds = divmod(value.seconds, 60)
    hours, minutes = divmod(minutes, 60)
    days = f"{value.days}." if value.days else ""
    ticks = f".{value.microseconds * 10:07d}" if value.microseconds else ""
    return f"{sign}{days}{hours:02d}:{minutes:02d}:{seconds:02d}{ticks}"
