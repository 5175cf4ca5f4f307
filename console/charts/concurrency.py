"""Instances over time against what the load needed, and what was refused."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from console.charts.base import Spec, bars, epoch_ms, line, time_chart
from console.palette import Palette
from console.telemetry import Table


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


def _percent(load: Table, part: Table) -> NDArray[np.float64]:
    """Requests of the part, in percent of all, by the intervals of the load."""
    starts = load["interval_start"]
    places = np.searchsorted(starts, part["interval_start"])
    inside = places < len(starts)
    counts = np.bincount(places[inside], part["n_requests"][inside], minlength=len(starts))
    return np.asarray(100 * counts / np.maximum(load["n_requests"], 1), dtype=float)
