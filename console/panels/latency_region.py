"""The requests of a region of the heatmap, and what else there is of that time."""

from datetime import timedelta

import streamlit as st

from console.analysis.region import NAMES, LatencyRegion
from console.asking import Question, ask
from console.charts.requests import request_table
from console.formats import number
from console.page import panel
from console.pieces import links
from console.scope import Scope, link_to
from console.telemetry import Table

N_PICKED = 15
N_AT_MOST = 200
"Rows of `slow_requests`."


def show_region(scope: Scope, region: LatencyRegion) -> None:
    """Draw its requests, the ways on from it, and the way back."""
    answer = ask(
        scope,
        since=region.since,
        until=region.until,
        picked=Question("slow_requests", least_ms=region.least_ms, most_ms=region.most_ms),
    )["picked"]
    rows = answer.table
    n, weight = rows.n_rows, float(rows["weight"].sum()) if rows.n_rows else 0.0
    if n >= N_AT_MOST:
        told = f"The slowest {N_AT_MOST} that were kept; narrow the selection to see others."
    elif n:
        told = f"{number(n)} kept requests, which stand for {number(weight)}."
    else:
        told = ""

    def draw(table: Table) -> None:
        st.html(request_table(scope, table, most=N_PICKED))
        if n > N_PICKED:
            st.html(f'<p class="rs-note">{N_PICKED} of {n} are shown; the download holds all.</p>')

    panel(
        f"Selected: {region.label}",
        answer,
        draw,
        key="region",
        note=told,
        empty="No request began in that time and took that long.",
    )
    with st.container(key="region-acts", horizontal=True, gap="small"):
        margin = max((region.until - region.since) / 2, timedelta(seconds=30))
        places = (
            ("Zoom the page to this time", "latency", region.since, region.until),
            ("Instances at that time", "contention", region.since - margin, region.until + margin),
            ("Load at that time", "concurrency", region.since - margin, region.until + margin),
        )
        st.html(
            links(
                [
                    (text, link_to(view, scope, since=since, until=until))
                    for text, view, since, until in places
                ]
            )
        )
        if st.button("Clear the selection", type="tertiary", icon=":material/close:", key="clear-region"):
            for name in NAMES:
                st.query_params.pop(name, None)
            st.rerun()
