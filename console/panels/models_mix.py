"""Which rungs answered over time, and when load made a lower one do it."""

import streamlit as st

from console.analysis.ladder import Episode
from console.asking import Answer
from console.charts.models import served_mix
from console.formats import between, number, share, short
from console.page import current_palette, echart, panel
from console.pieces import Cell, Column, Row, data_table
from console.scope import Scope, link_to
from console.telemetry import Table

MOST_EPISODES = 6


def show_mix(
    scope: Scope,
    answer: Answer,
    n_answers: dict[str, float],
    episodes: list[Episode],
    order: list[str],
    colours: dict[str, str],
) -> None:
    """Draw the mix over time, `variants`, and the stretches of brownout in it."""
    palette = current_palette()

    def draw(table: Table) -> None:
        echart(
            served_mix(table, order, colours, palette),
            key="mix",
            height=210,
            label="Share of answers by variant over time, brownout apart",
        )
        if episodes:
            st.html(_episode_table(scope, episodes))

    panel(
        _title(n_answers, episodes),
        answer,
        draw,
        key="mix-panel",
        unit="% of answers",
        empty="Nobody was answered in this range.",
    )


def _title(n_answers: dict[str, float], episodes: list[Episode]) -> str:
    if not n_answers:
        return "Who answered, and when?"
    n_all = sum(n_answers.values())
    top, n = next(iter(n_answers.items()))
    said = f"{top} gave {share(n / n_all)} of {short(n_all)} answers"
    if not episodes:
        return f"{said}; no brownout"
    times = "once" if len(episodes) == 1 else f"{len(episodes)} times"
    return f"{said}; brownout {times}"


def _episode_table(scope: Scope, episodes: list[Episode]) -> str:
    """Stretches of brownout, each with a link to its requests."""
    rows: list[Row] = [
        [
            Cell(
                between(episode.since, episode.until),
                href=link_to("latency", scope, since=episode.since, until=episode.until),
                help="Show the requests of these minutes.",
            ),
            ", ".join(episode.variants),
            number(episode.n_requests),
            Cell(
                "what was in flight",
                href=link_to("concurrency", scope, since=episode.since, until=episode.until),
            ),
        ]
        for episode in episodes[:MOST_EPISODES]
    ]
    columns = [
        Column("Brownout, UTC"),
        Column("Answered instead"),
        Column("Answers", is_number=True),
        Column("Why"),
    ]
    return data_table(columns, rows, label="Brownouts")
