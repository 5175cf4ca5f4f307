"""Contention: which resource is saturated?"""

from datetime import timedelta

import streamlit as st

from console.analysis.fleet import HEARTBEAT
from console.analysis.saturation import Saturation, over_instances, rank, resources
from console.asking import Answer, Question, ask
from console.bar import current_scope
from console.behind import failure_of_all
from console.charts.contention import resource_spark
from console.formats import moment
from console.page import current_palette, heading, panel_row, say
from console.panels.contention_heatmap import show_heatmap
from console.panels.contention_imbalance import show_imbalance
from console.panels.contention_lag import show_lag
from console.panels.contention_memory import show_memory
from console.panels.contention_ranking import show_ranking
from console.pieces import Tile, Tone, tiles
from console.scope import Scope, link_to
from console.settings import settings
from console.telemetry import Table

QUESTION = "Which resource is saturated?"
NEAR = 0.8
"Of the mark, from where on a resource is called close to saturation."


def show() -> None:
    """Draw the view."""
    scope, palette = current_scope(), current_palette()
    # Narrower intervals would be empty in between.
    width = max(scope.interval, HEARTBEAT)
    answers = ask(
        scope,
        contention=Question("contention", interval=width),
        latency=Question("in_flight_latency", interval=width),
    )
    if (failure := failure_of_all(answers)) is not None:
        heading(QUESTION)
        say(failure)
        return
    known = resources(settings().slo_ms)
    ranked = rank(answers["contention"].table, known) if answers["contention"].has_rows else []
    heading(QUESTION, _answer(ranked, answers["contention"], width))
    if ranked:
        st.html(tiles(_figures(ranked, answers["contention"].table, scope)))
    show_heatmap(answers["contention"], known, ranked, scope, palette, width)
    left, right = panel_row([3, 2])
    with left:
        show_ranking(answers["contention"], ranked, scope, width)
    with right:
        show_lag(answers, scope, palette, width)
    left, right = panel_row(2)
    with left:
        show_memory(answers["contention"], palette)
    with right:
        show_imbalance(answers["contention"], palette)


def _answer(ranked: list[Saturation], answer: Answer, width: timedelta) -> str:
    if answer.is_failed:
        return ""
    if not ranked:
        return "No instance told of its resources in this range."
    first, worst = ranked[0], max(ranked, key=lambda each: each.worst_nearness)
    title = first.resource.title
    usual = (
        f"{first.resource.written(first.high)} in the worst twentieth of the time, saturated at "
        f"{first.resource.written(first.resource.mark)}"
    )
    if first.nearness >= 1:
        said = f"{title} is saturated: {usual}."
    elif first.nearness >= NEAR:
        said = f"{title} is close to saturation: {usual}."
    else:
        said = f"None{' for long' if worst.worst_nearness >= 1 else ''}. {title} is nearest: {usual}."
    if worst.worst_nearness >= 1:
        whose = "Its" if worst is first else f"{worst.resource.title} had the"
        said += (
            f" {whose} worst moment: {worst.resource.written(worst.worst)} on {worst.worst_instance} at "
            f"{moment(worst.worst_at)} UTC."
        )
    return said


def _figures(ranked: list[Saturation], table: Table, scope: Scope) -> list[Tile]:
    """The six resources nearest to saturation; each chooses itself in the heatmap."""
    figures = []
    for each in ranked[:6]:
        resource = each.resource
        times, most, _, _ = over_instances(table, resource.read(table))
        figure, _, unit = resource.written(each.high).partition(" ")
        figures.append(
            Tile(
                resource.title,
                figure,
                unit=unit,
                delta=f"saturated at {resource.written(resource.mark)}",
                tone=_tone(each.nearness),
                spark=resource_spark(times, most),
                href=link_to("contention", scope, resource=resource.name),
                help=f"{resource.measure.capitalize()}: 95th percentile over instances and intervals.",
            )
        )
    return figures


def _tone(nearness: float) -> Tone:
    return "bad" if nearness >= 1 else "warn" if nearness >= NEAR else "quiet"
