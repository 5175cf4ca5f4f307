"""Asking the workspace of a scope: several questions at once, each answered once in a while."""

from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime

import streamlit as st
from streamlit.runtime.scriptrunner import add_script_run_ctx, get_script_run_ctx

from console.failures import UNCONFIGURED, Failure
from console.queries import Query, Value, load_query
from console.scope import Scope, interval_of
from console.settings import Source, settings
from console.telemetry import Reading, Table, Telemetry, TelemetryError

TTL_S = 120
MAX_ENTRIES = 400
MOST_AT_ONCE = 5
"Log Analytics runs that many of one caller's questions at a time; more would wait there."
FILTERS = ("variant", "version")


class Question:
    """One of `console/queries`, with values of its parameters."""

    __slots__ = ("name", "values")

    def __init__(self, name: str, **values: Value) -> None:
        self.name = name
        self.values: Mapping[str, Value] = values


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back, or why nothing did."""

    question: str
    "In words, from the query's first line."
    kql: str
    table: Table
    failure: Failure | None = None
    "Why there is no table, or where `is_partial` why it lacks rows."
    is_partial: bool = False
    asked_at: datetime
    ignores: tuple[str, ...] = ()
    "Of variant and version, what the bar has chosen and the query cannot be asked about."

    @property
    def has_rows(self) -> bool:
        return self.table.n_rows > 0

    @property
    def is_failed(self) -> bool:
        return self.failure is not None and not self.is_partial


def ask(
    scope: Scope, *, since: datetime | None = None, until: datetime | None = None, **questions: Question
) -> dict[str, Answer]:
    """Answers by the names of their questions; all are asked at once.

    Args:
        since: with `until`, another range than the scope's.
    """
    pending = ask_later(scope, since=since, until=until, **questions)
    if all(future.done() for future in pending.values()):
        return {name: future.result() for name, future in pending.items()}
    with st.skeleton(height=240):
        return {name: future.result() for name, future in pending.items()}


def ask_later(
    scope: Scope, *, since: datetime | None = None, until: datetime | None = None, **questions: Question
) -> dict[str, Future[Answer]]:
    """As `ask`, without waiting."""
    context = get_script_run_ctx(suppress_warning=True)
    pool = ThreadPoolExecutor(
        MOST_AT_ONCE, "question", initializer=lambda: add_script_run_ctx(None, context) and None
    )
    since, until = since or scope.since, until or scope.until
    asked = {
        name: pool.submit(_answer, scope, question, since, until) for name, question in questions.items()
    }
    pool.shutdown(wait=False)
    return asked


def _answer(scope: Scope, question: Question, since: datetime, until: datetime) -> Answer:
    query = load_query(question.name)
    kql = query.text(**_values(query, question, scope, since, until))
    ignores = tuple(name for name in FILTERS if getattr(scope, name) and name not in query.parameters)
    try:
        if scope.workspace is None:
            raise TelemetryError(UNCONFIGURED)
        reading = _read(scope.workspace, kql, since, until)
    except TelemetryError as err:
        return Answer(
            question=query.question,
            kql=kql,
            table=Table(),
            failure=err.failure,
            asked_at=datetime.now(UTC),
            ignores=ignores,
        )
    return Answer(
        question=query.question,
        kql=kql,
        table=reading.table,
        failure=reading.partial,
        is_partial=reading.partial is not None,
        asked_at=reading.asked_at,
        ignores=ignores,
    )


def _values(
    query: Query, question: Question, scope: Scope, since: datetime, until: datetime
) -> dict[str, Value]:
    """The question's values, and the scope's for what it leaves open."""
    offered: dict[str, Value] = {
        "interval": interval_of(until - since),
        "variant": scope.variant,
        "version": scope.version,
        "slo_ms": settings().slo_ms,
    }
    filled = {name: value for name, value in offered.items() if name in query.parameters}
    return filled | dict(question.values)


@st.cache_resource(show_spinner=False)
def _connect(source: Source) -> Telemetry:
    return Telemetry(source)


@st.cache_data(ttl=TTL_S, max_entries=MAX_ENTRIES, show_spinner=False)
def _read(source: Source, kql: str, since: datetime, until: datetime) -> Reading:
    """The workspace's answer; a failure is not kept.

    Raises:
        TelemetryError: there is none.
    """
    return _connect(source).read(kql, since, until)
