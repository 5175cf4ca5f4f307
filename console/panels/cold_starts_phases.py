"""Which phase of a start takes longest, whom it made wait, and why processes started."""

import numpy as np
import streamlit as st

from console.analysis.starts import FEWEST_FOR_P95, cause_rows, longest_phase
from console.asking import Answer
from console.charts.cold_starts import impact_bars, phase_waterfall
from console.page import altair_chart, echart, panel
from console.palette import Palette
from console.pieces import Column, data_table, nothing
from console.telemetry import Table


def show_phases(answer: Answer, palette: Palette) -> None:
    """Draw the phases of a start, `cold_start_phase_summary`."""
    longest = longest_phase(answer.table) if answer.has_rows else None
    panel(
        f"The longest phase is {longest[0]}" if longest else "Which phase takes longest?",
        answer,
        lambda summary: altair_chart(phase_waterfall(summary, palette), key="phases"),
        key="cold-phases",
        unit="ms",
        note=_phase_note(answer.table),
        empty="No process started in this range.",
    )


def show_impact(answer: Answer, palette: Palette) -> None:
    """Draw when requests waited, `cold_start_impact`."""

    def draw(table: Table) -> None:
        if not table["n_impacted"].any():
            st.html(nothing("Requests came, and none of them waited for a start."))
            return
        echart(impact_bars(table, palette), key="impact", height=230, label="Requests that waited, over time")

    panel(
        "When did requests wait for a start?",
        answer,
        draw,
        key="cold-impact",
        unit="requests",
        empty="No requests in this range.",
    )


def show_causes(answer: Answer) -> None:
    """Draw why processes started, `cold_starts`."""
    columns = [
        Column("Cause"),
        Column("Starts", is_number=True),
        Column("Share", is_bar=True),
        Column("By a request", is_number=True),
        Column("Ready, median", unit="ms", is_number=True),
        Column("Impacted", is_number=True),
    ]
    panel(
        "Why did processes start?",
        answer,
        lambda starts: st.html(data_table(columns, cause_rows(starts), label="Causes of starts")),
        key="cold-causes",
        note="Impacted here are requests of any function; the figures above are of recommend.",
        empty="No process started in this range.",
    )


def _phase_note(summary: Table) -> str:
    n = int(np.nanmax(summary["n_starts"])) if summary.n_rows else 0
    if 0 < n < FEWEST_FOR_P95:
        said = f"Median of {n} start{'s' if n != 1 else ''}, too few for a 95th percentile."
    else:
        said = "Median bar, pale up to the 95th percentile."
    return f"{said} Threads work beside each other: shorten what the end waits for."
