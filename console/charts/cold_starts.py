"""Cold starts: where their time goes, which requests waited, and how long instances lived."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import altair as alt
import numpy as np
from numpy.typing import NDArray

from console.charts.base import Spec, bars, epoch_ms, time_chart
from console.formats import moment, ms
from console.palette import Palette
from console.telemetry import Table

THREADS = ("imports the app", "builds the service", "loads models", "afterwards")
"What the phases of a start run on, three threads beside each other; telemetry comes when all is done."
ASIDE = ("wait", "models", "telemetry")
"Phases that shorten no start: a thread waits for another one, or the process is ready already."
FEWEST_FOR_P95 = 5
"The 95th percentile of fewer starts is their longest."
MOST_PHASES = 18
ROW_PX = 22
WATERFALL_PX = 330
AROUND_PX = 66
"Legend and axis, which Streamlit counts as parts of the height."
MOST_INSTANCES = 24
STATES: Mapping[str, tuple[str, str]] = {
    "starting": ("starting", "starting"),
    "pre_warmed": ("pre-warmed", "pre-warmed"),
    "active": ("active", "ready"),
    "draining": ("draining", "idle"),
    "seen": ("seen by its heartbeats", "busy"),
}
"The plan's states: how they are called here, and the colour of `Palette.states` that they have."


@dataclass(frozen=True, slots=True)
class Stay:
    """An instance in one state."""

    instance: str
    state: str
    "A key of `STATES`."
    since: datetime
    until: datetime


def thread_of(phase: str) -> str:
    """Which of `THREADS` a phase of a start runs on."""
    if phase == "telemetry":
        return THREADS[3]
    if phase == "model_read" or phase.startswith(("session ", "first_inference ")):
        return THREADS[2]
    if phase in (
        "interpreter",
        "import recserve",
        "wait",
        "import azure.functions",
        "import function_app",
        "host",
    ):
        return THREADS[0]
    return THREADS[1]


def longest_phase(summary: Table) -> tuple[str, float] | None:
    """The phase that takes longest in the median, and its milliseconds; those of `ASIDE` do not count."""
    is_work = ~np.isin(summary["phase"].astype(str), ASIDE)
    if not is_work.any():
        return None
    worked = summary.where(is_work)
    at = int(np.nanargmax(worked["median_ms"]))
    return str(worked["phase"][at]), float(worked["median_ms"][at])


def phase_waterfall(summary: Table, palette: Palette) -> alt.LayerChart | alt.FacetChart:
    """Phases below each other, each from where it begins in the median: a bar to the median, a paler one to p95."""
    rows = summary.rows()
    if len(rows) > MOST_PHASES:
        kept = sorted(rows, key=lambda row: row["p95_ms"], reverse=True)[:MOST_PHASES]
        rows = [row for row in rows if row in kept]
    threads = [thread for thread in THREADS if any(thread_of(row["phase"]) == thread for row in rows)]
    values = [
        {
            "phase": row["phase"],
            "thread": thread_of(row["phase"]),
            "after": row["median_after_ms"],
            "median_end": row["median_after_ms"] + row["median_ms"],
            "p95_end": row["median_after_ms"]
            + row["p95_ms" if row["n_starts"] >= FEWEST_FOR_P95 else "median_ms"],
            "label": ms(row["median_ms"])
            + (f", p95 {ms(row['p95_ms'])}" if row["n_starts"] >= FEWEST_FOR_P95 else ""),
            "starts": row["n_starts"],
        }
        for row in rows
    ]
    # Labels stand right of the bars: a third of the width is theirs.
    right = max((row["p95_end"] for row in values), default=1.0) * 1.42
    # The paths of a thread by the colours of request phases that mean the same: models, building, imports.
    colours = dict(
        zip(THREADS, (palette.series[2], palette.series[1], palette.series[0], palette.muted), strict=True)
    )
    ends = max((row["p95_end"] for row in values), default=1.0)
    base = alt.Chart(alt.InlineData(values=values)).encode(
        y=alt.Y(
            "phase:N",
            sort=[row["phase"] for row in rows],
            title=None,
            axis=alt.Axis(labelLimit=220, ticks=False, domain=False, labelPadding=8),
        ),
        color=alt.Color(
            "thread:N",
            scale=alt.Scale(domain=threads, range=[colours[thread] for thread in threads]),
            legend=alt.Legend(
                title=None, orient="top", symbolType="square", symbolOpacity=1, offset=2, columns=4
            ),
        ),
        tooltip=[
            alt.Tooltip("phase:N"),
            alt.Tooltip("thread:N", title="the thread that"),
            alt.Tooltip("label:N", title="takes"),
            alt.Tooltip("after:Q", title="begins after, ms", format=",.0f"),
            alt.Tooltip("starts:Q", title="starts"),
        ],
    )
    axis = alt.X(
        "after:Q",
        title="ms after the process began",
        scale=alt.Scale(domain=[0, right], nice=False),
        axis=alt.Axis(tickCount=6, format=",.0f", values=_ticks(ends)),
    )
    return alt.layer(
        base.mark_bar(height=13, opacity=0.28, cornerRadius=1).encode(x=axis, x2="p95_end:Q"),
        base.mark_bar(height=13, cornerRadius=1).encode(x=axis, x2="median_end:Q"),
        base.mark_text(align="left", dx=6, fontSize=11).encode(
            x=alt.X("p95_end:Q"), text="label:N", color=alt.value(palette.muted)
        ),
    ).properties(height=_row_px(len(rows)) * max(len(rows), 1) + AROUND_PX)


def impact_bars(table: Table, palette: Palette) -> Spec:
    """Requests that waited for a start, by interval: those that kept the SLO all the same, and those that did not."""
    at = epoch_ms(table["interval_start"])
    over = table["n_impacted_over"]
    chart = time_chart(palette)
    chart["yAxis"] |= {"min": 0, "minInterval": 1}
    chart["series"] = [
        bars("waited, over the SLO", at, over, palette.bad),
        bars("waited, within the SLO", at, table["n_impacted"] - over, palette.series[0]),
    ]
    return chart


def stays(states: Table, seen: Table, *, since: datetime, until: datetime) -> list[Stay]:
    """Which instance was in which state when, within a range.

    Args:
        states: of `instance_states.kql`, in the order of time.
        seen: of `instances.kql`: instances that the plan tells nothing of are there while they are heard.
    """
    found: list[Stay] = []
    told: dict[str, list[dict[str, Any]]] = {}
    for row in states.rows():
        told.setdefault(row["instance"], []).append(row)
    for instance, events in told.items():
        first = events[0]
        if first["from_state"] in STATES:
            begun = first["at"] - timedelta(
                seconds=first["in_state_s"] or (first["at"] - since).total_seconds()
            )
            found.append(Stay(instance, first["from_state"], begun, first["at"]))
        for event, following in zip(events, [*events[1:], None], strict=True):
            if event["to_state"] in STATES:
                found.append(
                    Stay(instance, event["to_state"], event["at"], following["at"] if following else until)
                )
    found += [
        Stay(row["instance"], "seen", row["first_seen"], row["last_seen"])
        for row in seen.rows()
        if row["instance"] not in told
    ]
    return [
        Stay(stay.instance, stay.state, max(stay.since, since), min(stay.until, until))
        for stay in found
        if min(stay.until, until) > max(stay.since, since)
    ]


def lifetime_chart(
    found: Sequence[Stay], starts: Table, palette: Palette, *, since: datetime, until: datetime
) -> alt.LayerChart | alt.FacetChart:
    """Instances below each other, a bar a state; a triangle where a process starts, red where a request waited."""
    names = shown_instances(found)
    kept = set(names)
    states = [state for state in STATES if any(stay.state == state for stay in found)]
    values = [
        {
            "instance": stay.instance,
            "state": STATES[stay.state][0],
            "since": _iso(stay.since),
            "until": _iso(stay.until),
            "said": f"{moment(stay.since)} to {moment(stay.until)} UTC",
        }
        for stay in found
        if stay.instance in kept
    ]
    scale = alt.Scale(
        domain=[STATES[state][0] for state in states],
        range=[palette.states[STATES[state][1]] for state in states],
    )
    rows = alt.Y(
        "instance:N",
        sort=names,
        title=None,
        axis=alt.Axis(labelLimit=200, ticks=False, domain=False, labelPadding=8),
    )
    reach = alt.Scale(domain=[_iso(since), _iso(until)], type="utc", nice=False)
    axis = alt.Axis(format="%d %b" if until - since > timedelta(days=2) else "%H:%M", tickCount=8, grid=True)
    bars_of = (
        alt.Chart(alt.InlineData(values=values))
        .mark_bar(height=10)
        .encode(
            y=rows,
            x=alt.X("since:T", title=None, scale=reach, axis=axis),
            x2="until:T",
            color=alt.Color(
                "state:N",
                scale=scale,
                legend=alt.Legend(title=None, orient="top", symbolType="square", offset=2),
            ),
            tooltip=[
                alt.Tooltip("instance:N"),
                alt.Tooltip("state:N"),
                alt.Tooltip("said:N", title="from"),
            ],
        )
    )
    marks = [
        {
            "instance": row["instance"],
            "started": _iso(row["started"]),
            "hurt": bool(row["n_impacted"]),
            "said": f"{row['cause']}, ready after {ms(row['ready_ms'])}, {row['n_impacted'] or 0:.0f} requests waited",
        }
        for row in starts.rows()
        if row["instance"] in kept and since <= row["started"] <= until
    ]
    pins = (
        alt.Chart(alt.InlineData(values=marks))
        .mark_point(shape="triangle-down", filled=True, size=55, yOffset=-9, opacity=1)
        .encode(
            y=rows,
            x=alt.X("started:T", scale=reach, axis=axis),
            color=alt.condition("datum.hurt", alt.value(palette.bad), alt.value(palette.muted)),
            tooltip=[alt.Tooltip("instance:N"), alt.Tooltip("said:N", title="start")],
        )
    )
    return alt.layer(bars_of, pins).properties(height=ROW_PX * max(len(names), 1) + AROUND_PX)


def shown_instances(found: Sequence[Stay]) -> list[str]:
    """The instances that have a row: in the order they came, the latest `MOST_INSTANCES`."""
    first: dict[str, datetime] = {}
    for stay in found:
        first[stay.instance] = min(stay.since, first.get(stay.instance, stay.since))
    return sorted(first, key=lambda name: (first[name], len(name), name))[-MOST_INSTANCES:]


def cause_rows(starts: Table) -> list[list[str | float | None]]:
    """By cause: its name, starts, their share, how many a request drove, median ready (ms), requests impacted."""
    causes = starts["cause"].astype(str)
    rows: list[list[str | float | None]] = []
    for cause, n in Counter(causes.tolist()).most_common():
        mask = causes == cause
        ready: NDArray[Any] = starts["ready_ms"][mask]
        rows.append(
            [
                cause.replace("_", " ") or "not told",
                float(n),
                n / starts.n_rows,
                float((starts["driver"][mask] == "request").sum()),
                float(np.nanmedian(ready)) if np.isfinite(ready).any() else None,
                float(np.nansum(starts["n_impacted"][mask])),
            ]
        )
    return rows


def budget_spent(n_over: float, n_requests: float, *, slo_share: float) -> float | None:
    """Share of the range's error budget that so many requests over the SLO use up; None without requests.

    The budget is (1 - slo_share) x requests: 1 is all of it.
    """
    budget = (1 - slo_share) * n_requests
    return n_over / budget if budget > 0 else None


def _row_px(n_rows: int) -> float:
    """Rows fill the height of what stands beside them, as far as that reads well."""
    return min(max(WATERFALL_PX / max(n_rows, 1), ROW_PX), 30)


def _ticks(end: float) -> list[float]:
    """Round places up to the end: the room right of it is for labels, not for numbers."""
    step = 10.0 ** np.floor(np.log10(max(end, 1e-6)))
    for divisor in (5, 2, 1):
        if end / (step / divisor) <= 6:
            return [float(tick) for tick in np.arange(0, end + step / divisor * 1e-6, step / divisor)]
    return [float(tick) for tick in np.arange(0, end + step * 1e-6, 2 * step)]


def _iso(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
