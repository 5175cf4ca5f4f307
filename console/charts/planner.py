"""Plans by what they cost and what users feel, and how wrong predictions were."""

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt

from console.analysis.plan_question import PlanAnswer, Point
from console.charts.log_axes import ticks_between
from console.formats import share
from console.palette import Palette

MOST_TIMES_SLO = 8.0
"Plans slower than so many times the promise are drawn at the upper edge."
REFUSED = 0.01
"A refused request is late: where more are refused, there is no p99."
FIGURES: Mapping[str, str] = {
    "p50": "p50",
    "p95": "p95",
    "p99": "p99",
    "cold_starts": "cold starts",
    "cold_share": "triggering share",
    "impacted_share": "impacted share",
    "shed_share": "refused share",
    "allocated": "allocated seconds",
}
MOST_ERROR = 1.0
"Errors beyond are drawn at the edge."


def plans_chart(
    answer: PlanAnswer,
    palette: Palette,
    *,
    slo_ms: float,
    seen: tuple[float, float] | None = None,
) -> alt.LayerChart:
    """Cost against p99: the frontier with its intervals, all other plans behind it, today's plan among them.

    Args:
        answer: of a search, with a frontier.
        slo_ms: that is promised.
        seen: USD a month and p99 in ms, as they were observed of today's plan.
    """
    drawn = [*answer.frontier, *(point for point in (answer.best, answer.today) if point is not None)]
    slowest = max([slo_ms, *(p99_of(point) or 0.0 for point in drawn), seen[1] if seen else 0.0])
    top_ms = min(MOST_TIMES_SLO * slo_ms, 1.4 * slowest)
    frontier = [row_of(point, top_ms, "frontier") for point in answer.frontier]
    others = [row_of(point, top_ms, "other") for point in answer.others]
    marked = [
        row_of(point, top_ms, kind)
        for kind, point in (("recommended", answer.best), ("today, simulated", answer.today))
        if point is not None
    ]
    if seen is not None:
        marked.append({"usd": seen[0], "p99_ms": min(seen[1], top_ms), "kind": "today, observed"})
    everything = [*frontier, *others, *marked]
    low, high = quality_range(answer)
    least_ms = min([slo_ms, *(row["p99_ms"] for row in everything)])
    bottom_ms = least_ms * 0.75
    most_usd = max(row.get("usd_high", row["usd"]) for row in everything)
    x = alt.X(
        "usd:Q",
        title="USD a month",
        scale=alt.Scale(domain=[0, most_usd * 1.08], nice=False),
        axis=alt.Axis(format="$,.0f", tickCount=6, grid=False, domain=False, labelOverlap=True),
    )
    y = alt.Y(
        "p99_ms:Q",
        title="p99, ms (log)",
        scale=alt.Scale(type="log", domain=[bottom_ms, top_ms * 1.08], nice=False, clamp=True),
        axis=alt.Axis(format="~g", values=ticks_between(bottom_ms, top_ms), domain=False, labelOverlap=True),
    )
    # One colour for the ladder's own range of quality: what is given away is seen by paleness.
    quality = alt.Color(
        "quality:Q",
        scale=alt.Scale(
            domain=[low, high] if high > low else [low * 0.99, high],
            range=[palette.warn, palette.accent],
        ),
        # `quality_scale` tells it: Vega's own legend of such a scale is a single dot.
        legend=None,
    )
    tooltip = [
        alt.Tooltip("plan:N", title="plan"),
        alt.Tooltip("ladder:N", title="ladder"),
        alt.Tooltip("usd:Q", title="USD a month", format=",.0f"),
        alt.Tooltip("told_p99:N", title="p99"),
        alt.Tooltip("slo_share:Q", title="within the SLO", format=".2%"),
        alt.Tooltip("quality:Q", title="quality", format=".4f"),
    ]
    promise = (
        alt.Chart(alt.InlineData(values=[{"p99_ms": slo_ms}]))
        .mark_rule(color=palette.bad, strokeDash=[4, 3], strokeWidth=1.3)
        .encode(y=y)
    )
    promise_told = (
        alt.Chart(alt.InlineData(values=[{"p99_ms": slo_ms, "text": f"promised: {slo_ms:g} ms"}]))
        .mark_text(align="right", dy=-7, fontSize=12, color=palette.bad)
        .encode(y=y, x=alt.value("width"), text="text:N")
    )
    behind = (
        alt.Chart(alt.InlineData(values=others))
        .mark_circle(size=26, opacity=0.28)
        .encode(x=x, y=y, color=quality, tooltip=tooltip)
    )
    on_it = alt.Chart(alt.InlineData(values=frontier))
    intervals = on_it.mark_rule(strokeWidth=1.6, opacity=0.7).encode(
        x=x, y=alt.Y("p99_low:Q", title="p99, ms (log)"), y2="p99_high:Q", color=quality
    )
    costs = on_it.mark_rule(strokeWidth=1.6, opacity=0.7).encode(
        y=y, x=alt.X("usd_low:Q", title="USD a month"), x2="usd_high:Q", color=quality
    )
    points = on_it.mark_circle(size=80, opacity=1).encode(x=x, y=y, color=quality, tooltip=tooltip)
    layers: list[Any] = [behind, promise, promise_told, intervals, costs, points]
    marks = {
        "recommended": ("circle", palette.good, 260),
        "today, simulated": ("diamond", palette.text, 190),
        "today, observed": ("cross", palette.text, 110),
    }
    for row in marked:
        shape, colour, size = marks[row["kind"]]
        data = alt.InlineData(values=[row])
        layers.append(
            alt.Chart(data)
            .mark_point(shape=shape, size=size, strokeWidth=2.2, color=colour, filled=False)
            .encode(x=x, y=y, **({"tooltip": tooltip} if "plan" in row else {}))
        )
        is_right = row["usd"] > 0.7 * most_usd
        layers.append(
            alt.Chart(data)
            .mark_text(
                align="right" if is_right else "left",
                dx=-12 if is_right else 12,
                dy=12 if row["kind"] == "today, observed" else -10,
                fontSize=12,
                fontWeight=600,
                color=colour,
            )
            .encode(x=x, y=y, text="kind:N")
        )
    return alt.LayerChart(layer=layers)


def quality_range(answer: PlanAnswer) -> tuple[float, float]:
    """The least and the best quality among the plans that are drawn."""
    qualities = [point.quality for point in (*answer.frontier, *answer.others)]
    return min(qualities, default=0.0), max(qualities, default=1.0)


def quality_scale(answer: PlanAnswer, palette: Palette) -> str:
    """What the colours mean; HTML, empty where all plans serve the same quality."""
    low, high = quality_range(answer)
    if high - low < 1e-4:
        return ""
    told = [f"{value:.3f}" if answer.knows_quality else share(value) for value in (low, high)]
    name = "NDCG@10" if answer.knows_quality else "answers by the first rung"
    return (
        f'<div class="rs-legend"><span>{name} {told[0]}<i class="rs-gradient" '
        f'style="background:linear-gradient(90deg,{palette.warn},{palette.accent})"></i>{told[1]}</span></div>'
    )


def p99_of(point: Point) -> float | None:
    """In milliseconds, over seeds where there were several; None where more than 1 % are refused, and so late."""
    if point.shed_share > REFUSED:
        return None
    interval = point.p99_interval
    return point.p99_ms if interval is None or interval.mean is None else interval.mean


def row_of(point: Point, top_ms: float, kind: str) -> dict[str, Any]:
    """A plan as a row of the picture; what is slower than the upper edge stands on it."""
    p99_ms = p99_of(point)
    within = top_ms if p99_ms is None else min(p99_ms, top_ms)
    p99, cost = point.p99_interval if p99_ms is not None else None, point.usd_interval
    told = "no answers" if point.p99_ms is None else f"{point.shed_share:.1%} refused"
    return {
        "kind": kind,
        "plan": str(point.setup),
        "ladder": " > ".join(point.ladder),
        "usd": point.usd_month,
        "usd_low": point.usd_month if cost is None or cost.low is None else cost.low,
        "usd_high": point.usd_month if cost is None or cost.high is None else cost.high,
        "p99_ms": within,
        "p99_low": within if p99 is None or p99.low is None else min(max(p99.low, 0.05), top_ms),
        "p99_high": within if p99 is None or p99.high is None else min(p99.high, top_ms),
        "told_p99": told if p99_ms is None else f"{p99_ms:.3g} ms",
        "slo_share": point.slo_share,
        "quality": point.quality,
    }


def errors_chart(
    comparisons: Sequence[Mapping[str, Any]], limits: Mapping[str, float], palette: Palette
) -> alt.LayerChart:
    """Errors of predicted figures, a dot a run, with what is wanted as a band.

    Args:
        comparisons: `run`, `figure`, `error` in shares (None where nothing was observed), `is_miss`.
        limits: what an error may be, by figure; those that are not judged are missing.
    """
    rows = [
        {
            "figure": FIGURES.get(each["figure"], each["figure"]),
            "run": each["run"],
            "error": max(-MOST_ERROR, min(MOST_ERROR, each["error"])),
            "told": f"{each['error']:+.1%}",
            "is_miss": bool(each["is_miss"]),
        }
        for each in comparisons
        if isinstance(each.get("error"), int | float)
    ]
    present = {row["figure"] for row in rows}
    order = [title for title in FIGURES.values() if title in present]
    bands = [
        {"figure": FIGURES[figure], "low": -limit, "high": limit}
        for figure, limit in limits.items()
        if FIGURES.get(figure) in present
    ]
    most = max([0.2, *(abs(row["error"]) for row in rows)])
    x = alt.X(
        "error:Q",
        title="predicted against observed",
        scale=alt.Scale(domain=[-most, most], nice=False),
        axis=alt.Axis(format="+.0%", tickCount=5, domain=False, labelOverlap=True),
    )
    y = alt.Y(
        "figure:N",
        sort=order,
        title=None,
        axis=alt.Axis(ticks=False, domain=False, labelPadding=8, grid=False),
    )
    band = (
        alt.Chart(alt.InlineData(values=bands))
        .mark_bar(height=16, color=palette.good, opacity=0.16)
        .encode(y=y, x=alt.X("low:Q", title="predicted against observed"), x2="high:Q")
    )
    zero = alt.Chart(alt.InlineData(values=[{"error": 0}])).mark_rule(color=palette.muted, size=1).encode(x=x)
    dots = (
        alt.Chart(alt.InlineData(values=rows))
        .mark_circle(size=52, opacity=0.8)
        .encode(
            x=x,
            y=y,
            color=alt.condition("datum.is_miss", alt.value(palette.bad), alt.value(palette.accent)),
            tooltip=[
                alt.Tooltip("run:N", title="run"),
                alt.Tooltip("figure:N", title="figure"),
                alt.Tooltip("told:N", title="error"),
            ],
        )
    )
    return alt.LayerChart(layer=[band, zero, dots])
