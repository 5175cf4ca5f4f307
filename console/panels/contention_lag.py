"""What the event loop's lag did to latency."""

from datetime import timedelta

import numpy as np
import streamlit as st

from console.analysis.correlation import Correlation, rank_correlation
from console.asking import Answer
from console.behind import clicked_place, show_requests_behind
from console.charts.contention import lag_scatter
from console.formats import ms
from console.page import echart, panel
from console.palette import Palette
from console.pieces import nothing
from console.scope import Scope
from console.settings import settings
from console.telemetry import Table, table_of

SEED = 8


def show_lag(answers: dict[str, Answer], scope: Scope, palette: Palette, width: timedelta) -> None:
    """Draw lag against p99, a point an instance and interval."""
    joined = _lag_and_latency(answers["contention"].table, answers["latency"].table)
    title, note = _lag_said(joined)

    def draw(*_: Table) -> None:
        if not joined.n_rows:
            st.html(nothing("No interval has both a lag and answered requests."))
            return
        chart = lag_scatter(joined, palette, slo_ms=settings().slo_ms)
        touched = echart(chart, key="lag", height=280, label="Loop lag against p99", click=True)
        place = clicked_place(touched, instance_at=2, start_at=5)
        if place is not None:
            show_requests_behind(place, scope, width)

    panel(
        title,
        [answers["contention"], answers["latency"]],
        draw,
        key="contention-lag",
        unit="ms",
        note=note,
        csv=joined.csv,
        empty="No instance told of its event loop in this range.",
    )


def _lag_and_latency(contention: Table, latency: Table) -> Table:
    """Points with both, joined by interval and instance."""
    if not contention.n_rows or not latency.n_rows:
        return table_of({})
    lags = {
        (at, instance): lag
        for at, instance, lag in zip(
            contention["interval_start"].tolist(),
            contention["instance"].tolist(),
            contention["longest_loop_lag_ms"].tolist(),
            strict=True,
        )
    }
    keys = zip(latency["interval_start"].tolist(), latency["instance"].tolist(), strict=True)
    lag_ms = np.array([lags.get(key, np.nan) for key in keys], dtype=float)
    kept = (lag_ms > 0) & (latency["p99_ms"] > 0)
    columns = ("interval_start", "instance", "n_requests", "p99_ms")
    return Table((*columns, "lag_ms"), (*(latency[name][kept] for name in columns), lag_ms[kept]))


def _lag_said(joined: Table) -> tuple[str, str]:
    """What lag did to latency: by the intervals in which it passed the SLO, and else by correlation."""
    slo_ms, found = settings().slo_ms, _correlate(joined)
    if found is None:
        return "Does latency follow the event loop's lag?", "Too few intervals with both to tell."
    note = (
        f"Rank correlation {found.value:.2f}, 95 % interval {found.low:.2f} to {found.high:.2f}, over "
        f"{found.n_points:,} points. It tells of both together, not which causes which."
    )
    is_late = joined["lag_ms"] > slo_ms
    if is_late.any() and not is_late.all():
        late, rest = (float(np.median(joined["p99_ms"][mask])) for mask in (is_late, ~is_late))
        n = int(is_late.sum())
        counted = f"{n} interval{'s' if n != 1 else ''} with a lag over {ms(slo_ms)}"
        return f"In {counted}, p99 was {ms(late)}; elsewhere {ms(rest)}", note
    if found.is_strong:
        return "Latency follows the event loop's lag", note
    if found.is_positive:
        return "Latency rises somewhat with the event loop's lag", note
    return "Latency does not follow the event loop's lag", note


def _correlate(joined: Table) -> Correlation | None:
    if not joined.n_rows:
        return None
    return rank_correlation(
        joined["lag_ms"], joined["p99_ms"], moments=joined["interval_start"], rng=np.random.default_rng(SEED)
    )
