"""Cold starts: what did they cost users, and which phase?"""

import streamlit as st

from console.analysis.starts import budget_spent, longest_phase
from console.asking import Answer, Question, ask
from console.bar import current_scope
from console.behind import failure_of_all
from console.formats import ms, number, share
from console.page import current_palette, heading, panel_row, say
from console.panels.cold_starts_lifetimes import show_lifetimes
from console.panels.cold_starts_lists import show_lists
from console.panels.cold_starts_phases import show_causes, show_impact, show_phases
from console.panels.cold_starts_tiles import figures, one_in, sums
from console.pieces import tiles
from console.settings import settings

QUESTION = "What did cold starts cost users, and which phase?"


def show() -> None:
    """Draw the view."""
    scope, palette = current_scope(), current_palette()
    answers = ask(
        scope,
        starts=Question("cold_starts"),
        phases=Question("cold_start_phase_summary"),
        impact=Question("cold_start_impact"),
        hurt=Question("impacted_requests"),
        waited=Question("slow_requests", least_wait_ms=0.001),
        states=Question("instance_states"),
        seen=Question("instances"),
    )
    if (failure := failure_of_all(answers)) is not None:
        heading(QUESTION)
        say(failure)
        return
    heading(QUESTION, _answer(answers))
    if answers["starts"].has_rows or answers["impact"].has_rows:
        st.html(tiles(figures(answers, scope)))
    if answers["starts"].has_rows or answers["starts"].is_failed or answers["waited"].has_rows:
        left, right = panel_row([3, 2])
        with left:
            show_phases(answers["phases"], palette)
        with right:
            show_impact(answers["impact"], palette)
            show_causes(answers["starts"])
        show_lifetimes(answers, scope, palette)
        show_lists(answers, scope)
    else:  # nothing to tell of starts: what there is instead
        show_lifetimes(answers, scope, palette)


def _answer(answers: dict[str, Answer]) -> str:
    starts, impact = answers["starts"].table, answers["impact"].table
    if answers["starts"].is_failed or answers["impact"].is_failed:
        return ""
    if not starts.n_rows:
        return "No process started in this range, so no request waited for one."
    begun = f"{starts.n_rows:,} process{'es' if starts.n_rows != 1 else ''} started"
    n_impacted, n_over, n_requests = sums(impact, "n_impacted", "n_impacted_over", "n_requests")
    if not n_impacted:
        said = f"{begun}, and no request waited for one."
    else:
        spent = budget_spent(n_over, n_requests, slo_share=settings().slo_share)
        said = (
            f"{begun}; {number(n_impacted)} request{'s' if n_impacted != 1 else ''} waited "
            f"({one_in(n_impacted, n_requests)}), {number(n_over)} of them "
            f"missed the SLO: {share(spent)} of the error budget."
        )
    longest = longest_phase(answers["phases"].table) if answers["phases"].has_rows else None
    if longest is not None:
        said += f" The longest phase is {longest[0]}, {ms(longest[1])} in the median."
    return said
