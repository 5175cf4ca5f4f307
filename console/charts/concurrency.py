"""Concurrency: at what number in flight latency breaks, what there was to take it, and what was refused."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from console.analysis.knee import FEWEST_REQUESTS, Knee, NoKnee
from console.charts.base import (
    FONT,
    FONT_SIZE_PX,
    Spec,
    bars,
    category_axis,
    epoch_ms,
    grid,
    legend_of,
    line,
    threshold,
    time_chart,
    tooltip,
    value_axis,
)
from console.charts.log_axes import log_axis
from console.formats import ms
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
BROWNOUT = "brownout"
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


def instance_lines(
    times: NDArray[Any],
    ready: NDArray[Any],
    busy: NDArray[Any],
    needed: NDArray[Any],
    palette: Palette,
    *,
    wanted: tuple[NDArray[Any], NDArray[Any]] | None = None,
) -> Spec:
    """Instances that there were, that worked, and that the load needed.

    Args:
        wanted: moments and numbers of the plan's own decisions, where it tells them.
    """
    at = epoch_ms(times)
    chart = time_chart(palette)
    chart["yAxis"] |= {"min": 0, "minInterval": 1}
    chart["series"] = [
        line("ready", at, ready, palette.states["ready"], is_area=True, step="end"),
        line("busy", at, busy, palette.states["busy"], step="end"),
        line("needed", at, needed, palette.warn, step="end"),
    ]
    if wanted is not None:
        moments, numbers = wanted
        colour = palette.muted
        chart["series"].append(
            {
                "type": "scatter",
                "name": "wanted by the plan",
                "symbol": "diamond",
                "symbolSize": 7,
                "data": [[when, n] for when, n in zip(epoch_ms(moments), numbers.tolist(), strict=True)],
                "itemStyle": {"color": colour},
            }
        )
    return chart


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


def refusal_bars(load: Table, refusals: Table, brownout: Table, palette: Palette) -> Spec:
    """Percent of the requests that were shed, that failed, or that a lower rung answered because of the load.

    Args:
        load: of `requests.kql`: every interval with traffic.
        refusals: of `refusals.kql`.
        brownout: of `variants.kql`, the rows whose reason is brownout.
    """
    starts = load["interval_start"]
    at = epoch_ms(starts)
    chart = time_chart(palette, unit="%")
    chart["yAxis"] |= {"min": 0}
    series = []
    if brownout.n_rows:
        series.append(bars("answered by a lower rung", at, _percent(load, brownout), palette.warn))
    is_shed = refusals["outcome"] == "shed" if refusals.n_rows else np.zeros(0, dtype=bool)
    reasons = sorted(set(refusals["reason"][is_shed].tolist())) if refusals.n_rows else []
    colours = (palette.info, palette.series[3], palette.series[5], palette.series[7])
    for reason, colour in zip(reasons, colours, strict=False):
        chosen = refusals.where(is_shed & (refusals["reason"] == reason))
        series.append(bars(f"shed: {words(reason)}", at, _percent(load, chosen), colour))
    if refusals.n_rows and (~is_shed).any():
        series.append(bars("failed", at, _percent(load, refusals.where(~is_shed)), palette.bad))
    chart["series"] = series
    return chart


def words(name: str) -> str:
    """A name of telemetry as one would say it: `queueing_delay` is `queueing delay`."""
    return (name or "no reason").replace("_", " ")


def needed_instances(in_flight: NDArray[Any], each: float) -> NDArray[np.float64]:
    """Instances that so many in flight would fill, at least one where there is anything at all."""
    return np.where(in_flight > 0, np.maximum(np.ceil(in_flight / each - 1e-9), 1.0), 0.0)


def _percent(load: Table, part: Table) -> NDArray[np.float64]:
    """Requests of the part, in percent of all, by the intervals of the load."""
    starts = load["interval_start"]
    places = np.searchsorted(starts, part["interval_start"])
    inside = places < len(starts)
    counts = np.bincount(places[inside], part["n_requests"][inside], minlength=len(starts))
    return np.asarray(100 * counts / np.maximum(load["n_requests"], 1), dtype=float)


def _dispatches(table: Table) -> Sequence[str]:
    """Those that occur, in the order of `DISPATCHES`."""
    there = set(table["dispatch"].tolist())
    return [name for name in DISPATCHES if name in there] + sorted(there - DISPATCHES.keys())


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


def _mean(values: NDArray[Any], weights: NDArray[Any]) -> float | None:
    known = np.isfinite(values)
    return float(np.average(values[known], weights=weights[known])) if weights[known].sum() > 0 else None
