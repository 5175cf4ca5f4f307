"""Concurrency: at what in-flight level does latency break?"""

from datetime import timedelta

import streamlit as st

from console.analysis.fleet import HEARTBEAT
from console.analysis.load import limit_of
from console.asking import Question, ask
from console.bar import current_scope
from console.behind import failure_of_all
from console.page import current_palette, heading, panel_row, say
from console.panels.concurrency_batches import show_batches
from console.panels.concurrency_finding import finding
from console.panels.concurrency_instances import show_instances
from console.panels.concurrency_knee import fit, show_knee
from console.panels.concurrency_refusals import show_refusals
from console.panels.concurrency_tiles import figures
from console.pieces import tiles
from console.scope import INTERVALS_S

QUESTION = "At what in-flight level does latency break?"
POINT_S = 30
"Narrowest interval of a point: a 99th percentile wants requests."
MOST_POINTS_OVER_TIME = 300


def show() -> None:
    """Draw the view."""
    scope, palette = current_scope(), current_palette()
    # Narrower intervals would be empty in between.
    sampled = max(scope.interval, HEARTBEAT)
    width = point_width(scope.until - scope.since)
    answers = ask(
        scope,
        points=Question("in_flight_latency", interval=width),
        now=Question("concurrency", interval=sampled),
        load=Question("requests", variant="", version=""),
        refusals=Question("refusals"),
        variants=Question("variants", variant="", version=""),
        batches=Question("batches"),
        decisions=Question("scale_decisions"),
    )
    if (failure := failure_of_all(answers)) is not None:
        heading(QUESTION)
        say(failure)
        return
    points = answers["points"].table
    found = fit(points)
    limit = limit_of(points, answers["now"].table)
    heading(QUESTION, finding(answers["points"], found, limit))
    if answers["load"].has_rows:
        st.html(tiles(figures(answers, found, limit, scope)))
    left, right = panel_row([3, 2])
    with left:
        show_knee(answers["points"], found, limit, scope, palette, width)
    with right:
        show_instances(answers, found, limit, palette)
    left, right = panel_row(2)
    with left:
        show_batches(answers["batches"], palette)
    with right:
        show_refusals(answers, scope, palette)


def point_width(length: timedelta) -> timedelta:
    """Interval of a point: the shortest round one with at most `MOST_POINTS_OVER_TIME` of them in the range."""
    fitting = (s for s in INTERVALS_S if s >= POINT_S and length.total_seconds() <= s * MOST_POINTS_OVER_TIME)
    return timedelta(seconds=next(fitting, INTERVALS_S[-1]))
