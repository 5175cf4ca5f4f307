"""The start of a process that a request waited for."""

from collections.abc import Mapping
from datetime import datetime, timedelta

import streamlit as st

from console.analysis.trace import EDGE, Span
from console.asking import Answer
from console.charts.trace import cold_start_waterfall, waterfall_height_px
from console.formats import ms
from console.page import altair_chart, current_palette, panel
from console.pieces import legend, links
from console.scope import Scope, link_to
from console.telemetry import Table


def show_cold_start(scope: Scope, around: Mapping[str, Answer], request: Span) -> None:
    """Draw its phases, and when in them the request came.

    Args:
        around: answers to `cold_start_phases` as `start` and to `cold_starts` as `starts`.
    """
    start, starts = around["start"], around["starts"]
    wait_ms = request.measurements.get("wait_ms", request.measurements.get("startup_ms", 0.0))

    def draw(table: Table, known: Table) -> None:
        started: datetime = table.list("started")[0]
        arrived_ms = (request.at - started) / timedelta(milliseconds=1)
        altair_chart(
            cold_start_waterfall(table, current_palette(), arrived_ms=max(arrived_ms, 0.0)),
            key="cold-waterfall",
            height=waterfall_height_px(table.n_rows),
        )
        around_it = link_to("cold_starts", scope, since=started - EDGE, until=request.ended + EDGE)
        ways = [("All cold starts around it", around_it)]
        for row in known.rows():
            if row["process"] == request.process and row["trace"]:
                ways.insert(0, ("This start's own trace", link_to("trace", scope, trace=row["trace"])))
        st.html(
            '<div class="rs-key">'
            + legend(
                [
                    ("done before the request came", "var(--rs-phase-startup)"),
                    ("the request waited for it", "var(--rs-phase-queue)"),
                ]
            )
            + f"{links(ways)}</div>"
        )

    cause = start.table.list("cause")[0] if start.has_rows else ""
    panel(
        f"It waited {ms(wait_ms)} for the start of its process" + (f" ({cause})" if cause else ""),
        [start, starts],
        draw,
        key="cold-start",
        unit="ms",
        empty="The start that it waited for is not in telemetry, or began more than half an hour before.",
    )
