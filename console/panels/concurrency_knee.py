"""In flight against p99, and the knee that is fitted to it."""

from datetime import timedelta

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from console.analysis.knee import Knee, NoKnee, find_knee
from console.asking import Answer
from console.behind import clicked_place, show_requests_behind
from console.charts.concurrency_knee import knee_scatter
from console.formats import length
from console.page import echart, panel
from console.palette import Palette
from console.panels.concurrency_finding import is_wide, written
from console.scope import Scope
from console.settings import settings
from console.telemetry import Table

SEED = 8


def fit(points: Table) -> Knee | NoKnee:
    """The knee of `in_flight_latency`, or why there is none."""
    if not points.n_rows:
        return NoKnee("no request was answered")
    return _fit_cached(
        points["mean_in_flight"],
        points["p99_ms"],
        points["n_requests"],
        points["interval_start"].astype(np.int64),
    )


@st.cache_data(ttl=600, max_entries=50, show_spinner=False)
def _fit_cached(
    in_flight: NDArray[np.float64],
    p99_ms: NDArray[np.float64],
    n_requests: NDArray[np.float64],
    moments: NDArray[np.int64],
) -> Knee | NoKnee:
    return find_knee(in_flight, p99_ms, n_requests, moments=moments, rng=np.random.default_rng(SEED))


def show_knee(
    answer: Answer,
    found: Knee | NoKnee,
    limit: float | None,
    scope: Scope,
    palette: Palette,
    width: timedelta,
) -> None:
    """Draw a point an instance and interval; a click leads to its requests."""

    def draw(table: Table) -> None:
        chart = knee_scatter(table, found, palette, slo_ms=settings().slo_ms, limit=limit)
        touched = echart(chart, key="knee", height=360, label="In flight against p99", click=True)
        place = clicked_place(touched, instance_at=3, start_at=5)
        if place is not None and scope.since - width <= place.since <= scope.until:
            show_requests_behind(place, scope, width)
        else:
            st.html(
                '<p class="rs-hint">Click a point to see the slowest requests of that instance and time.</p>'
            )

    note = f"A point is an instance in {length(width)}."
    if isinstance(found, Knee):
        note += (
            f" From the knee on, p99 grows {np.expm1(found.after):.0%} with each further request in flight; "
            f"{found.n_points:,} points."
        )
    else:
        note += f" {found.reason[0].upper()}{found.reason[1:]}."
    panel(
        _title(found),
        answer,
        draw,
        key="concurrency-knee",
        unit="ms",
        note=note,
        empty="No request was answered in this range.",
    )


def _title(found: Knee | NoKnee) -> str:
    if found.low is None or found.high is None:
        return "No knee in these data"
    between = f"p99 breaks between {written(found.low)} and {written(found.high)} in flight"
    if isinstance(found, NoKnee):
        return f"{between}, no closer"
    return between if is_wide(found) else f"p99 breaks at {written(found.in_flight)} in flight"
