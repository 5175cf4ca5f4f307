"""In flight against p99, the fitted knee, and what bounds both."""

import numpy as np

from console.analysis.knee import FEWEST_REQUESTS, Knee, NoKnee
from console.charts.base import (
    FONT,
    FONT_SIZE_PX,
    Spec,
    epoch_ms,
    grid,
    legend_of,
    threshold,
    tooltip,
    value_axis,
)
from console.charts.log_axes import log_axis
from console.formats import ms
from console.palette import Palette
from console.telemetry import Table

FARTHEST_LIMIT = 2.0
"A limit up to so many times the most in flight is drawn; one farther would squeeze the points together."


def knee_scatter(
    table: Table, found: Knee | NoKnee, palette: Palette, *, slo_ms: float, limit: float | None
) -> Spec:
    """In flight against p99, a point an instance and interval, with the fitted line and what bounds it.

    A point carries in flight, p99, moment, instance, requests and its start (ms since the epoch).

    Args:
        table: of `in_flight_latency.kql`; points of few requests are drawn paler.
        limit: what the limiter allows; left out where it is far from every point.
    """
    x = table["mean_in_flight"]
    # Room for the knee's interval, and for the limit where it is near.
    widest = float(np.nanmax(x)) * 1.06
    shown_limit = limit if limit is not None and limit <= FARTHEST_LIMIT * widest else None
    right = _round_up(max(widest, (shown_limit or 0) * 1.04))
    series: list[Spec] = []
    is_past = x > found.in_flight if isinstance(found, Knee) else np.zeros(len(x), dtype=bool)
    is_few = table["n_requests"] < FEWEST_REQUESTS
    below = "below the knee" if isinstance(found, Knee) else "an instance and interval"
    for name, mask, colour, opacity in (
        (below, ~is_past & ~is_few, palette.accent, 0.55),
        ("above the knee", is_past & ~is_few, palette.bad, 0.6),
        (f"fewer than {FEWEST_REQUESTS} requests: not fitted", is_few, palette.muted, 0.3),
    ):
        if mask.any():
            series.append(_points(name, table.where(mask), colour, opacity))
    series[0]["markLine"] = threshold(slo_ms, f"SLO {ms(slo_ms)}", palette.warn)
    if shown_limit is not None:
        series[0]["markLine"]["data"].append(_upright(shown_limit, f"limit {shown_limit:.0f}", palette.info))
    if isinstance(found, NoKnee) and found.low is not None and found.high is not None:
        series[0]["markArea"] = _band(found.low, found.high, palette)
    if isinstance(found, Knee):
        series.append(_fitted(found, float(np.nanmin(x)), float(np.nanmax(x)), palette))
    return {
        "animation": False,
        "textStyle": {"fontFamily": FONT, "fontSize": FONT_SIZE_PX},
        "grid": grid() | {"bottom": 24},
        "legend": legend_of(palette),
        "tooltip": tooltip(palette, trigger="item") | {"valueFormatter": None},
        "xAxis": value_axis(palette)
        | {
            "name": "mean in flight when a request came",
            "nameLocation": "middle",
            "nameGap": 26,
            "nameTextStyle": {"color": palette.muted, "fontSize": FONT_SIZE_PX},
            "min": 0,
            "max": right,
            "splitLine": {"show": False},
        },
        "yAxis": log_axis(palette, table["p99_ms"], slo_ms),
        "series": series,
    }


def _points(name: str, table: Table, colour: str, opacity: float) -> Spec:
    starts = epoch_ms(table["interval_start"])
    moments = [
        at.strftime("%d %b %H:%M:%S")
        for at in table["interval_start"].astype("datetime64[ms]").astype(object)
    ]
    rows = zip(
        table["mean_in_flight"].tolist(),
        table["p99_ms"].tolist(),
        moments,
        table["instance"].tolist(),
        table["n_requests"].tolist(),
        starts,
        strict=True,
    )
    return {
        "type": "scatter",
        "name": name,
        "symbolSize": 6,
        "dimensions": ["in flight", "p99, ms", "at (UTC)", "instance", "requests", "start"],
        "encode": {"x": 0, "y": 1, "tooltip": [2, 3, 0, 1, 4]},
        "data": [
            [float(f"{x:.4g}"), float(f"{y:.4g}"), moment, instance, f"{n:,.0f}", start]
            for x, y, moment, instance, n, start in rows
        ],
        "itemStyle": {"color": colour, "opacity": opacity},
        "emphasis": {"itemStyle": {"opacity": 1}},
    }


def _fitted(knee: Knee, left: float, right: float, palette: Palette) -> Spec:
    """The line with its bend, and the interval of the bend as a band."""
    xs = np.array([left, knee.in_flight, right])
    return {
        "type": "line",
        "name": "fitted line, 95 % interval of the knee",
        "data": [
            [float(f"{x:.4g}"), float(f"{y:.4g}")] for x, y in zip(xs, knee.latency_ms_at(xs), strict=True)
        ],
        "showSymbol": False,
        "silent": True,
        "tooltip": {"show": False},
        "z": 5,
        "lineStyle": {"width": 2, "color": palette.text},
        "itemStyle": {"color": palette.text},
        "emphasis": {"disabled": True},
        "markArea": _band(knee.low, knee.high, palette),
        "markLine": threshold(0, "", palette.text)
        | {"data": [_upright(knee.in_flight, f"knee {knee.in_flight:.1f}", palette.text)]},
    }


def _band(low: float, high: float, palette: Palette) -> Spec:
    """Where the knee is, as far as the points tell."""
    return {
        "silent": True,
        "itemStyle": {"color": palette.text, "opacity": 0.08},
        "data": [[{"xAxis": low}, {"xAxis": high}]],
    }


def _upright(value: float, label: str, colour: str) -> Spec:
    return {
        "xAxis": value,
        "lineStyle": {"color": colour},
        "label": {
            "formatter": label,
            "color": colour,
            "position": "end",
            "distance": 4,
            "fontSize": FONT_SIZE_PX,
        },
    }


def _round_up(value: float) -> float:
    """The next number of one figure, so that the last tick is one like the others."""
    decade = 10.0 ** np.floor(np.log10(max(value, 1e-9)))
    return float(
        min(step for step in (1, 2, 3, 4, 5, 6, 8, 10) if step * decade >= value * (1 - 1e-9)) * decade
    )
