"""Plans by cost and latency, as a picture and beside each other."""

from collections.abc import Sequence

import streamlit as st

from console.analysis.plan_process import Search
from console.analysis.plan_question import PlanAnswer, PlanQuestion, Point
from console.charts.planner import p99_of, plans_chart, quality_scale
from console.formats import ms, number, share, usd
from console.page import altair_chart, current_palette, panel, say
from console.panels.planner_answer import written_p99
from console.panels.planner_search import as_answer, asks_otherwise
from console.pieces import Cell, Column, Tone, data_table, nothing
from console.searching import follow
from console.telemetry import Table

FASTER = 0.9
"A p99 of this share of another is worth a title."
MOST_ROWS = 9


def show_picture(
    search: Search | None, question: PlanQuestion | None, seen: tuple[float, float] | None
) -> None:
    """Draw cost against p99: the frontier, what lies beside it, and today.

    Args:
        question: what the controls amount to by now.
        seen: USD a month and p99 in ms of today\'s plan, as observed.
    """
    palette = current_palette()

    def draw_answer(answer: PlanAnswer) -> None:
        assert search is not None
        if answer.error:
            say(answer.error, "warn")
            return
        if not answer.frontier:
            say(answer.why_none or "No plan answers this traffic.", "warn")
            return
        if scale := quality_scale(answer, palette):
            st.html(scale)
        observed = seen if search.question.traffic == "telemetry" and search.question.factor == 1 else None
        altair_chart(
            plans_chart(answer, palette, slo_ms=search.question.slo_ms, seen=observed),
            key="plans-chart",
            height=520,
        )

    def draw(_: Table) -> None:
        if search is not None:
            follow(search, draw_answer, key="plans")

    if search is None:
        with st.container(key="panel-plans"):
            st.html(nothing("Nothing has been searched for yet."))
        return
    answer = search.answer
    note = (
        "Each point is a plan, its colour the quality it serves; bars are 95 % intervals over seeds. At the upper "
        "edge: slower, or more than 1 % refused."
    )
    if question is not None and asks_otherwise(search.question, question):
        note = "The controls say something else by now: search to see that. " + note
    panel(
        _picture_title(answer),
        as_answer(search),
        draw,
        key="plans",
        unit="USD a month against p99",
        note=note,
    )


def _picture_title(answer: PlanAnswer | None) -> str:
    if answer is None or answer.error:
        return "What does a shorter tail cost?"
    if answer.best is None:
        return f"None of {number(answer.n_candidates)} plans keeps the promise"
    dearer = [
        point
        for point in answer.frontier
        if point.keeps and point.p99_ms is not None and point.usd_month > 1.02 * answer.best.usd_month
    ]
    p99_ms = p99_of(answer.best)
    fastest = min(dearer, key=lambda point: p99_of(point) or 0.0, default=None)
    if fastest is None or p99_ms is None or (p99_of(fastest) or 0.0) > FASTER * p99_ms:
        return f"The cheapest plan has a p99 of {ms(p99_ms)}, and money hardly makes it shorter"
    more = fastest.usd_month - answer.best.usd_month
    return f"{usd(more)} a month more would bring p99 from {ms(p99_ms)} to {ms(p99_of(fastest))}"


def show_plans(answer: PlanAnswer, search: Search) -> None:
    """Draw the plans that have a name, and those next to them, a row each."""
    named: list[tuple[str, Tone, Point]] = []
    if answer.best:
        named.append(("recommended", "good", answer.best))
    if answer.today:
        named.append(("today", "info", answer.today))
    if answer.peak:
        named.append(("for the peak", "quiet", answer.peak))
    taken = {(point.setup, point.ladder) for _, _, point in named}
    rest = [point for point in answer.frontier if (point.setup, point.ladder) not in taken]
    rest += _best_by_cost(answer.others, {round(point.usd_month) for _, _, point in named})
    named += [("", "quiet", point) for point in rest[: MOST_ROWS - len(named)]]
    on_frontier = {id(point) for point in answer.frontier}

    def draw(_: Table) -> None:
        st.html(
            data_table(
                [
                    Column(""),
                    Column("Size"),
                    Column("Ready", is_number=True),
                    Column("Warm", is_number=True),
                    Column("Most", is_number=True),
                    Column("Ladder"),
                    Column("p99", unit="ms", is_number=True),
                    Column("In SLO", is_number=True),
                    Column("Refused", is_number=True),
                    Column("Quality", is_number=True),
                    Column("A month", is_number=True),
                ],
                [
                    [
                        Cell(name, tone=tone)
                        if name
                        else Cell("frontier" if id(point) in on_frontier else "beside it"),
                        point.setup.sku,
                        Cell(str(point.setup.always_ready)),
                        Cell(str(point.setup.pre_warmed)),
                        Cell(str(point.setup.max_burst)),
                        " › ".join(point.ladder),
                        Cell(written_p99(p99_of(point))),
                        Cell(
                            f"{100 * point.slo_share:.2f} %", tone=None if _is_fast(point, search) else "warn"
                        ),
                        Cell(share(point.shed_share)),
                        Cell(f"{point.quality:.4f}" if answer.knows_quality else share(point.quality)),
                        Cell(usd(point.usd_month)),
                    ]
                    for name, tone, point in named
                ],
                label="Plans beside each other",
            )
        )

    panel(
        f"{number(answer.n_candidates)} plans were considered, {number(answer.n_simulated)} simulated",
        as_answer(search),
        draw,
        key="candidates",
        note="Ready: always ready. Warm: in reserve. A refused request is late: where more than 1 % are refused there "
        "is no p99. The frontier is what no other plan beats in cost, p99, quality and refusals at once.",
    )


def _best_by_cost(points: Sequence[Point], but: set[int]) -> list[Point]:
    """Of plans that keep the promise, the fastest for each cost that is not among those, cheapest first."""
    fastest: dict[int, Point] = {}
    for point in points:
        cost = round(point.usd_month)
        known = fastest.get(cost)
        if point.keeps and cost not in but and (known is None or (point.p99_ms or 0) < (known.p99_ms or 0)):
            fastest[cost] = point
    return [fastest[cost] for cost in sorted(fastest)]


def _is_fast(point: Point, search: Search) -> bool:
    return point.slo_share >= search.question.slo_share
