"""Planner: which plan keeps the promise for the least money?"""

import streamlit as st

from console.analysis.bill import Bill
from console.bar import current_scope
from console.billed import ask_bill
from console.page import heading, panel_row
from console.panels.planner_answer import figures, sentence, show_basis
from console.panels.planner_change import show_change
from console.panels.planner_controls import show_controls
from console.panels.planner_errors import show_errors
from console.panels.planner_plans import show_picture, show_plans
from console.panels.planner_search import search_to_show, shown_search
from console.pieces import tiles
from console.queries.histograms import percentile_ms
from console.settings import settings
from console.telemetry import Table

GROWTH = 1.05


def show() -> None:
    """Draw the view."""
    scope = current_scope()
    billed = ask_bill(scope, growth=GROWTH)
    seen = _seen(billed.bill, billed.answers["histogram"].table)

    head = st.container(key="planner-head")
    left, right = panel_row([1, 3])
    with left, st.container(key="panel-controls"):
        question, is_wanted = show_controls(scope, billed.plan, _variants(billed.answers["work"].table))
    search = search_to_show(scope, question, is_wanted=is_wanted) if question is not None else shown_search()
    answer = search.answer if search is not None else None
    with head:
        slo_ms = search.question.slo_ms if search is not None else settings().slo_ms
        heading(f"Which plan meets p99 ≤ {slo_ms:g} ms cheapest?", sentence(search))
        if answer is not None and not answer.error:
            st.html(tiles(figures(scope, answer)))
    with right:
        show_picture(search, question, seen)
    if answer is None or answer.error or search is None:
        left, right = panel_row([1, 1])
        with left:
            show_basis(search)
        with right:
            show_errors()
        return
    left, right = panel_row([3, 2])
    with left:
        show_plans(answer, search)
        show_errors()
    with right:
        show_change(answer, search)
        show_basis(search)


def _seen(bill: Bill, histogram: Table) -> tuple[float, float] | None:
    """What instances cost a month and what p99 was, as observed."""
    if bill.instances_month_usd is None or not histogram.n_rows:
        return None
    p99_ms = percentile_ms(histogram.rows(), 0.99, growth=GROWTH)
    return None if p99_ms is None else (bill.instances_month_usd, p99_ms)


def _variants(work: Table) -> list[str]:
    if not work.n_rows:
        return []
    return list(dict.fromkeys(name for name in work["variant"].tolist() if name))
