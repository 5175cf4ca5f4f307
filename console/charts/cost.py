"""What allocated time was spent on, what it costs, and what it would cost elsewhere."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import altair as alt
import numpy as np
from numpy.typing import NDArray

from console.analysis.bill import CLASSES, TELEMETRY, TITLES, Bill
from console.analysis.elsewhere import Elsewhere
from console.charts.base import Spec, bars, epoch_ms, time_chart
from console.formats import share, usd
from console.palette import Palette
from console.telemetry import Table

ROW_PX = 27
TODAY = "Today, as billed"


def class_colours(palette: Palette) -> Mapping[str, str]:
    """A colour for each line of a bill."""
    return {
        "active": palette.states["busy"],
        "idle": palette.states["idle"],
        "pre_warmed": palette.states["pre-warmed"],
        "burst": palette.series[3],
        "starting": palette.states["starting"],
        "draining": palette.series[7],
        TELEMETRY: palette.series[4],
    }


def allocation_chart(allocation: Table, interval_s: float, palette: Palette) -> Spec:
    """Instances over time, stacked by what their time was spent on.

    Args:
        allocation: answer to `allocation`, or to `allocation_observed`.
        interval_s: width of its bins.
    """
    starts, bins = np.unique(allocation["interval_start"], return_inverse=True)
    times, colours = epoch_ms(starts), class_colours(palette)

    def instances(rows: NDArray[Any], column: str) -> NDArray[np.float64]:
        return np.bincount(bins[rows], allocation[column][rows], minlength=starts.size) / interval_s

    if "class" in allocation.columns:
        of_class = {name: instances(allocation["class"] == name, "allocated_s") for name in CLASSES}
    else:
        every = np.ones(allocation.n_rows, bool)
        busy = instances(every, "busy_s")
        of_class = {"active": busy, "idle": instances(every, "observed_s") - busy}
    chart = time_chart(palette, unit="instances")
    chart["yAxis"] |= {"minInterval": 1}
    series = [
        bars(TITLES[name], times, values, colours[name])
        for name, values in of_class.items()
        if values.max(initial=0) > 0
    ]
    for each in series:
        each["barCategoryGap"] = "8%"
    return chart | {"series": series}


def bill_strip(bill: Bill, palette: Palette) -> str:
    """The bill as one strip, a piece for each line; HTML."""
    colours = class_colours(palette)
    pieces = "".join(
        f'<i style="flex:{max(part.share, 0.004):.4f} 1 0;background:{colours[part.name]}" '
        f'title="{escape(part.title)}: {usd(part.month_usd)} a month, {share(part.share)}"></i>'
        for part in bill.parts
    )
    told = ", ".join(f"{part.title} {share(part.share)}" for part in bill.parts)
    return f'<div class="rs-strip" role="img" aria-label="{escape(told)}">{pieces}</div>'


def swatch(name: str, palette: Palette) -> str:
    """The colour of a line of the bill, for tables."""
    return class_colours(palette)[name]


def hours_strip(seconds: Mapping[str, float], whole_s: float, palette: Palette, *, label: str) -> str:
    """Allocated time by class as one strip; HTML.

    Args:
        seconds: by class.
        whole_s: what the full width stands for.
    """
    colours = class_colours(palette)
    known = [(name, seconds[name]) for name in CLASSES if seconds.get(name, 0.0) > 0]
    pieces = "".join(
        f'<i style="width:{100 * spent_s / whole_s:.2f}%;background:{colours[name]}" '
        f'title="{escape(TITLES[name])}: {spent_s / 3600:.3g} h"></i>'
        for name, spent_s in known
    )
    told = ", ".join(f"{TITLES[name]} {spent_s / 3600:.3g} h" for name, spent_s in known)
    return f'<div class="rs-strip" role="img" aria-label="{escape(label)}: {escape(told)}">{pieces}</div>'


def elsewhere_chart(
    plans: Sequence[Elsewhere], today_usd: float | None, today_per_1000: float | None, palette: Palette
) -> alt.LayerChart:
    """A month on every plan, cheapest at the top, today's bill among them.

    Args:
        plans: at least one.
        today_usd: without telemetry, which costs the same everywhere; None where it is not known.
        today_per_1000: the same by 1,000 answers.
    """
    rows: list[dict[str, Any]] = [
        {"plan": plan.title, "usd": plan.month_usd, "per_1000": plan.usd_per_1000, "is_today": False}
        for plan in plans
    ]
    if today_usd is not None:
        rows.append({"plan": TODAY, "usd": today_usd, "per_1000": today_per_1000, "is_today": True})
    rows.sort(key=lambda row: row["usd"])
    for row in rows:
        row["text"] = f"{usd(row['usd'])}  ·  {usd(row['per_1000'])} per 1,000"
    most = max(row["usd"] for row in rows)
    data = alt.InlineData(values=rows)
    x = alt.X(
        "usd:Q",
        title=None,
        # Room at the right for the figures.
        scale=alt.Scale(domain=[0, most * 1.5], nice=False),
        axis=None,
    )
    y = alt.Y(
        "plan:N",
        sort=[row["plan"] for row in rows],
        title=None,
        axis=alt.Axis(ticks=False, domain=False, labelPadding=8, labelLimit=320),
    )
    base = alt.Chart(data).encode(x=x, y=y)
    marks = base.mark_bar(height=14, cornerRadiusEnd=2).encode(
        color=alt.condition("datum.is_today", alt.value(palette.accent), alt.value(palette.muted)),
        opacity=alt.condition("datum.is_today", alt.value(1.0), alt.value(0.6)),
        tooltip=[
            alt.Tooltip("plan:N", title="plan"),
            alt.Tooltip("usd:Q", title="USD a month", format=",.2f"),
            alt.Tooltip("per_1000:Q", title="USD per 1,000", format=".4f"),
        ],
    )
    told = base.mark_text(align="left", dx=6, fontSize=12, color=palette.text).encode(text="text:N")
    return alt.LayerChart(layer=[marks, told])
