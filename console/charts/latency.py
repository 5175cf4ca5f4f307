"""Latency: what median and tail consist of, and variants beside each other."""

from collections.abc import Mapping, Sequence

import altair as alt
import numpy as np

from console.analysis.latency import PHASES, Compared
from console.charts.base import FONT_SIZE_PX
from console.charts.log_axes import ticks_between
from console.formats import ms
from console.palette import Palette

AXIS_PX = 30
"Height of an axis below bars."


def phase_bars(bands: Mapping[str, Mapping[str, float]], palette: Palette) -> alt.LayerChart:
    """What requests at several percentiles spend their time on, one stacked bar each.

    Args:
        bands: milliseconds by phase column (`queue_ms`), by the name of the percentile, from the top.
    """
    rows = [
        {
            "band": band,
            "order": order,
            "phase": phase,
            "meaning": PHASES[phase],
            "duration_ms": means[f"{phase}_ms"],
            "share": means[f"{phase}_ms"] / max(sum(means.values()), 1e-9),
        }
        for band, means in bands.items()
        for order, phase in enumerate(PHASES)
    ]
    totals_ms = {band: sum(means.values()) for band, means in bands.items()}
    totals = [
        {"band": band, "total_ms": total_ms, "label": ms(total_ms)} for band, total_ms in totals_ms.items()
    ]
    longest = max(totals_ms.values(), default=1.0)
    x = alt.X(
        "duration_ms:Q",
        stack="zero",
        title=None,
        axis=alt.Axis(tickCount=6, domain=False),
        scale=alt.Scale(domain=[0, longest * 1.14], nice=False),
    )
    y = alt.Y("band:N", sort=None, title=None, axis=alt.Axis(domain=False, ticks=False, grid=False))
    bars = (
        alt.Chart(alt.InlineData(values=rows))
        .mark_bar(height=22)
        .encode(
            x=x,
            y=y,
            color=alt.Color(
                "phase:N",
                scale=alt.Scale(domain=list(PHASES), range=[palette.phase(phase) for phase in PHASES]),
                legend=None,
            ),
            order=alt.Order("order:Q"),
            tooltip=[
                alt.Tooltip("band:N", title="requests"),
                alt.Tooltip("meaning:N", title="spent on"),
                alt.Tooltip("duration_ms:Q", title="ms", format=".2f"),
                alt.Tooltip("share:Q", title="of their time", format=".0%"),
            ],
        )
    )
    labels = (
        alt.Chart(alt.InlineData(values=totals))
        .mark_text(align="left", dx=6, fontSize=FONT_SIZE_PX, fontWeight=600, color=palette.text)
        .encode(x=alt.X("total_ms:Q"), y=y, text="label:N")
    )
    return alt.LayerChart(layer=[bars, labels])


def variant_ranges(compared: Sequence[Compared], palette: Palette, *, slo_ms: float) -> alt.LayerChart:
    """Each variant's latencies from p50 to p99 on a log axis, with the interval of its p99."""
    rows = [
        {
            "variant": each.label,
            "p50_ms": each.p50.value_ms,
            "p95_ms": each.p95.value_ms,
            "p99_ms": each.p99.value_ms,
            "low_ms": each.p99.low_ms,
            "high_ms": each.p99.high_ms if each.p99.is_bounded else each.p99.value_ms,
            "n": each.n_requests,
        }
        for each in compared
    ]
    low = min(slo_ms, *(each.p50.value_ms for each in compared)) * 0.85
    high = max(slo_ms, *(max(each.p99.value_ms, np.nan_to_num(each.p99.high_ms)) for each in compared)) * 1.15
    x = alt.X(
        "p50_ms:Q",
        title=None,
        scale=alt.Scale(type="log", domain=[low, high], nice=False),
        axis=alt.Axis(values=ticks_between(low, high), domain=False, format="~r"),
    )
    y = alt.Y(
        "variant:N",
        sort=None,
        title=None,
        axis=alt.Axis(domain=False, ticks=False, grid=False, labelLimit=220),
    )
    base = alt.Chart(alt.InlineData(values=rows))
    hints = [
        alt.Tooltip("variant:N", title="variant"),
        *(alt.Tooltip(f"{name}_ms:Q", title=f"{name}, ms", format=".3~r") for name in ("p50", "p95", "p99")),
        alt.Tooltip("n:Q", title="requests", format=",.0f"),
    ]
    span = base.mark_rule(color=palette.line, strokeWidth=6).encode(x=x, x2="p99_ms:Q", y=y, tooltip=hints)
    sure = base.mark_rule(color=palette.bad, strokeWidth=1.5).encode(x="low_ms:Q", x2="high_ms:Q", y=y)
    points = [
        base.mark_point(filled=True, opacity=1, size=size, color=colour, shape=shape).encode(
            x=f"{name}_ms:Q", y=y, tooltip=hints
        )
        for name, colour, size, shape in (
            ("p50", palette.text, 55, "circle"),
            ("p95", palette.warn, 55, "diamond"),
            ("p99", palette.bad, 70, "square"),
        )
    ]
    slo = (
        alt.Chart(alt.InlineData(values=[{"slo_ms": slo_ms}]))
        .mark_rule(color=palette.muted, strokeDash=[4, 3])
        .encode(x="slo_ms:Q")
    )
    return alt.LayerChart(layer=[span, slo, sure, *points])
