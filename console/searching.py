"""The planner's searches of this console, shared by all who look, and followed while they run."""

from collections.abc import Callable, Hashable
from datetime import UTC, datetime, timedelta

import streamlit as st

from console.analysis.plan_process import Search, Searches
from console.analysis.plan_question import PlanAnswer, PlanQuestion
from console.scope import Scope

FRESH = timedelta(minutes=15)
"For so long an answer about a range that moves on is shown before it is looked for again."
LOOK_EVERY_S = 0.7


@st.cache_resource(show_spinner=False)
def searches() -> Searches:
    """Those of this process."""
    return Searches()


def key_of(scope: Scope, question: PlanQuestion) -> Hashable:
    """What makes two questions one: ranges that move on with the clock are the same one."""
    chosen = scope.selection
    moments = (question.since, question.until) if chosen.is_absolute else chosen.range
    return (
        moments,
        question.goal,
        question.logs_url,
        question.workspace,
        question.traffic,
        question.factor,
        question.edge_share,
        question.slo_ms,
        question.slo_share,
        question.quality,
        question.skus,
        question.most_instances,
        question.variants,
        question.today,
        question.region,
    )


def search_for(scope: Scope, question: PlanQuestion, *, is_wanted: bool = False) -> Search:
    """The search of a question, begun where there is none, its answer is old, or `is_wanted` again."""
    key = key_of(scope, question)
    known = searches().known(key)
    moves = not scope.selection.is_absolute and question.traffic == "telemetry"
    is_old = known is not None and moves and datetime.now(UTC) - known.asked_at > FRESH
    if known is None or is_wanted or (is_old and known.is_done):
        return searches().begin(key, question)
    return known


def follow(search: Search, draw: Callable[[PlanAnswer], None], *, key: str) -> None:
    """Draw an answer; until there is one, how far it is, without keeping the rest of the page waiting."""
    if search.answer is not None:
        draw(search.answer)
        return

    @st.fragment(run_every=LOOK_EVERY_S)
    def wait() -> None:
        if search.is_done:
            st.rerun()
        progress = search.progress
        told = progress.what + (f", {progress.done} of {progress.of}" if progress.of else "")
        with st.container(key=f"progress-{key}"):
            st.progress(min(progress.share, 1.0), text=f"{told}…")

    wait()
