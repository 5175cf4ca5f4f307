"""Cold starts: the phases of a start, and when requests waited for one."""

import altair as alt
import numpy as np

from console.analysis.starts import FEWEST_FOR_P95, THREADS, thread_of
from console.charts.base import Spec, bars, epoch_ms, time_chart
from console.formats import ms
from console.palette import Palette
from console.telemetry import Table

MOST_PHASES = 18
ROW_PX = 22
WATERFALL_PX = 330
AROUND_PX = 66
"Legend and axis, which Streamlit counts as parts of the height."


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
