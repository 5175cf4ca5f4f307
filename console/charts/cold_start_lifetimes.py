"""How long instances lived, and in which states."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import altair as alt

from console.analysis.lifetimes import STATES, Stay
from console.charts.cold_starts import AROUND_PX, ROW_PX
from console.formats import moment, ms
from console.palette import Palette
from console.telemetry import Table

MOST_INSTANCES = 24


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


def _iso(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
