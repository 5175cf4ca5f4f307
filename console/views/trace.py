"""Trace: what happened in this request?"""

from datetime import timedelta

import streamlit as st

from console.analysis.properties import properties_of
from console.analysis.trace import EDGE, Operation, read_operation
from console.asking import Answer, Question, ask
from console.bar import current_scope
from console.charts.trace import log_table, property_list
from console.formats import age, moment
from console.page import heading, panel, panel_row, say
from console.panels.trace_cold_start import show_cold_start
from console.panels.trace_finding import QUESTION, facts, finding, question_of
from console.panels.trace_instance import show_moment
from console.panels.trace_phases import show_against_median, show_waterfall, typical_phases
from console.panels.trace_search import NO_ID, read_operation_id, show_offers, show_search
from console.pieces import anchor
from console.scope import Scope, link_to
from console.status import Remark

AROUND = timedelta(minutes=30)
"What is normal is taken from so long before and after."
LOOK_BACK = timedelta(days=30)
MINUTE = timedelta(minutes=1)


def show() -> Remark | None:
    """Draw the view; a trace from outside of the range is remarked on."""
    scope = current_scope()
    linked = st.query_params.get("trace", "")
    operation_id = read_operation_id(linked)
    answer, operation = _find(scope, operation_id) if operation_id else (None, None)
    if answer is None or operation is None:
        heading(QUESTION, "" if linked else "Choose one of the slowest below, or search for an operation id.")
        show_search(operation_id)
        if linked and not operation_id:
            say(NO_ID, "warn")
        elif answer is not None:
            _say_missing(answer)
        show_offers(scope)
        return None
    main = operation.main
    around = _ask_around(scope, operation)
    typical = typical_phases(around.get("phases"))
    heading(question_of(operation), finding(operation, typical))
    show_search(operation_id)
    st.html(facts(scope, operation))
    left, right = panel_row([3, 2]) if operation.request is not None else (st.container(), None)
    with left:
        show_waterfall(answer, operation, typical)
    if right is not None and operation.request is not None:
        with right:
            show_against_median(around["phases"], operation.request, typical)
    if operation.request is not None:
        show_moment(around, operation, operation.request)
        if operation.request.waited_for_a_start:
            show_cold_start(scope, around, operation.request)
    panel(
        "What it says of itself",
        answer,
        lambda _: st.html(property_list(properties_of(main))),
        key="properties",
    )
    if operation.told:
        panel("What was logged meanwhile", answer, lambda _: st.html(log_table(operation)), key="logs")
    return _outside(scope, operation, operation_id)


def _find(scope: Scope, operation_id: str) -> tuple[Answer, Operation | None]:
    """The operation, in the bar's range first: most links come from there, and a month takes longer."""
    question = Question("trace", operation_id=operation_id)
    answer = ask(scope, since=scope.since - EDGE, until=scope.until + EDGE, trace=question)["trace"]
    if not answer.is_failed and not answer.has_rows:
        until = scope.as_of + timedelta(hours=1)
        answer = ask(scope, since=until - LOOK_BACK, until=until, trace=question)["trace"]
    return answer, read_operation(answer.table) if answer.has_rows else None


def _outside(scope: Scope, operation: Operation, operation_id: str) -> Remark | None:
    """That the range does not hold the operation, and a link to one that does; None where it does."""
    if scope.since - EDGE <= operation.began < scope.until + EDGE:
        return None
    since, until = operation.began - AROUND, operation.ended + AROUND
    link = anchor(
        "show the hour around it", link_to("trace", scope, since=since, until=until, trace=operation_id)
    )
    return (
        f"<strong>This trace is from {moment(operation.began)} UTC, outside of the time range.</strong> What this page "
        f"says holds all the same; for the others, {link}.",
        "info",
    )


def _ask_around(scope: Scope, operation: Operation) -> dict[str, Answer]:
    """What is normal, how the instance was, and the start that it waited for."""
    request = operation.request
    if request is None:
        return {}
    questions = {
        "phases": Question(
            "phases_by_latency",
            function_name=request.name,
            variant=request.properties.get("recserve.variant", ""),
            version="",
        ),
        "contention": Question("contention", interval=MINUTE, instance_name=request.instance),
        "concurrency": Question("concurrency", interval=MINUTE, instance_name=request.instance),
    }
    if request.waited_for_a_start:
        questions["start"] = Question("cold_start_phases", process_id=request.process)
        questions["starts"] = Question("cold_starts")
    return ask(scope, since=operation.began - AROUND, until=operation.ended + AROUND, **questions)


def _say_missing(answer: Answer) -> None:
    if answer.failure is not None and answer.is_failed:
        say(answer.failure)
        return
    say(
        f"Telemetry of the last {age(LOOK_BACK)} holds nothing of this operation. Ordinary requests are sampled, so "
        "it may not have been kept; a request of this minute may not have arrived yet: look again in a while.",
        "warn",
    )
