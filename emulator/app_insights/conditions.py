"""Conditions on text that can be checked where files are read, before SQL of KQL is.

KQL's equality is never null and so is `coalesce(x = 'text', FALSE)` in SQL, which DuckDB evaluates for each row.
In a `where` null and false are the same, and of the bare `x = 'text'` the statistics and Bloom filters of a Parquet
file tell that no row of it can hold the text.
"""

from collections.abc import Collection
from dataclasses import dataclass

from duckdb_kql import ir

from emulator.app_insights.parquet import quoted


@dataclass(frozen=True, slots=True)
class Condition:
    """A column that holds one of some texts."""

    column: str
    texts: tuple[str, ...]

    @property
    def sql(self) -> str:
        return f'"{self.column}" IN ({", ".join(map(quoted, self.texts))})'


def take_conditions(predicate: ir.Expr, columns: Collection[str]) -> tuple[list[Condition], ir.Expr | None]:
    """The conditions in a predicate, all of which must hold, and what else must; None if nothing.

    Args:
        columns: those of text.
    """
    if isinstance(predicate, ir.BinaryOp) and predicate.op == "and":
        (left, left_rest), (right, right_rest) = (
            take_conditions(side, columns) for side in (predicate.left, predicate.right)
        )
        rests = [rest for rest in (left_rest, right_rest) if rest is not None]
        rest = ir.BinaryOp("and", rests[0], rests[1]) if len(rests) == 2 else next(iter(rests), None)
        return left + right, rest
    condition = _condition(predicate)
    if condition is None or condition.column not in columns:
        return [], predicate
    return [condition], None


def _condition(predicate: ir.Expr) -> Condition | None:
    match predicate:
        case ir.BinaryOp(op="==", left=ir.ColumnRef(name=column), right=value):
            values: tuple[ir.Expr, ...] = (value,)
        case ir.InList(
            value=ir.ColumnRef(name=column),
            items=values,
            negated=False,
            case_insensitive=False,
            subquery=None,
        ):
            pass
        case _:
            return None
    texts = [text_of(value) for value in values]
    if not texts or None in texts:
        return None
    return Condition(column, tuple(text for text in texts if text is not None))


def text_of(value: ir.Expr) -> str | None:
    """The text that an expression is, itself or by the name of a `let`."""
    match value:
        case ir.LetRef(value=bound):
            return text_of(bound)
        case ir.Literal(value=str(text), kind="string"):
            return text
    return None
