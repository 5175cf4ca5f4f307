"""Every request by time and latency, and the selection of some of them."""

from datetime import UTC, datetime

import streamlit as st

from console.analysis.region import LatencyRegion, read_region, region_of
from console.asking import Answer
from console.charts.latency_heatmap import heatmap, heatmap_legend
from console.page import Region, current_palette, echart, panel, say
from console.pieces import legend
from console.scope import Scope
from console.settings import settings
from console.telemetry import Table

MOST_TYPED_MS = 1e7
_DRAGGED = "_latency_dragged"


def show_heatmap(scope: Scope, histogram: Answer) -> str:
    """Draw it, and take what is dragged in it to the address; a sentence if the address was of no use."""
    palette = current_palette()
    region, complaint = read_region(st.query_params.to_dict())

    def draw(table: Table) -> Region | None:
        dragged = echart(
            heatmap(
                table,
                palette,
                interval=scope.interval,
                since=scope.since,
                until=scope.until,
                slo_ms=settings().slo_ms,
                region=region,
            ),
            key="heatmap",
            height=330,
            brush=True,
            label="Answered requests by time and latency, with p50, p99 and the SLO.",
        )
        with st.container(
            key="heatmap-foot",
            horizontal=True,
            vertical_alignment="center",
            horizontal_alignment="distribute",
        ):
            st.html(
                '<div class="rs-key"><span class="rs-beside">Requests in a cell</span>'
                f"{legend(heatmap_legend(table, palette))}</div>"
            )
            _show_region_form(scope, region)
        return dragged if isinstance(dragged, Region) else None

    dragged = panel(
        "Every answered request, by when it came and how long it took",
        histogram,
        draw,
        key="latency-heatmap",
        unit="ms, log scale",
        note="Drag over a part of it to list the requests in there; the address is then a link to them.",
        empty="No request was answered in this range. Choose a longer one in the bar above.",
    )
    if dragged is not None and dragged != st.session_state.get(_DRAGGED):
        st.session_state[_DRAGGED] = dragged
        _select(
            region_of(dragged.x_from, dragged.x_to, 10**dragged.y_from, 10**dragged.y_to),
        )
        return ""
    return complaint


def _show_region_form(scope: Scope, region: LatencyRegion | None) -> None:
    """The same without a mouse."""
    with (
        st.popover("Select by numbers", type="tertiary", icon=":material/crop_free:", width="content"),
        st.form("region", border=False),
    ):
        shown = region or LatencyRegion(scope.since, scope.until, settings().slo_ms, 10_000.0)
        first, last = st.columns(2, wrap=False)
        since = first.datetime_input("From, UTC", shown.since.replace(tzinfo=None), step=60)
        until = last.datetime_input("To, UTC", shown.until.replace(tzinfo=None), step=60)
        least_ms = first.number_input(
            "Took at least, ms", 0.0, MOST_TYPED_MS, min(shown.least_ms, MOST_TYPED_MS)
        )
        most_ms = last.number_input("At most, ms", 0.0, MOST_TYPED_MS, min(shown.most_ms, MOST_TYPED_MS))
        if st.form_submit_button("List these requests", type="primary"):
            assert isinstance(since, datetime)
            assert isinstance(until, datetime)
            if since >= until or least_ms >= most_ms:
                say("The second time and the second latency are the larger ones.", "warn", compact=True)
            else:
                _select(
                    LatencyRegion(since.replace(tzinfo=UTC), until.replace(tzinfo=UTC), least_ms, most_ms)
                )
                st.rerun()


def _select(region: LatencyRegion) -> None:
    st.query_params.update(region.params())  # one by one, each would be a step of the browser's back button
