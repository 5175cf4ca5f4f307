"""Contention: which instance lacked what, and when; and what that did to latency."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from console.analysis.saturation import Resource
from console.charts.base import (
    FONT,
    FONT_SIZE_PX,
    Spec,
    category_axis,
    epoch_ms,
    grid,
    line,
    threshold,
    time_chart,
    tooltip,
)
from console.charts.log_axes import log_axis
from console.formats import ms
from console.palette import Palette
from console.telemetry import Table

ROW_PX = 17
MOST_ROWS = 24
"Instances in the heatmap; more are a wall of stripes."
MOST_LABELS = 12
LABEL_STEPS_MIN = (1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1440, 2880, 10_080, 20_160)


def resource_heatmap(table: Table, resource: Resource, palette: Palette, *, interval_ms: float) -> Spec:
    """Instances below each other, time to the right, colour by how near the resource is to its mark.

    A cell carries its column and row, its value, its start (ms since the epoch) and its instance.

    Args:
        table: of `contention.kql`, of the instances that are to be drawn.
        interval_ms: width of a cell; columns without any sample are empty.
    """
    values = resource.read(table)
    starts = np.asarray(epoch_ms(table["interval_start"]))
    instances = list(dict.fromkeys(table["instance"].tolist()))
    first = float(starts.min())
    n_columns = int((starts.max() - first) // interval_ms) + 1
    columns = ((starts - first) // interval_ms).astype(int)
    rows = {instance: row for row, instance in enumerate(instances)}
    moments = _moments(starts, "%d %b %H:%M")
    cells = [
        [int(column), rows[instance], float(f"{value:.4g}"), start, instance, resource.written(value), at]
        for column, instance, value, start, at in zip(
            columns, table["instance"].tolist(), values, starts.tolist(), moments, strict=True
        )
        if np.isfinite(value)
    ]
    edges = first + interval_ms * np.arange(n_columns)
    return {
        "animation": False,
        "textStyle": {"fontFamily": FONT, "fontSize": FONT_SIZE_PX},
        "grid": grid(has_legend=False) | {"top": 6, "bottom": 46},
        "tooltip": tooltip(palette, trigger="item") | {"valueFormatter": None},
        "xAxis": _round_times(palette, edges),
        "yAxis": category_axis(palette, instances) | {"inverse": True, "axisLine": {"show": False}},
        "visualMap": {
            "type": "continuous",
            "min": 0,
            # The colours of warning begin at the mark: 6 of the 8 colours lie below it.
            "max": resource.mark * 7 / 6,
            "dimension": 2,
            "calculable": False,
            "orient": "horizontal",
            "left": "center",
            "bottom": 0,
            "itemWidth": 10,
            "itemHeight": 160,
            "precision": 2,
            "text": [f"saturated: {resource.written(resource.mark)}", "0"],
            "textGap": 8,
            "textStyle": {"color": palette.muted, "fontSize": FONT_SIZE_PX},
            "inRange": {"color": list(palette.scale)},
        },
        "series": [
            {
                "type": "heatmap",
                "name": resource.title,
                "dimensions": ["column", "row", "value", "start", "instance", resource.measure, "at (UTC)"],
                "encode": {"x": 0, "y": 1, "tooltip": [4, 6, 5]},
                "data": cells,
                "itemStyle": {"borderWidth": 1 if n_columns <= 130 else 0, "borderColor": palette.background},
                "emphasis": {"itemStyle": {"borderColor": palette.text, "borderWidth": 1.5}},
                "progressive": 0,
            }
        ],
    }


def heatmap_height(n_instances: int) -> int:
    """Pixels for so many rows, with axis and legend."""
    return max(ROW_PX * n_instances, 64) + 84


def lag_scatter(table: Table, palette: Palette, *, slo_ms: float) -> Spec:
    """The longest wait for the event loop against p99, a point an instance and interval; both logarithmic.

    Args:
        table: with lag_ms, p99_ms, n_requests, instance and interval_start; of finite positive numbers.
    """
    starts = epoch_ms(table["interval_start"])
    points = [
        [float(f"{lag:.4g}"), float(f"{p99:.4g}"), instance, at, f"{n:,.0f}", start]
        for lag, p99, instance, at, n, start in zip(
            table["lag_ms"].tolist(),
            table["p99_ms"].tolist(),
            table["instance"].tolist(),
            _moments(np.asarray(starts), "%d %b %H:%M:%S"),
            table["n_requests"].tolist(),
            starts,
            strict=True,
        )
    ]
    return {
        "animation": False,
        "textStyle": {"fontFamily": FONT, "fontSize": FONT_SIZE_PX},
        "grid": grid(has_legend=False) | {"bottom": 24},
        "tooltip": tooltip(palette, trigger="item") | {"valueFormatter": None},
        "xAxis": log_axis(palette, table["lag_ms"])
        | {
            "name": "longest loop lag, ms",
            "nameLocation": "middle",
            "nameGap": 26,
            "nameTextStyle": {"color": palette.muted, "fontSize": FONT_SIZE_PX},
        },
        "yAxis": log_axis(palette, table["p99_ms"], slo_ms),
        "series": [
            {
                "type": "scatter",
                "name": "p99",
                "symbolSize": 6,
                "dimensions": ["lag, ms", "p99, ms", "instance", "at (UTC)", "requests", "start"],
                "encode": {"x": 0, "y": 1, "tooltip": [3, 2, 0, 1, 4]},
                "data": points,
                "itemStyle": {"color": palette.accent, "opacity": 0.55},
                "emphasis": {"itemStyle": {"opacity": 1, "borderColor": palette.text, "borderWidth": 1}},
                "markLine": threshold(slo_ms, f"SLO {ms(slo_ms)}", palette.warn),
            }
        ],
    }


def memory_lines(
    times: NDArray[Any], most_mib: NDArray[Any], mean_mib: NDArray[Any], limit_mib: float, palette: Palette
) -> Spec:
    """The fullest instance and the mean one, below the limit: the room between is what is left."""
    at = epoch_ms(times)
    fullest = line("fullest instance", at, most_mib, palette.series[0], is_area=True)
    chart = time_chart(palette, unit="MiB")
    if np.isfinite(limit_mib):
        fullest["markLine"] = threshold(limit_mib, f"limit {limit_mib:,.0f} MiB", palette.bad)
        chart["yAxis"] |= {
            "min": 0,
            "max": float(limit_mib) * 1.08,
            "axisLabel": chart["yAxis"]["axisLabel"] | {"showMaxLabel": False},
        }
    chart["series"] = [fullest, line("mean", at, mean_mib, palette.muted)]
    return chart


def imbalance_line(times: NDArray[Any], ratio: NDArray[Any], palette: Palette) -> Spec:
    """The busiest instance's processor use, of the mean's; 1 is even."""
    chart = time_chart(palette, legend=False)
    known = ratio[np.isfinite(ratio)]
    # An even hour is a flat line, not a mountain range of thousandths; the highest point is below the edge.
    chart["yAxis"] |= {
        "min": 1,
        "max": max(2.0, float(np.floor(known.max() * 2) / 2) + 0.5 if len(known) else 2.0),
    }
    # Where two are seldom at work at once, few values have one beside them that a line could go to.
    chart["series"] = [line("busiest / mean", epoch_ms(times), ratio, palette.series[2], showSymbol=True)]
    return chart


def resource_spark(times: NDArray[Any], most: NDArray[Any]) -> list[float]:
    """For a tile: at most 60 values, each the most of its stretch."""
    if len(times) <= 60:
        return [float(value) for value in most]
    parts = np.array_split(most, 60)
    return [float(np.nanmax(part)) if np.isfinite(part).any() else float("nan") for part in parts]


def _round_times(palette: Palette, edges_ms: NDArray[Any]) -> Spec:
    """A column for each interval; labels only at round times of day, at most `MOST_LABELS` of them."""
    minutes = edges_ms / 60e3
    length = float(minutes[-1] - minutes[0]) + 1
    step = next((step for step in LABEL_STEPS_MIN if length / step <= MOST_LABELS), LABEL_STEPS_MIN[-1])
    words = _moments(edges_ms, "%d %b" if step >= 1440 else "%H:%M")
    # An interval that a round time falls into carries it, even where intervals begin beside round times.
    numbers = minutes // step
    is_first = np.append(minutes[0] % step == 0, np.diff(numbers) > 0)
    axis = category_axis(
        palette, [word if first else "" for word, first in zip(words, is_first, strict=True)]
    )
    axis["axisLabel"] |= {"interval": 0, "hideOverlap": False}
    return axis


def _moments(starts_ms: NDArray[Any], pattern: str) -> list[str]:
    return [at.strftime(pattern) for at in starts_ms.astype("datetime64[ms]").astype(object)]
