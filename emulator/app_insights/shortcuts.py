"""SQL of duckdb-kql with the expressions that telemetry reads most put in fewer words of the same meaning.

duckdb-kql cannot know what is extracted from a JSON column, nor what a column holds, and asks each value for its
type, on a list made for it: over 5 million spans that is nine tenths of a query's time.
"""

import re
from functools import cache

import duckdb_kql

_EXTRACTED = r"""json_extract\((?P<column>"\w+"), (?P<path>'\$[^']*')\)"""
_TEXT = re.compile(_EXTRACTED + r" ->> '\$'")
_MOMENT = r"""(?P<moment>"\w+"|\("\w+" [+-] INTERVAL '[\w.]+'\))"""
_WIDTH = r"epoch\((?P<width>INTERVAL '[\w.]+')\)"
_BIN = re.compile(
    rf"to_timestamp\(floor\(epoch\({_MOMENT}\) / {_WIDTH}\) \* epoch\((?P=width)\)\) AT TIME ZONE 'UTC'"
)
_NUMBER = r"""CAST\((?P<number>-?[\d.]+) AS DOUBLE\)"""
_OTHERWISE = re.compile(
    r"""coalesce\(CASE WHEN CAST\((?P<column>"Measurements\.[^"]+") AS VARCHAR\) <> '' THEN (?P=column) END, """
    rf"""CASE WHEN CAST\({_NUMBER} AS VARCHAR\) <> '' THEN CAST\((?P=number) AS DOUBLE\) END, """
    r"""(?P=column), CAST\((?P=number) AS DOUBLE\)\)"""
)
"A measurement, or a number where it is missing: duckdb-kql writes each as text to see whether it is an empty one."
_LIST = "list_transform(["
_LAMBDA = ", lambda _v: "
_FIRST = "[1]"
_VALUE = re.compile(r"\b_v\b")
_COSTLY = re.compile(r"json|->|select|random|uuid|list_transform|'", re.IGNORECASE)
"What must not be written more than once: it would be done more than once, or not give the same twice."
_MAX_REPEATED = 300
"Characters of an expression that may be repeated."


def shorten(sql: str) -> str:
    """Read text and numbers of JSON columns in one step, convert values without a list around each, find bins of
    time by whole numbers instead of a calendar of time zones, and write no number as text to see that it is one."""
    if number := _number():
        sql = number.sub(r"TRY_CAST(\g<column> ->> \g<path> AS DOUBLE)", sql)
    sql = _BIN.sub(
        lambda found: _bin(found["moment"], found["width"]), _TEXT.sub(r"(\g<column> ->> \g<path>)", sql)
    )
    sql = _OTHERWISE.sub(r"coalesce(\g<column>, CAST(\g<number> AS DOUBLE))", sql)
    return _without_lists(sql)


def _bin(moment: str, width: str) -> str:
    """The beginning of a moment's bin; bins before 1970 begin before their moments too."""
    at_us, width_us = f"epoch_us({moment})", f"epoch_us({width})"
    return f"make_timestamp({at_us} - ({at_us} % {width_us} + {width_us}) % {width_us})"


@cache
def _number() -> re.Pattern[str] | None:
    """How this version of duckdb-kql writes `todouble(column.key)`; None if in a form not foreseen."""
    probe = str(duckdb_kql.to_sql("T | project x = todouble(C.probe)"))
    before, extracted, after = probe.partition("""json_extract("C", '$.probe')""")
    start, end = before.rfind("list_transform(["), after.find(' AS "x"')
    if not extracted or start < 0 or end < 0:
        return None
    return re.compile(re.escape(before[start:]) + _EXTRACTED + re.escape(after[:end]))


def _without_lists(sql: str) -> str:
    """Write `list_transform([x], lambda _v: f(_v))[1]` as `f(x)`, for an x that is cheap.

    DuckDB then knows x's type before it runs, and keeps of f what is for that type.
    """
    pieces, done = [], 0
    while (start := sql.find(_LIST, done)) >= 0:
        of_list = start + len(_LIST) - 1
        list_end, call_end = _closing(sql, of_list), _closing(sql, of_list - 1)
        value, body = sql[of_list + 1 : list_end], sql[list_end + 1 + len(_LAMBDA) : call_end]
        is_one = sql.startswith(_LAMBDA, list_end + 1) and sql.startswith(_FIRST, call_end + 1)
        if is_one and len(value) <= _MAX_REPEATED and not _COSTLY.search(value):
            pieces += [sql[done:start], f"({_VALUE.sub(lambda _, value=value: f'({value})', body)})"]  # type: ignore[misc]
            done = call_end + 1 + len(_FIRST)
        else:
            pieces.append(sql[done : of_list + 1])
            done = of_list + 1
    return "".join([*pieces, sql[done:]])


def _closing(sql: str, opening: int) -> int:
    """Where the bracket that opens at a place is closed."""
    depth, quote = 0, ""
    for place in range(opening, len(sql)):
        character = sql[place]
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        elif character in "([":
            depth += 1
        elif character in ")]":
            depth -= 1
            if depth == 0:
                return place
    raise ValueError(f"SQL with an open bracket: {sql[opening : opening + 40]}")
