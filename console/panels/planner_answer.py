"""The planner's answer: in a sentence, in tiles, and what it rests on."""

from itertools import takewhile

import streamlit as st

from console.analysis.plan_process import Search
from console.analysis.plan_question import PlanAnswer, Point, Setup
from console.charts.planner import p99_of
from console.formats import UNKNOWN, number, share, usd
from console.pieces import Tile, Tone, fine_print, nothing, panel_title
from console.scope import Scope, link_to


def sentence(search: Search | None) -> str:
    """The view's answer, with its numbers."""
    if search is None:
        return "Choose a traffic, and let the planner search."
    answer, question = search.answer, search.question
    if answer is None:
        return "The planner is searching; the other views go on meanwhile."
    if answer.error:
        return "There is no answer to these choices."
    if answer.best is None:
        return f"None of {number(answer.n_candidates)} plans does. {answer.why_none}"
    best, today = answer.best, answer.today
    said = (
        f"{_named(best.setup)} for {usd(best.usd_month)} a month: it answers {_within(best)} requests within "
        f"{question.slo_ms:g} ms"
    )
    if today is None:
        return f"{said}."
    if today.setup == best.setup:
        return f"{said}. It is the plan that runs today."
    keeps = "keeps the promise too" if today.keeps else f"answers {_within(today)} requests in time"
    return f"{said}. Today's plan {keeps} and costs {usd(today.usd_month)}."


def figures(scope: Scope, answer: PlanAnswer) -> list[Tile]:
    """The tiles."""
    best, today, peak = answer.best, answer.today, answer.peak
    saved = today.usd_month - best.usd_month if best and today else None
    holding = [each.factor for each in takewhile(lambda each: each.keeps, answer.holds)]
    fails = next((each for each in answer.holds if not each.keeps), None)
    saved_tone: Tone = "good" if saved is not None and saved > 0 else "quiet"
    return [
        Tile(
            "Recommended",
            usd(best.usd_month if best else None),
            unit="a month" if best else "",
            delta=_usd_interval(best),
            help=f"Instances at list prices; 95 % interval over {answer.n_seeds} seeds",
        ),
        Tile(
            "Saved against today",
            usd(saved) if saved is not None else UNKNOWN,
            unit="a month" if saved is not None else "",
            delta=share(saved / today.usd_month) if saved is not None and today and today.usd_month else "",
            tone=saved_tone,
            href=link_to("cost", scope),
            help="Both simulated with the same arrivals",
        ),
        Tile(
            "p99",
            written_p99(p99_of(best) if best else None),
            unit="ms" if best else "",
            delta=_interval(best),
            help="Of the recommended plan, with its 95 % interval",
        ),
        Tile(
            "Within the SLO",
            f"{100 * best.slo_share:.2f}" if best else UNKNOWN,
            unit="%" if best else "",
            delta=f"{share(best.shed_share)} refused" if best else "",
        ),
        Tile(
            "Holds up to",
            f"× {max(holding):g}" if holding else ("× 1" if best else UNKNOWN),
            unit="the traffic" if best else "",
            delta=f"{share(fails.slo_share)} at × {fails.factor:g}" if fails else "",
            tone="warn" if fails else "quiet",
            help="The recommended plan under more of the same traffic",
        ),
        Tile(
            "Sized for the peak",
            usd(peak.usd_month if peak else None),
            unit="a month" if peak else "",
            delta=f"{peak.setup.always_ready} always ready, no burst" if peak else "",
            help="What one sets up without a planner: always-ready instances for the busiest ten seconds",
        ),
    ]


def show_basis(search: Search | None) -> None:
    """Draw what the answer rests on: traffic, measurements, what was derived and taken for granted."""
    with st.container(key="panel-basis"):
        st.html(panel_title("What this rests on"))
        answer = search.answer if search is not None else None
        if answer is None:
            st.html(nothing("The planner tells with its answer."))
        elif answer.error:
            st.html(nothing("Nothing was measured or simulated."))
        else:
            st.html(fine_print(_basis(answer)))


def _basis(answer: PlanAnswer) -> list[str]:
    return [
        f"Traffic: {answer.traffic}; {number(answer.rate_per_s, 1)} requests a second, "
        f"{number(answer.n_arrivals)} of them simulated over {answer.duration_s / 60:,.3g} min, with "
        f"{answer.n_seeds} seeds.",
        f"Times of an instance are from {answer.measured_from}.",
        *(f"{note[:1].upper()}{note[1:]}." for note in answer.notes),
        "Instances at list prices; telemetry and storage are not in it."
        + (f" Prices: {answer.unconfirmed}." if answer.unconfirmed else ""),
        f"The search took {answer.took_s:.1f} s.",
    ]


def written_p99(p99_ms: float | None) -> str:
    """Without its unit, to three figures."""
    return UNKNOWN if p99_ms is None else f"{p99_ms:.3g}"


def _named(setup: Setup) -> str:
    return (
        f"{setup.sku} with {setup.always_ready} always ready and {setup.pre_warmed} pre-warmed, "
        f"at most {setup.max_burst},"
    )


def _within(point: Point) -> str:
    if point.slo_share == 1:
        return "all"
    told = share(point.slo_share) if point.slo_share < 0.9 else f"{min(100 * point.slo_share, 99.99):.2f} %"
    return f"{told} of the"


def _usd_interval(point: Point | None) -> str:
    if point is None or point.usd_interval is None:
        return ""
    low, high = usd(point.usd_interval.low), usd(point.usd_interval.high)
    return f"{low} to {high}" if low != high else "with every seed"


def _interval(point: Point | None) -> str:
    if point is None or point.p99_interval is None:
        return ""
    low, high = point.p99_interval.low, point.p99_interval.high
    return f"{written_p99(low)} to {written_p99(high)} ms" if low is not None and high is not None else ""
