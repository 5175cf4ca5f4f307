"""Models and quality: what does the ladder give away?"""

import os

import streamlit as st

from console.analysis.ladder import answers_by_variant, brownouts, followed, order_of
from console.api import read_address
from console.asking import Question, ask
from console.bar import current_scope
from console.charts.models import variant_colours
from console.page import current_palette, heading, panel_row
from console.panels.models_finding import sentence
from console.panels.models_mix import show_mix
from console.panels.models_online import show_clicks, show_hits
from console.panels.models_rungs import GROWTH, median_by_variant, show_frontier, show_rungs
from console.panels.models_shadow import show_shadow
from console.panels.models_tiles import figures
from console.pieces import tiles
from console.served_ladder import ask_ladder


def show() -> None:
    """Draw the view."""
    scope = current_scope()
    palette = current_palette()
    ladder, described = ask_ladder(read_address(os.environ))
    # Rungs are compared with each other, so the bar's variant would leave nothing to see.
    answers = ask(
        scope,
        served=Question("variants", variant=""),
        latency=Question("latency_by_variant", growth=GROWTH),
        feedback=Question("feedback", variant=""),
        shadow=Question("shadow"),
    )
    served, feedback, shadow = (answers[name].table for name in ("served", "feedback", "shadow"))
    n_answers = answers_by_variant(served) if served.n_rows else {}
    follows = followed(feedback, n_answers) if feedback.n_rows else []
    episodes = brownouts(served, scope.interval)
    order = order_of(
        [
            *(rung.name for rung in (ladder.rungs if ladder else ())),
            *n_answers,
            *(row.variant for row in follows),
            *(set(shadow["variant"]) if shadow.n_rows else ()),
        ],
        ladder,
    )
    colours = variant_colours(order, palette)

    heading("What does the ladder give away?", sentence(ladder, n_answers, follows, episodes))
    st.html(tiles(figures(scope, ladder, served, n_answers, feedback, follows, shadow)))
    left, right = panel_row([1, 1])
    with left:
        show_frontier(ladder, described, colours, palette)
    with right:
        p50_ms = median_by_variant(answers["latency"].table)
        show_rungs(scope, ladder, [described, answers["latency"]], n_answers, p50_ms)
    left, middle, right = panel_row([2, 1, 1])
    with left:
        show_mix(scope, answers["served"], n_answers, episodes, order, colours)
    with middle:
        show_hits(answers["feedback"], follows, order, colours)
    with right:
        show_clicks([answers["feedback"], answers["served"]], follows, order, colours)
    show_shadow(answers["shadow"], colours, palette)
