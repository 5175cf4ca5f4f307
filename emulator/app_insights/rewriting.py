"""`tostring(Properties["k"])` and `todouble(Measurements["k"])` of a query, to columns that hold the keys.

Only where a bag is certainly that of a table: in the operators that follow the table and keep its columns
(where, extend, order, top, take), and in the project or summarize that comes next. Everything after, and all
that is asked otherwise, reads the bag itself, with the same answer.
"""

import dataclasses
from typing import Any

from duckdb_kql import ir

from emulator.app_insights.bags import Key, bags_of
from emulator.app_insights.tables import BAGS, TABLES

_KEEPING = (ir.Where, ir.Extend, ir.Sort, ir.Top, ir.Take)
"Operators after which the table's columns are still there."
_NAMING = (ir.Project, ir.Summarize)
"Operators after which only named columns are left."
_CASTS = {"tostring": "string", "todouble": "real", "toreal": "real"}


@dataclasses.dataclass(frozen=True, slots=True)
class Source:
    """A table as a pipeline reads it: with columns for these keys, under a name of its own."""

    table: str
    keys: tuple[Key, ...]


class Rewriting:
    """One query's.

    Attributes:
        sources: by the names that the rewritten query calls them.
    """

    def __init__(self) -> None:
        self.sources: dict[str, Source] = {}

    def rewrite(self, query: ir.Query) -> ir.Query:
        """The query over `sources`; the query itself where names of tables cannot be told apart."""
        is_unsure = any(name in TABLES for name, _ in query.lets) or _has(
            query, lambda part: isinstance(part, ir.WildcardTableRef) or _names_its_branches(part)
        )
        return query if is_unsure else self._pipeline(query)

    def _pipeline(self, query: ir.Query) -> ir.Query:
        table = query.source.name if isinstance(query.source, ir.TableRef) else ""
        bags = set(bags_of(table)) if table in TABLES else set[str]()
        keys: dict[str, Key] = {}
        operators: list[ir.Operator] = []
        is_kept = bool(bags)
        for operator in query.operators:
            was_kept, is_kept = is_kept, is_kept and _keeps_columns(operator)
            if was_kept and (is_kept or isinstance(operator, _NAMING)) and not _has(operator, _is_wildcard):
                operator = _with_columns(operator, bags, keys)
            elif was_kept:
                operators.append(_Drop())
            operators.append(self._subqueries(operator))
            if isinstance(operator, ir.Extend):
                bags -= {named.name for named in operator.expressions if named.name}
        if is_kept:
            operators.append(_Drop())
        # Last, since what is to be dropped before a join may be read after the operators that precede it.
        dropped = [ir.ProjectAway(tuple(keys))] if keys else []
        operators = [
            each
            for operator in operators
            for each in (dropped if isinstance(operator, _Drop) else [operator])
        ]
        source = query.source if not keys else self._source(table, tuple(keys.values()))
        lets = [(name, self._subqueries(bound)) for name, bound in query.lets]
        return dataclasses.replace(query, source=self._subqueries(source), operators=operators, lets=lets)

    def _source(self, table: str, keys: tuple[Key, ...]) -> ir.TableRef:
        name = f"{table}#{len(self.sources) + 1}"
        self.sources[name] = Source(table, keys)
        return ir.TableRef(name)

    def _subqueries(self, part: Any) -> Any:
        """A part with all queries in it rewritten."""
        if isinstance(part, ir.Query):
            return self._pipeline(part)
        return _mapped(part, self._subqueries)


class _Drop(ir.Operator):
    """Where columns of keys must be gone."""


def _keeps_columns(operator: ir.Operator) -> bool:
    # An extension without a name may take that of a bag.
    is_named = not isinstance(operator, ir.Extend) or all(named.name for named in operator.expressions)
    return isinstance(operator, _KEEPING) and is_named and not _has(operator, _is_wildcard)


def _with_columns(part: Any, bags: set[str], keys: dict[str, Key]) -> Any:
    """An operator, or a part of it, that reads columns; the keys that it reads are added.

    Queries inside, which have columns of their own, and expressions that are to be named after what they read
    stay as they are.
    """
    if isinstance(part, ir.Query) or (
        isinstance(part, ir.NamedExpr) and part.name is None and not isinstance(part.expr, ir.ColumnRef)
    ):
        return part
    key = _key(part)
    if key is None or key.bag not in bags:
        return _mapped(part, lambda inner: _with_columns(inner, bags, keys))
    # Columns of one name but for the case are one to DuckDB.
    known = {column.casefold(): column for column in keys}
    if known.get(key.column.casefold(), key.column) != key.column:
        return part
    keys[key.column] = key
    return ir.ColumnRef(key.column)


def _key(part: object) -> Key | None:
    """The key that an expression reads, in the type of its bag's columns."""
    match part:
        case ir.FunctionCall(
            name=cast,
            args=(ir.PathAccess(base=ir.ColumnRef(name=bag), steps=(ir.PathStep(name=str(name)),)),),
        ) if BAGS.get(bag) == _CASTS.get(cast, ""):
            key = Key(bag, name)
            return key if key.is_plain else None
    return None


def _mapped(part: Any, change: Any) -> Any:
    """A part with its parts changed."""
    if isinstance(part, tuple | list):
        return type(part)(change(each) for each in part)
    if dataclasses.is_dataclass(part) and isinstance(part, ir.Node):
        fields = {field.name: getattr(part, field.name) for field in dataclasses.fields(part)}
        return dataclasses.replace(part, **{name: change(value) for name, value in fields.items()})
    return part


def _has(part: Any, is_sought: Any) -> bool:
    """Whether a part, or anything in it, is what is sought."""
    if is_sought(part):
        return True
    if isinstance(part, tuple | list):
        return any(_has(each, is_sought) for each in part)
    if dataclasses.is_dataclass(part) and isinstance(part, ir.Node):
        return any(_has(getattr(part, field.name), is_sought) for field in dataclasses.fields(part))
    return False


def _is_wildcard(part: object) -> bool:
    return isinstance(part, ir.Wildcard)


def _names_its_branches(part: object) -> bool:
    return isinstance(part, ir.Union) and part.with_source is not None
