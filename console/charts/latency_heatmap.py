"""Requests by time and latency, with p50, p99 and the SLO over them."""

import math
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from console.analysis.latency import GROWTH
from console.analysis.quantiles import coarser, quantiles_over_time
from console.analysis.region import LatencyRegion
from console.charts.base import FONT_SIZE_PX, Spec, epoch_ms, javascript, line, threshold, time_chart
from console.charts.log_axes import ticks_between
from console.formats import ms
from console.palette import Palette
from console.telemetry import Table

MERGED = 3
"So many of them are one cell of the heatmap."
LONGEST_GAP = 4
"Intervals without requests that a line crosses."
FEW_POINTS = 40
"Up to so many are marked: a line of one is none."


def heatmap(
    table: Table,
    palette: Palette,
    *,
    interval: timedelta,
    since: datetime,
    until: datetime,
    slo_ms: float,
    region: LatencyRegion | None = None,
) -> Spec:
    """Requests by time and latency, p50, p99 and the SLO over them. Latencies are drawn as their log10.

    Args:
        table: `latency_histogram` with `GROWTH`.
        region: drawn as a frame.
    """
    raw = (table["interval_start"], table["bucket"], table["n_requests"])
    times, buckets, counts = coarser(*raw, MERGED)
    height = MERGED * math.log10(GROWTH)
    tops = buckets * height
    levels = _levels(counts, len(_colours(palette)))
    starts = np.unique(table["interval_start"])
    p50, p99 = (np.log10(quantiles_over_time(*raw, share, growth=GROWTH)) for share in (0.5, 0.99))
    low = min(float((tops - height).min()), math.log10(slo_ms)) - height / 2
    high = max(float(tops.max()), math.log10(slo_ms)) + height
    spec = time_chart(palette, unit="ms", legend=False)
    spec["grid"] |= {"right": 44}
    spec["xAxis"] |= {"min": since.timestamp() * 1e3, "max": until.timestamp() * 1e3}
    spec["yAxis"] |= _log_axis(low, high)
    spec["tooltip"] |= {"trigger": "item", "formatter": _js_cell(interval, height)}
    cells = zip(epoch_ms(times), (tops - height).tolist(), counts.tolist(), levels.tolist(), strict=True)
    spec["series"] = [
        {
            "type": "custom",
            "name": "requests",
            "renderItem": _js_rectangle(interval, height, _colours(palette)),
            "encode": {"x": 0, "y": 1},
            "data": [[at, round(bottom, 4), n, level] for at, bottom, n, level in cells],
            "animation": False,
        },
        _percentile("p50", *_broken(starts, p50, interval), palette.background, palette.text, palette),
        _percentile("p99", *_broken(starts, p99, interval), palette.bad, palette.bad, palette)
        | {"markLine": _slo_line(slo_ms, palette)}
        | ({"markArea": _frame(region, low, high, palette)} if region else {}),
    ]
    return spec


def heatmap_legend(table: Table, palette: Palette) -> list[tuple[str, str]]:
    """What the heatmap's colours mean: requests in a cell, on a scale of equal ratios."""
    _, _, counts = coarser(table["interval_start"], table["bucket"], table["n_requests"], MERGED)
    colours = _colours(palette)
    most = max(float(counts.max()), 2.0)
    starts = [most ** (level / len(colours)) for level in range(len(colours))]
    return [
        (f"from {_count(start)}" if level else f"{_count(start)} request", colour)
        for level, (start, colour) in enumerate(zip(starts, colours, strict=True))
    ]


def _log_axis(low: float, high: float) -> Spec:
    at = [round(math.log10(tick), 6) for tick in ticks_between(10**low, 10**high)]
    return {
        "min": low,
        "max": high,
        "axisTick": {"show": False, "customValues": at},
        "axisLabel": {
            "customValues": at,
            "fontSize": FONT_SIZE_PX,
            "hideOverlap": True,
            "formatter": javascript(
                "function (v) { return Number(Math.pow(10, v).toPrecision(1)).toLocaleString('en-GB'); }"
            ),
        },
    }


def _percentile(
    name: str, times_ms: Sequence[float], logs: Any, colour: str, label: str, palette: Palette
) -> Spec:
    return line(name, times_ms, logs, colour) | {
        "silent": True,
        "showSymbol": len(times_ms) <= FEW_POINTS,
        "symbolSize": 4,
        "tooltip": {"show": False},
        "lineStyle": {"width": 1.8, "color": colour},
        "endLabel": {
            "show": True,
            "formatter": name,
            "color": label,
            "fontSize": FONT_SIZE_PX,
            "fontWeight": 600,
            "textBorderColor": palette.background,
            "textBorderWidth": 3,
        },
        "z": 5,
    }


def _slo_line(slo_ms: float, palette: Palette) -> Spec:
    spec = threshold(round(math.log10(slo_ms), 6), f"SLO {ms(slo_ms)}", palette.text)
    spec["label"] |= {
        "position": "insideStartTop",
        "textBorderColor": palette.background,
        "textBorderWidth": 3,
    }
    return spec


def _frame(region: LatencyRegion, low: float, high: float, palette: Palette) -> Spec:
    bottom = max(math.log10(region.least_ms), low) if region.least_ms > 0 else low
    return {
        "silent": True,
        "itemStyle": {"color": "transparent", "borderColor": palette.text, "borderWidth": 1.5},
        "data": [
            [
                {"xAxis": region.since.timestamp() * 1e3, "yAxis": bottom},
                {"xAxis": region.until.timestamp() * 1e3, "yAxis": min(math.log10(region.most_ms), high)},
            ]
        ],
    }


def _levels(counts: Any, n_levels: int) -> Any:
    """Which colour a count gets: equal ratios from 1 to the most."""
    most = max(float(counts.max()), 2.0) if len(counts) else 2.0
    shares = np.log(np.maximum(counts, 1)) / math.log(most)
    return np.minimum((shares * n_levels).astype(int), n_levels - 1)


def _colours(palette: Palette) -> tuple[str, ...]:
    """Without the scale's warm end: many requests are no alarm."""
    return palette.scale[1:6]


def _broken(starts: Any, values: Any, interval: timedelta) -> tuple[list[float], Any]:
    """Middles of the intervals with their values, and none in between where intervals are missing."""
    width_ms = interval.total_seconds() * 1e3
    middles = np.array(epoch_ms(starts)) + width_ms / 2
    after = np.flatnonzero(np.diff(middles) > LONGEST_GAP * width_ms)
    return np.insert(middles, after + 1, middles[after] + width_ms).tolist(), np.insert(
        values, after + 1, np.nan
    )


def _count(n: float) -> str:
    return f"{max(round(n), 1):,}"


def _js_rectangle(interval: timedelta, height: float, colours: Sequence[str]) -> str:
    width_ms = interval.total_seconds() * 1e3
    return javascript(
        "function (params, api) {"
        f"var colours = {list(colours)!r}, box = params.coordSys;"
        "var from = api.coord([api.value(0), api.value(1)]);"
        f"var to = api.coord([api.value(0) + {width_ms:.0f}, api.value(1) + {height:.6f}]);"
        "var left = Math.max(Math.floor(from[0]), box.x), right = Math.min(Math.floor(to[0]), box.x + box.width);"
        "var top = Math.max(Math.floor(to[1]), box.y), bottom = Math.min(Math.floor(from[1]), box.y + box.height);"
        "if (right <= left || bottom <= top) { return null; }"
        'return {type: "rect", shape: {x: left, y: top, width: right - left, height: bottom - top},'
        " style: {fill: colours[api.value(3)]}}; }"
    )


def _js_cell(interval: timedelta, height: float) -> str:
    width_ms = interval.total_seconds() * 1e3
    return javascript(
        "function (params) { if (!Array.isArray(params.value) || params.value.length < 4) { return ''; }"
        "var v = params.value, clock = function (t) { return new Date(t).toISOString().slice(11, 19); };"
        "var size = function (x) { return Number(Math.pow(10, x).toPrecision(3)).toLocaleString('en-GB'); };"
        f"return clock(v[0]) + ' – ' + clock(v[0] + {width_ms:.0f}) + ' UTC<br>' + size(v[1]) + ' to '"
        f" + size(v[1] + {height:.6f}) + ' ms<br><b>' + Math.round(v[2]).toLocaleString('en-GB') + '</b> requests'; }}"
    )  # fmt: skip
