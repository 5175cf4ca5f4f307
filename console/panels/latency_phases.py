"""What the tail has that the median has not: phases at several percentiles."""

import streamlit as st

from console.analysis.latency import PHASES, gaps, phases_by_band
from console.asking import Answer
from console.charts.latency import AXIS_PX, phase_bars
from console.formats import ms
from console.page import altair_chart, current_palette, panel
from console.pieces import Cell, Column, Row, data_table
from console.telemetry import Table

BAR_PX = 34


def show_phases(answer: Answer) -> None:
    """Draw `phases_by_latency`."""
    palette = current_palette()

    def draw(table: Table) -> None:
        bands = phases_by_band(table)
        shown = {name: bands[name] for name in ("p50", "p95", "p99")}
        altair_chart(phase_bars(shown, palette), key="phase-bars", height=3 * BAR_PX + AXIS_PX)
        rows: list[Row] = [
            [
                Cell(gap.phase, parts=[(f"var(--rs-phase-{gap.phase})", 1.0)]),
                Cell(gap.phase, help=PHASES[gap.phase]),
                gap.p50_ms,
                gap.p99_ms,
                gap.slowest_ms,
                gap.share,
            ]
            for gap in gaps(bands)
        ]
        columns = [
            Column(""),
            Column("Phase"),
            Column("p50", unit="ms", is_number=True),
            Column("p99", unit="ms", is_number=True),
            Column("Slowest 1 %", unit="ms", is_number=True),
            Column("Of what p99 adds", is_bar=True, tone="warn"),
        ]
        st.html(
            f'<div class="rs-phases">{data_table(columns, rows, label="Phases at the median and in the tail")}</div>'
        )

    title = "What p99 has that the median has not"
    if answer.has_rows:
        most = max(gaps(phases_by_band(answer.table)), key=lambda gap: gap.share)
        if most.share > 0:
            title = f"From p50 to p99, {most.phase} grows most: {ms(most.p50_ms)} to {ms(most.p99_ms)}"
    panel(
        title,
        answer,
        draw,
        key="phases",
        note="Means over the requests around each percentile: p50 is from 45 to 55 %, p99 from 98.5 to 99.5 %.",
        empty="No request was answered in this range.",
    )
