"""Trace: the waterfall of an operation, its phases against a median request's, the start that it waited for."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import timedelta
from html import escape
from typing import Any

import altair as alt

from console.analysis.properties import Property
from console.analysis.trace import Operation
from console.analysis.trace_steps import ALL_PHASES, LEAST_MS, Step
from console.charts.base import FONT_SIZE_PX
from console.formats import ms
from console.palette import Palette
from console.pieces import Column, Row, data_table
from console.telemetry import Table

ROW_HEIGHT_PX = 24
AXIS_HEIGHT_PX = 40
"Room for the axis below the bars and for a mark above them."
THIS, MEDIAN = "this request", "median request"
_ROOM = 1.14
"The axis goes so far beyond the last bar, for its label."


def waterfall(steps: Sequence[Step], palette: Palette, *, slo_ms: float | None = None) -> alt.LayerChart:
    """Steps as bars over time, in their order; each with what it took.

    Args:
        slo_ms: marked where it falls into the picture; None where nothing is promised.
    """
    labels = _distinct([step.label for step in steps])
    rows = [
        {
            "label": label,
            "after_ms": step.after_ms,
            "end_ms": step.after_ms + step.took_ms,
            "took_ms": step.took_ms,
            "said": ms(step.took_ms),
            "meaning": step.meaning or step.label,
            "colour": _colour(step, palette),
        }
        for label, step in zip(labels, steps, strict=True)
    ]
    end_ms = max((step.after_ms + step.took_ms for step in steps), default=1.0)
    rules = [("SLO", slo_ms, palette.bad)] if slo_ms is not None and slo_ms < end_ms else []
    return _bars(rows, labels, end_ms, palette, rules)


def cold_start_waterfall(
    phases: Table, palette: Palette, *, arrived_ms: float | None = None
) -> alt.LayerChart:
    """The phases of one start; what ended after the request came stands out.

    Args:
        phases: `cold_start_phases` of one process, by start.
        arrived_ms: when the request came, after the start of the process.
    """
    names = [str(name) for name in phases.list("phase")]
    labels = _distinct(names)
    after = [value or 0.0 for value in phases.list("after_ms")]
    took = [value or 0.0 for value in phases.list("phase_ms")]
    rows = [
        {
            "label": label,
            "after_ms": begin,
            "end_ms": begin + length,
            "took_ms": length,
            "said": ms(length),
            "meaning": "before the request came"
            if arrived_ms is not None and begin + length <= arrived_ms
            else "the request waited for it"
            if arrived_ms is not None
            else name,
            "colour": palette.phase("startup")
            if arrived_ms is not None and begin + length <= arrived_ms
            else palette.phase("queue"),
        }
        for label, name, begin, length in zip(labels, names, after, took, strict=True)
    ]
    end_ms = max((begin + length for begin, length in zip(after, took, strict=True)), default=1.0)
    rules = [("the request came", arrived_ms, palette.bad)] if arrived_ms is not None else []
    return _bars(rows, labels, max(end_ms, arrived_ms or 0.0), palette, rules)


def against_median(
    spent: Mapping[str, float], typical: Mapping[str, float], palette: Palette
) -> alt.LayerChart:
    """Two bars for each phase: this request's and a median one's, ms.

    Args:
        spent: by phase (`queue`).
        typical: by phase column (`queue_ms`).
    """
    phases = _compared_phases(spent, typical)
    rows = [
        {"phase": phase, "whose": whose, "took_ms": took, "said": ms(took), "meaning": ALL_PHASES[phase]}
        for phase in phases
        for whose, took in ((THIS, spent.get(phase, 0.0)), (MEDIAN, typical.get(f"{phase}_ms", 0.0)))
    ]
    longest = max((float(row["took_ms"]) for row in rows), default=1.0) or 1.0  # type: ignore[arg-type]
    base = alt.Chart(alt.InlineData(values=rows)).encode(
        x=alt.X(
            "took_ms:Q",
            title=None,
            scale=alt.Scale(domain=[0, longest * _ROOM], nice=False),
            axis=alt.Axis(tickCount=5, domain=False),
        ),
        y=alt.Y(
            "phase:N",
            sort=phases,
            title=None,
            scale=alt.Scale(paddingInner=0.25, paddingOuter=0.1),
            axis=alt.Axis(domain=False, ticks=False, grid=False),
        ),
        yOffset=alt.YOffset("whose:N", sort=[THIS, MEDIAN]),
        tooltip=[
            alt.Tooltip("meaning:N", title="spent on"),
            alt.Tooltip("whose:N", title="by"),
            alt.Tooltip("took_ms:Q", title="ms", format=".3f"),
        ],
    )
    bars = base.mark_bar().encode(
        color=alt.Color(
            "whose:N",
            scale=alt.Scale(domain=[THIS, MEDIAN], range=[palette.phase("queue"), palette.phase("startup")]),
            legend=None,
        )
    )
    labels = base.mark_text(align="left", dx=5, fontSize=11, color=palette.text).encode(text="said:N")
    return alt.LayerChart(layer=[bars, labels])


def waterfall_height_px(n_rows: int) -> int:
    """Of bars and axis."""
    return n_rows * ROW_HEIGHT_PX + AXIS_HEIGHT_PX


def against_median_height_px(spent: Mapping[str, float], typical: Mapping[str, float]) -> int:
    """Of bars and axis."""
    return max(len(_compared_phases(spent, typical)), 1) * 38 + AXIS_HEIGHT_PX


def property_list(groups: Mapping[str, Sequence[Property]]) -> str:
    """Names and values in groups, as HTML."""
    return (
        '<div class="rs-properties">'
        + "".join(
            f"<section><h3>{escape(group)}</h3><dl>{''.join(map(_property, properties))}</dl></section>"
            for group, properties in groups.items()
        )
        + "</div>"
    )


def log_table(operation: Operation) -> str:
    rows: list[Row] = [
        [
            (span.at - operation.began) / timedelta(milliseconds=1),
            span.kind,
            span.name,
        ]
        for span in operation.told
    ]
    columns = [Column("After", unit="ms", is_number=True), Column("Kind"), Column("Text")]
    return data_table(columns, rows, label="Logs and exceptions of the operation")


def _compared_phases(spent: Mapping[str, float], typical: Mapping[str, float]) -> list[str]:
    """Those that either of the two has."""
    return [
        phase
        for phase in ALL_PHASES
        if max(spent.get(phase, 0.0), typical.get(f"{phase}_ms", 0.0)) >= LEAST_MS
    ]


def _property(each: Property) -> str:
    title = f' title="{escape(each.help)}"' if each.help else ""
    return f"<div><dt{title}>{escape(each.label)}</dt><dd>{escape(each.text)}</dd></div>"


def _bars(
    rows: Sequence[Mapping[str, Any]],
    labels: Sequence[str],
    end_ms: float,
    palette: Palette,
    rules: Sequence[tuple[str, float | None, str]],
) -> alt.LayerChart:
    base = alt.Chart(alt.InlineData(values=list(rows))).encode(
        y=alt.Y(
            "label:N",
            sort=list(labels),
            title=None,
            axis=alt.Axis(domain=False, ticks=False, grid=False, labelLimit=220, labelPadding=8),
        ),
        tooltip=[
            alt.Tooltip("label:N", title="step"),
            alt.Tooltip("meaning:N", title="what it is"),
            alt.Tooltip("after_ms:Q", title="begins after, ms", format=",.2f"),
            alt.Tooltip("took_ms:Q", title="took, ms", format=",.3f"),
        ],
    )
    x = alt.X(
        "after_ms:Q",
        title=None,
        scale=alt.Scale(domain=[0, max(end_ms, 1e-3) * _ROOM], nice=False),
        axis=alt.Axis(tickCount=8, domain=False, format=",~r"),
    )
    colour = alt.Color("colour:N", scale=None, legend=None)
    bars = base.mark_bar(height=13).encode(x=x, x2="end_ms:Q", color=colour)
    # A phase of microseconds among seconds would be narrower than a pixel.
    begins = base.mark_tick(height=13, thickness=1.5).encode(x=x, color=colour)
    said = base.mark_text(align="left", dx=6, fontSize=11, color=palette.text).encode(
        x="end_ms:Q", text="said:N"
    )
    layers = [bars, begins, said]
    for label, at_ms, ink in rules:
        mark = alt.Chart(alt.InlineData(values=[{"at_ms": at_ms, "label": label}]))
        layers.append(mark.mark_rule(color=ink, strokeDash=[4, 3]).encode(x="at_ms:Q"))
        layers.append(
            mark.mark_text(
                color=ink, align="left", dx=4, y=-7, fontSize=FONT_SIZE_PX - 1, fontWeight=600
            ).encode(x="at_ms:Q", text="label:N")
        )
    return alt.LayerChart(layer=layers)


def _colour(step: Step, palette: Palette) -> str:
    if step.colour:
        return palette.phase(step.colour)
    return {
        "host": palette.muted,
        "request": palette.accent,
        "between": palette.line,
        "cold_start": palette.accent,
        "cold_start_phase": palette.phase("queue"),
    }.get(step.kind, palette.phase("other"))


def _distinct(labels: Sequence[str]) -> list[str]:
    """Labels that come twice get a number: an axis shows each once."""
    seen: Counter[str] = Counter()
    found = []
    for label in labels:
        seen[label] += 1
        found.append(label if seen[label] == 1 else f"{label} ({seen[label]})")
    return found
