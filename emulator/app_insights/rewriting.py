"""A query over tables, to the same over views of what it needs of them.

    keys          `tostring(Properties["k"])` and `todouble(Measurements["k"])` become columns that hold the keys
    columns       where a project or a summarize says what is kept, all else is left out from the beginning: SQL
                  that lists sixty columns at each step takes longer to plan than many a query to run
    conditions    equality with a text, right after the table, is checked where its files are read

Only where columns are certainly the table's: in the operators that follow it and keep its columns (where, extend,
order, top, take), and in the project or summarize that comes next. All else reads the table itself, with the same
answer.
"""

import dataclasses
from collections.abc import Iterator
from typing import Any

from duckdb_kql import ir

from emulator.app_insights.bags import Key, bags_of
from emulator.app_insights.conditions import Condition, take_conditions, text_of
from emulator.app_insights.tables import BAGS, TABLES, sql_columns

_KEEPING = (ir.Where, ir.Extend, ir.Sort, ir.Top, ir.Take)
"Operators after which the table's columns are still there."
_NAMING = (ir.Project, ir.Summarize)
"Operators after which only named columns are left."
_CASTS = {"tostring": "string", "todouble": "real", "toreal": "real"}


@dataclasses.dataclass(frozen=True, slots=True)
class Source:
    """A table as a pipeline reads it."""

    table: str
    columns: tuple[str, ...]
    "Those of the table's own that are read."
    keys: tuple[Key, ...] = ()
    "That have columns beside those."
    conditions: tuple[Condition, ...] = ()
    "That rows meet."

    @classmethod
    def whole(cls, table: str) -> "Source":
        return cls(table, tuple(sql_columns(table)))

    @property
    def names(self) -> list[str]:
        """Of all its columns."""
        return [*self.columns, *(key.column for key in self.keys)]


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
        if table not in TABLES:
            return dataclasses.replace(
                query,
                source=self._subqueries(query.source),
                operators=[self._subqueries(operator) for operator in query.operators],
                lets=self._lets(query),
            )
        reading = _Reading(table)
        operators = [
            self._subqueries(part) for operator in query.operators for part in reading.rewritten(operator)
        ]
        if reading.is_kept:
            operators.append(_Drop())
        # Last, since what is to be dropped before a join may be read after the operators that precede it.
        dropped = [ir.ProjectAway(tuple(reading.keys))] if reading.keys else []
        operators = [
            each
            for operator in operators
            for each in (dropped if isinstance(operator, _Drop) else [operator])
        ]
        source = reading.source()
        named = query.source if source == Source.whole(table) else self._named(source)
        return dataclasses.replace(query, source=named, operators=operators, lets=self._lets(query))

    def _lets(self, query: ir.Query) -> list[tuple[str, Any]]:
        return [(name, self._subqueries(bound)) for name, bound in query.lets]

    def _named(self, source: Source) -> ir.TableRef:
        name = f"{source.table}#{len(self.sources) + 1}"
        self.sources[name] = source
        return ir.TableRef(name)

    def _subqueries(self, part: Any) -> Any:
        """A part with all queries in it rewritten."""
        if isinstance(part, ir.Query):
            return self._pipeline(part)
        return _mapped(part, self._subqueries)


class _Reading:
    """What a pipeline reads of its table, told operator by operator.

    Attributes:
        keys: by their columns.
        is_kept: the table's columns are all there yet, so that whatever comes next may read them.
    """

    def __init__(self, table: str) -> None:
        self._table = table
        self._bags = set(bags_of(table))
        self._columns: set[str] = set()
        self._conditions: list[Condition] = []
        self._is_first = self._is_whole = True
        self.keys: dict[str, Key] = {}
        self.is_kept = True

    def source(self) -> Source:
        columns = sql_columns(self._table)
        if not self._is_whole:
            columns = {name: kind for name, kind in columns.items() if name in self._columns}
        return Source(
            self._table,
            tuple(columns) or ("TimeGenerated",),
            tuple(self.keys.values()),
            tuple(self._conditions),
        )

    def rewritten(self, operator: ir.Operator) -> Iterator[ir.Operator]:
        """What to put in the place of the pipeline's next operator."""
        was_kept, self.is_kept = self.is_kept, self.is_kept and _keeps_columns(operator)
        is_naming = isinstance(operator, _NAMING) and not _has(operator, _is_wildcard)
        if was_kept and (self.is_kept or is_naming):
            operator = _with_columns(operator, self._bags, self.keys)
            self._columns.update(_columns_in(operator))
            self._is_whole = not is_naming
        elif was_kept:
            yield _Drop()
        self._is_first = self._is_first and self.is_kept and isinstance(operator, ir.Where)
        if self._is_first and isinstance(operator, ir.Where):
            conditions, rest = take_conditions(operator.predicate, self._columns_of_text())
            self._conditions += conditions
            if rest is None:
                return
            operator = ir.Where(rest)
        if isinstance(operator, ir.Extend):
            self._bags -= {named.name for named in operator.expressions if named.name}
        yield operator

    def _columns_of_text(self) -> set[str]:
        of_table = {name for name, kind in sql_columns(self._table).items() if kind == "VARCHAR"}
        return of_table | {name for name, key in self.keys.items() if not key.is_number}


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


def _columns_in(part: Any) -> Iterator[str]:
    """Names of the columns that a part reads, those of queries inside too."""
    if isinstance(part, ir.ColumnRef):
        yield part.name
    elif isinstance(part, tuple | list):
        for each in part:
            yield from _columns_in(each)
    elif dataclasses.is_dataclass(part) and isinstance(part, ir.Node):
        for field in dataclasses.fields(part):
            yield from _columns_in(getattr(part, field.name))


def fold(part: Any) -> Any:
    """A query with `strcat` of texts that are known as the one text: duckdb-kql asks each for its type, in
    thousands of characters."""
    part = _mapped(part, fold)
    match part:
        case ir.FunctionCall(name="strcat", args=args):
            texts = [text_of(each) for each in args]
            if None not in texts:
                return ir.Literal("".join(filter(None, texts)), "string")
    return part


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
