"""Micro-batches: how large they were, and why."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from console.charts.base import FONT, FONT_SIZE_PX, Spec, category_axis, grid, legend_of, tooltip, value_axis
from console.palette import Palette
from console.telemetry import Table

DISPATCHES: Mapping[str, str] = {
    "idle": "the model was free: everyone who had come by then",
    "drained": "the model had been busy: everyone who waited meanwhile",
    "full": "more waited; as large as a batch may be",
    "knee": "more waited; a larger batch was not worth its latency",
    "deadline": "more waited; a larger batch would have made the first late",
    "isolated": "the half of a batch that failed",
}
"Why a micro-batch had its size."
SIZES = ((1, 1), (2, 2), (3, 4), (5, 8), (9, 16), (17, 32), (33, 10**9))


def batch_bars(table: Table, palette: Palette) -> Spec:
    """Share of requests by the size of their batch, stacked by why it had that size."""
    sizes, n = table["batch_size"], table["n_requests"]
    total = max(float(n.sum()), 1.0)
    labels = [
        f"{low}" if low == high else f"{low}+" if high >= 10**9 else f"{low}–{high}" for low, high in SIZES
    ]
    places = np.searchsorted([high for _, high in SIZES], sizes)
    last = int(places.max()) + 1
    series = []
    for dispatch, colour in zip(_dispatches(table), palette.series, strict=False):
        mask = table["dispatch"] == dispatch
        counts = np.bincount(places[mask], n[mask], minlength=last)[:last]
        series.append(
            {
                "type": "bar",
                "stack": "all",
                "name": dispatch or "not told",
                "data": [float(f"{100 * count / total:.4g}") for count in counts],
                "itemStyle": {"color": colour},
                "barCategoryGap": "25%",
                "emphasis": {"disabled": True},
            }
        )
    return {
        "animation": False,
        "textStyle": {"fontFamily": FONT, "fontSize": FONT_SIZE_PX},
        "grid": grid() | {"bottom": 24},
        "legend": legend_of(palette),
        "tooltip": tooltip(palette, unit="%"),
        "xAxis": category_axis(palette, labels[:last])
        | {
            "name": "requests in the batch",
            "nameLocation": "middle",
            "nameGap": 26,
            "nameTextStyle": {"color": palette.muted, "fontSize": FONT_SIZE_PX},
        },
        "yAxis": value_axis(palette),
        "series": series,
    }


def dispatch_rows(table: Table) -> list[list[str | float | None]]:
    """By dispatch reason: its name, meaning, share of the requests, mean batch, queue and model run (ms)."""
    n = table["n_requests"]
    total = float(n.sum())
    rows: list[list[str | float | None]] = []
    for dispatch in _dispatches(table):
        mask = table["dispatch"] == dispatch
        there = float(n[mask].sum())
        means = [
            _mean(table[name][mask], n[mask]) for name in ("batch_size", "mean_queue_ms", "mean_infer_ms")
        ]
        rows.append([dispatch or "not told", DISPATCHES.get(dispatch, ""), there / total, *means])
    return rows


def _dispatches(table: Table) -> Sequence[str]:
    """Those that occur, in the order of `DISPATCHES`."""
    there = set(table["dispatch"].tolist())
    return [name for name in DISPATCHES if name in there] + sorted(there - DISPATCHES.keys())


def _mean(values: NDArray[Any], weights: NDArray[Any]) -> float | None:
    known = np.isfinite(values)
    return float(np.average(values[known], weights=weights[known])) if weights[known].sum() > 0 else None
