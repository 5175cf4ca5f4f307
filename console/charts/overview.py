"""Overview: latency over time, with what changed below it."""

from collections.abc import Mapping, Sequence
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from console.analysis.changes import INSTANCES, KINDS, LANES, RELEASES, Change
from console.analysis.slo import Worst
from console.charts.base import (
    FONT_SIZE_PX,
    Spec,
    epoch_ms,
    javascript,
    line,
    threshold,
    time_axis,
    time_chart,
    value_axis,
)
from console.charts.log_axes import step_below
from console.palette import Palette
from console.telemetry import Table

LEFT_PX, RIGHT_PX = 74, 16
LANE_PX = 20
SYMBOLS = {"scale_in": "path://M0,0 L10,0 L5,9 Z", "deployment": "diamond", "model": "diamond"}
"Others are triangles that point up on the lane of instances, and circles elsewhere."


def latency_over_time(
    latency: Table,
    changes: Sequence[Change],
    palette: Palette,
    *,
    slo_ms: float,
    since: datetime,
    until: datetime,
    worst: Worst | None,
) -> Spec:
    """Percentiles on a log scale with the SLO, the worst minute and releases; below, a lane for each sort of change.

    Args:
        latency: percentiles over time, in the columns of `latency_percentiles`.
        since: with `until`, the range: the axis shows all of it.
    """
    times_ms = epoch_ms(latency["interval_start"])
    percentiles = {name: latency[f"{name}_ms"] for name in ("p50", "p95", "p99")}
    chart = time_chart(palette, unit="ms", is_log=True)
    ends = {"min": since.timestamp() * 1e3, "max": until.timestamp() * 1e3}
    lanes_px = LANE_PX * len(LANES)
    colours = (palette.series[0], palette.series[2], palette.series[1])
    series = [
        line(name, times_ms, values, colour, z=3)
        for (name, values), colour in zip(percentiles.items(), colours, strict=True)
    ]
    series[-1] |= {"markLine": _marks(changes, palette, slo_ms), "markArea": _worst(worst, palette)}
    return chart | {
        "grid": [
            {"left": LEFT_PX, "right": RIGHT_PX, "top": 36, "bottom": lanes_px + 38},
            {"left": LEFT_PX, "right": RIGHT_PX, "height": lanes_px, "bottom": 4},
        ],
        "axisPointer": {"link": [{"xAxisIndex": "all"}]},
        "xAxis": [
            time_axis(palette) | ends | {"gridIndex": 0},
            time_axis(palette)
            | ends
            | {"gridIndex": 1, "axisLabel": {"show": False}, "axisLine": {"show": False}},
        ],
        "yAxis": [
            value_axis(palette, is_log=True) | {"gridIndex": 0, "min": _floor(percentiles)},
            _lanes(palette),
        ],
        "series": [*series, *_change_marks(changes, palette)],
    }


def _marks(changes: Sequence[Change], palette: Palette, slo_ms: float) -> Spec:
    """The SLO across, and a line down for each release."""
    marks = threshold(slo_ms, f"SLO {slo_ms:g} ms", palette.bad)
    releases = [
        {
            "xAxis": change.since.timestamp() * 1e3,
            "lineStyle": {"color": palette.info, "type": "dotted", "width": 1},
            "label": {"show": False},
        }
        for change in changes
        if KINDS[change.kind].lane == RELEASES
    ]
    return marks | {"data": [*marks["data"], *releases]}


def _worst(worst: Worst | None, palette: Palette) -> Spec:
    if worst is None:
        return {"data": []}
    edges = [{"xAxis": at.timestamp() * 1e3} for at in (worst.since, worst.until)]
    return {
        "silent": True,
        "itemStyle": {
            "color": palette.bad,
            "opacity": 0.18,
            "borderColor": palette.bad,
            "borderWidth": 1,
        },
        "label": {"show": False},
        "data": [edges],
    }


def _lanes(palette: Palette) -> Spec:
    return {
        "gridIndex": 1,
        "type": "category",
        "data": list(LANES),
        "axisLine": {"show": False},
        "axisTick": {"show": False},
        "axisLabel": {"color": palette.muted, "fontSize": FONT_SIZE_PX, "interval": 0},
        "splitLine": {"show": True, "lineStyle": {"color": palette.line, "opacity": 0.5}},
    }


def _change_marks(changes: Sequence[Change], palette: Palette) -> list[Spec]:
    """One series for each kind, so that the tooltip names it; a mark's third number is how many came together."""
    series = []
    for kind, words in KINDS.items():
        data = [[each.since.timestamp() * 1e3, words.lane, each.n] for each in changes if each.kind == kind]
        if not data:
            continue
        other = "triangle" if words.lane == INSTANCES else "circle"
        series.append(
            {
                "type": "scatter",
                "name": words.title,
                "xAxisIndex": 1,
                "yAxisIndex": 1,
                "data": data,
                "symbol": SYMBOLS.get(kind, other),
                "symbolSize": 9,
                "itemStyle": {"color": palette.tone(words.tone)},
                "encode": {"x": 0, "y": 1, "tooltip": [2]},
                "tooltip": {"valueFormatter": _count_of()},
                "emphasis": {"disabled": True},
            }
        )
    return series


def _count_of() -> str:
    """JavaScript: how many changes a mark is."""
    return javascript("function (v) { return v > 1 ? '× ' + v : ''; }")


def _floor(percentiles: Mapping[str, NDArray[np.float64]]) -> float | None:
    """A round start of the scale below all values: a log axis starts at a power of ten otherwise, half of it empty."""
    known = np.concatenate([values[np.isfinite(values) & (values > 0)] for values in percentiles.values()])
    if not known.size:
        return None
    return step_below(float(known.min()))
