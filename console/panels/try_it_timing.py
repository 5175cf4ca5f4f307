"""How long an answer took, on what, and the way to its trace."""

from datetime import UTC, datetime, timedelta

import streamlit as st

from console.api_values import Answer
from console.charts.answers import phase_bar
from console.page import current_palette
from console.pieces import anchor
from console.scope import Selection, link_to, resolve
from console.settings import settings

TRACE_WITHIN = timedelta(minutes=5)
"Of the answer, either way: what its trace's link covers."


def show_timing(answer: Answer) -> None:
    """How long the answer took, and what the server did in its part of that time."""
    st.subheader("Where the time went", anchor=False)
    round_trip, server, elsewhere = st.columns(3)
    round_trip.metric(
        "Round trip",
        f"{answer.round_trip_ms:.1f} ms",
        help="From sending the question to having read the whole answer, measured by this console.",
    )
    if not answer.phases:
        st.caption("The answer has no `server-timing` header, so the server's part of it is unknown.")
        return
    server.metric(
        "In the app",
        f"{answer.server_ms:.1f} ms",
        help="The sum of the phases below, from the answer's `server-timing` header.",
    )
    elsewhere.metric(
        "On the way",
        f"{max(answer.round_trip_ms - answer.server_ms, 0):.1f} ms",
        help="The rest: network, Functions host, and this console's own HTTP client.",
    )
    st.altair_chart(phase_bar(answer.phases, current_palette()), width="stretch")


def show_trace_link(answer: Answer) -> None:
    """Where telemetry tells what happened in this answer; nothing where there is no telemetry."""
    sources = settings().sources
    if not sources or not answer.trace_id:
        return
    now = datetime.now(UTC)
    around = Selection(since=now - TRACE_WITHIN, until=now + TRACE_WITHIN)
    link = link_to("trace", resolve(around, sources, now), trace=answer.trace_id)
    st.html(
        f'<p class="trace-of-answer">{anchor("Open the trace of this answer", link)}: every phase, and its '
        "instance at that moment. Telemetry has it after some seconds, in Azure after a few minutes.</p>"
    )
