"""Edge: how much do devices answer, and do they agree?"""

import streamlit as st

from console.analysis.edge import agreement_of, bundles_of, reasons_of, totals_of
from console.asking import Question, ask
from console.bar import current_scope
from console.page import heading, panel_row
from console.panels.edge_agreement import show_agreement
from console.panels.edge_answers import show_reasons, show_shares
from console.panels.edge_bundles import show_bundles
from console.panels.edge_finding import sentence
from console.panels.edge_latency import show_latency, show_shapes
from console.panels.edge_tiles import figures
from console.pieces import tiles


def show() -> None:
    """Draw the view."""
    scope = current_scope()
    asked = ask(
        scope,
        answers=Question("edge_answers"),
        bundles=Question("edge_bundles"),
        compared=Question("edge_agreement"),
    )
    answers, compared = asked["answers"].table, asked["compared"].table
    totals, reasons = totals_of(answers), reasons_of(answers)
    agreement = agreement_of(compared)
    bundles = bundles_of(asked["bundles"].table, compared)

    is_known = not asked["answers"].is_failed
    heading(
        "How much do devices answer, and do they agree?",
        sentence(answers, totals, reasons, agreement) if is_known else "",
    )
    st.html(tiles(figures(scope, answers, totals, agreement, bundles)))
    left, right = panel_row([1, 1])
    with left:
        show_shares(scope, asked["answers"], totals, len(reasons))
    with right:
        show_reasons(scope, asked["answers"], reasons)
    left, right = panel_row([1, 1])
    with left:
        show_latency(scope, asked["answers"])
    with right:
        show_shapes(asked["answers"])
    left, right = panel_row([1, 1])
    with left:
        show_agreement(scope, asked["compared"], agreement)
    with right:
        show_bundles([asked["bundles"], asked["compared"]], bundles)
