"""Models and quality: rungs against each other, how they were followed, and which of them answered when."""

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import numpy as np

from console.analysis.ladder import BROWNOUT, Following, frontier
from console.api_values import Rung
from console.charts.base import Spec, bars, epoch_ms, line, time_chart
from console.formats import number, share
from console.palette import Palette
from console.telemetry import Table

ROW_PX = 40


def variant_colours(variants: Sequence[str], palette: Palette) -> dict[str, str]:
    """A colour for each variant, in the order given; ochre stays free for brownout."""
    free = [colour for place, colour in enumerate(palette.series) if place != 1]
    return {name: free[place % len(free)] for place, name in enumerate(variants)}


def frontier_chart(
    rungs: Sequence[Rung], serving: Sequence[str], colours: Mapping[str, str], palette: Palette
) -> alt.LayerChart:
    """Quality against latency; size as area, the interval of quality as a line, what serves filled.

    Args:
        rungs: at least one.
        serving: names of those that answer.
    """
    best = frontier(rungs)
    by_latency = sorted(rungs, key=lambda rung: rung.latency_ms)
    rows: list[dict[str, Any]] = [
        {
            "name": rung.name,
            "latency_ms": rung.latency_ms,
            "ndcg": rung.ndcg,
            "low": rung.ndcg if rung.ndcg_low is None else rung.ndcg_low,
            "high": rung.ndcg if rung.ndcg_high is None else rung.ndcg_high,
            "megabytes": rung.n_bytes / 1e6,
            "role": "answers" if rung.name in serving else "at hand",
            # Names of neighbours stand above and below in turn: rungs of one ladder are often close.
            "is_above": place % 2 == 0,
        }
        for place, rung in enumerate(by_latency)
    ]
    on_front = [row | {"front": "front"} for row in rows if row["name"] in best]
    data = alt.InlineData(values=rows)
    names = list(colours)
    x = alt.X(
        "latency_ms:Q",
        title="Latency of one run for one user, ms (log)",
        scale=alt.Scale(type="log", nice=False, padding=30),
        axis=alt.Axis(grid=False, tickCount=6, format="~g", labelOverlap=True),
    )
    y = alt.Y(
        "ndcg:Q",
        title="NDCG@10, held out",
        scale=alt.Scale(zero=False, padding=18),
        axis=alt.Axis(tickCount=5, format=".2f", titlePadding=10),
    )
    colour = alt.Color(
        "name:N", scale=alt.Scale(domain=names, range=[colours[name] for name in names]), legend=None
    )
    tooltip = [
        alt.Tooltip("name:N", title="rung"),
        alt.Tooltip("ndcg:Q", title="NDCG@10", format=".4f"),
        alt.Tooltip("low:Q", title="95 % from", format=".4f"),
        alt.Tooltip("high:Q", title="to", format=".4f"),
        alt.Tooltip("latency_ms:Q", title="ms", format=".3f"),
        alt.Tooltip("megabytes:Q", title="MB", format=".2f"),
        alt.Tooltip("role:N", title="role"),
    ]
    front = (
        alt.Chart(alt.InlineData(values=on_front))
        .mark_line(strokeDash=[4, 3], color=palette.muted, strokeWidth=1.2)
        .encode(x=x, y=y)
    )
    intervals = (
        alt.Chart(data)
        .mark_rule(strokeWidth=1.4, opacity=0.55)
        .encode(x=x, y=alt.Y("low:Q", title="NDCG@10, held out"), y2="high:Q", color=colour)
    )
    base = alt.Chart(data).encode(x=x, y=y, tooltip=tooltip)
    points = base.mark_point(filled=True, opacity=0.95, strokeWidth=2).encode(
        stroke=colour,
        fill=alt.condition("datum.role == 'answers'", colour, alt.value(palette.background)),
        size=alt.Size("megabytes:Q", scale=alt.Scale(domainMin=0, range=[50, 520]), legend=None),
    )
    named = [
        alt.Chart(data)
        .transform_filter(f"{'' if is_above else '!'}datum.is_above")
        .mark_text(dy=-14 if is_above else 16, fontSize=12, fontWeight=600, color=palette.text)
        .encode(x=x, y=alt.Y("high:Q" if is_above else "low:Q", title="NDCG@10, held out"), text="name:N")
        for is_above in (True, False)
    ]
    return alt.LayerChart(layer=[front, intervals, points, *named])


def rate_chart(
    rows: Sequence[Following], rate: str, order: Sequence[str], colours: Mapping[str, str], palette: Palette
) -> alt.LayerChart:
    """A rate of each variant with its interval, best rung at the top.

    Args:
        rate: `hit_rate` or `click_through`.
        order: of the variants.
    """
    drawn: list[dict[str, Any]] = [
        {
            "variant": row.variant,
            "rate": value,
            "low": getattr(row, f"{rate}_low"),
            "high": getattr(row, f"{rate}_high"),
            "text": share(value),
            "n": row.n_known if rate == "hit_rate" else row.n_answers,
        }
        for row in rows
        if np.isfinite(value := getattr(row, rate))
    ]
    data = alt.InlineData(values=drawn)
    names = [name for name in order if name in {row["variant"] for row in drawn}]
    y = alt.Y("variant:N", sort=names, title=None, axis=alt.Axis(ticks=False, domain=False, labelPadding=8))
    most = max((row["high"] for row in drawn), default=1.0)
    x = alt.X(
        "rate:Q",
        title=None,
        # Room at the right for the figures.
        scale=alt.Scale(domain=[0, most * 1.3], nice=False),
        axis=alt.Axis(format=".1~%", tickCount=4, domain=False, ticks=False),
    )
    colour = alt.Color(
        "variant:N", scale=alt.Scale(domain=names, range=[colours[name] for name in names]), legend=None
    )
    tooltip = [
        alt.Tooltip("variant:N", title="variant"),
        alt.Tooltip("rate:Q", title="rate", format=".2%"),
        alt.Tooltip("low:Q", title="95 % from", format=".2%"),
        alt.Tooltip("high:Q", title="to", format=".2%"),
        alt.Tooltip("n:Q", title="of", format=",.0f"),
    ]
    base = alt.Chart(data).encode(y=y, tooltip=tooltip)
    intervals = base.mark_rule(strokeWidth=5, opacity=0.3).encode(
        x=alt.X("low:Q", title=None), x2="high:Q", color=colour
    )
    points = base.mark_point(filled=True, size=70, opacity=1).encode(x=x, color=colour)
    figures = base.mark_text(align="left", dx=8, fontSize=12, color=palette.text).encode(
        x=alt.X("high:Q", title=None), text="text:N"
    )
    return alt.LayerChart(layer=[intervals, points, figures])


def served_mix(served: Table, order: Sequence[str], colours: Mapping[str, str], palette: Palette) -> Spec:
    """Which share of each interval's answers a variant gave; answers by brownout stand apart, in ochre.

    Args:
        served: from `variants.kql`.
        order: of the variants, the bottom of the stack first.
    """
    starts = np.unique(served["interval_start"])
    totals = np.bincount(np.searchsorted(starts, served["interval_start"]), served["n_requests"], len(starts))
    times = epoch_ms(starts)
    is_brownout = served["reason"] == BROWNOUT

    def shares(rows: Any) -> Any:
        counts = np.bincount(
            np.searchsorted(starts, served["interval_start"][rows]), served["n_requests"][rows], len(starts)
        )
        return 100 * counts / totals

    series = [
        bars(name, times, shares(own), colours[name])
        for name in order
        if (own := (served["variant"] == name) & ~is_brownout).any()
    ]
    series += [
        bars(f"{name}, brownout", times, shares(own), palette.warn)
        for name in order
        if (own := (served["variant"] == name) & is_brownout).any()
    ]
    chart = time_chart(palette, unit="%")
    chart["yAxis"] |= {"max": 100, "interval": 25}
    for each in series:
        each["barCategoryGap"] = "8%"
    return chart | {"series": series}


def overlap_chart(shadow: Table, colours: Mapping[str, str], palette: Palette) -> Spec:
    """Over time, the share of the items shown that the shadow would have shown too; one line a shadow."""
    chart = time_chart(palette, unit="%", legend=len(set(shadow["variant"])) > 1)
    chart["yAxis"] |= {"min": 0, "max": 100, "interval": 25}
    return chart | {
        "series": [
            line(
                name,
                epoch_ms(shadow["interval_start"][own]),
                100 * shadow["mean_overlap"][own],
                colours[name],
                is_area=True,
            )
            for name in sorted(set(shadow["variant"]))
            if (own := shadow["variant"] == name).any()
        ]
    }


def size(n_bytes: float) -> str:
    """`2.2 MB`, `43 kB`."""
    return f"{n_bytes / 1e6:.1f} MB" if n_bytes >= 1e6 else f"{number(n_bytes / 1e3)} kB"


def chart_height(n_rows: int) -> int:
    """Of a `rate_chart`, px."""
    return max(n_rows, 2) * ROW_PX + 24
