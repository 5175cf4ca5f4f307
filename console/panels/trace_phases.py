"""Where the time went: the operation's waterfall, and its phases against a median request."""

from collections.abc import Mapping
from datetime import timedelta

import streamlit as st

from console.analysis.latency import BANDS, PHASE_COLUMNS
from console.analysis.trace import Operation, Span
from console.analysis.trace_steps import phases_ms, steps
from console.asking import Answer
from console.charts.trace import against_median, against_median_height_px, waterfall, waterfall_height_px
from console.formats import ms
from console.page import altair_chart, current_palette, panel
from console.pieces import legend, nothing
from console.queries.histograms import mean_over_band
from console.settings import settings
from console.telemetry import Table

LEGEND_HEIGHT_PX = 30


def typical_phases(answer: Answer | None) -> dict[str, float]:
    """Mean phases of the requests around the median, by phase column; empty where it is not known."""
    if answer is None or not answer.has_rows:
        return {}
    low, high = BANDS["p50"]
    return mean_over_band(answer.table.rows(), PHASE_COLUMNS, from_share=low, to_share=high)


def show_waterfall(answer: Answer, operation: Operation, typical: Mapping[str, float]) -> None:
    """Draw who did what when, of all that the operation holds."""
    found = steps(operation)
    request = operation.request
    height_px = waterfall_height_px(len(found))
    if request is not None and typical:
        # Beside it stand two bars for each phase, and their legend.
        height_px = max(height_px, against_median_height_px(phases_ms(request), typical) + LEGEND_HEIGHT_PX)
    notes = []
    if request is not None and not operation.has_phase_spans:
        notes.append("Its phases are drawn one after the other, by the lengths that the request tells.")
    if request is not None and operation.host_of(request) is None:
        notes.append("The host's own span is not there.")
    if request is not None:
        notes.append("What the platform took before the host saw it is in no telemetry.")

    def draw(_: Table) -> None:
        if not found:
            st.html(nothing("It left logs only."))
            return
        altair_chart(
            waterfall(found, current_palette(), slo_ms=settings().slo_ms if request is not None else None),
            key="waterfall",
            height=height_px,
        )

    panel(
        f"{ms((operation.ended - operation.began) / timedelta(milliseconds=1))} from end to end",
        answer,
        draw,
        key="trace-waterfall",
        unit="ms",
        note=" ".join(notes),
    )


def show_against_median(answer: Answer, request: Span, typical: Mapping[str, float]) -> None:
    """Draw its phases beside those that are typical, in the half hours around it."""
    spent, palette = phases_ms(request), current_palette()
    variant = request.properties.get("recserve.variant", "")

    def draw(table: Table) -> None:
        altair_chart(
            against_median(spent, typical, palette),
            key="against-median",
            height=against_median_height_px(spent, typical),
        )
        st.html(
            legend(
                [
                    ("this request", "var(--rs-phase-queue)"),
                    ("mean of the requests around the median", "var(--rs-phase-startup)"),
                ]
            )
        )

    total = sum(typical.values())
    rank = _slower_than(answer.table, request.duration_ms) if answer.has_rows else 0.0
    panel(
        f"Slower than {_percent(rank)} of its like; the median takes {ms(total)}"
        if typical
        else "Against a median request",
        answer,
        draw,
        key="against",
        unit="ms",
        note=f"Answered requests of {request.name}{' by ' + variant if variant else ''}, half an hour either way.",
        empty="No like request was answered in the half hours around it.",
    )


def _slower_than(table: Table, duration_ms: float) -> float:
    """The share of the requests of `phases_by_latency` that took less."""
    counts = table["n_requests"]
    return float(counts[table["up_to_ms"] <= duration_ms].sum() / counts.sum())


def _percent(value: float) -> str:
    """Rounded down: nothing is slower than 100 % of its like."""
    for decimals in (0, 1, 2, 3):
        step = 10**decimals
        percent = int(value * 100 * step) / step
        if value < 0.99 or percent % 1:
            return f"{percent:.{decimals}f} %"
    return "99.999 %" if value >= 0.99999 else f"{percent:.0f} %"
