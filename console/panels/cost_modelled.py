"""Whether the planner's model of today's plan agrees with the bill."""

from collections.abc import Mapping
from html import escape

import streamlit as st

from console.analysis.bill import CLASSES, TITLES, Bill
from console.analysis.plan_process import Search
from console.analysis.plan_question import PlanAnswer, PlanQuestion
from console.analysis.todays_plan import TodaysPlan
from console.billed import Billed
from console.charts.cost import hours_strip
from console.formats import UNKNOWN, number, share
from console.page import panel, say
from console.palette import Palette
from console.panels.cost_bill import NO_ALLOCATION
from console.pieces import Cell, Column, Row, data_table
from console.scope import Scope
from console.searching import follow, search_for
from console.settings import settings
from console.telemetry import Table

NEAR = 0.05
"A modelled bill this near to the observed one is said to agree."


def show_modelled(scope: Scope, billed: Billed, palette: Palette) -> None:
    """Draw billed and modelled time beside each other, once the planner has the model."""
    bill, plan, load = billed.bill, billed.plan, billed.answers["load"]
    search = _search(scope, billed)
    observed_s = {part.name: part.instance_s for part in bill.parts if part.name in CLASSES}

    def draw_answer(answer: PlanAnswer) -> None:
        if answer.error or answer.today is None:
            say(f"There is no model of this range: {answer.error or 'the plan is not known.'}", compact=True)
            return
        modelled_s = modelled_seconds(answer, bill.elapsed_s)
        whole_s = max(sum(observed_s.values()), sum(modelled_s.values()))
        st.html(
            "<div class='rs-strips'>"
            f"<span>Billed</span>{hours_strip(observed_s, whole_s, palette, label='Billed')}"
            f"<span>Modelled</span>{hours_strip(modelled_s, whole_s, palette, label='Modelled')}</div>"
            + _modelled_table(observed_s, modelled_s)
            + f"<p class='rs-note'>{_about_model(answer, plan)}</p>"
        )

    def draw(*_: Table) -> None:
        if search is None:
            say("There were no requests to simulate.", compact=True)
        else:
            follow(search, draw_answer, key="modelled")

    modelled = search.answer if search is not None else None
    panel(
        _modelled_title(modelled, bill),
        [billed.seconds, load],
        draw,
        key="modelled",
        unit="instance-hours",
        note="The planner's simulation of the same arrivals on today's plan, against what was billed.",
        empty=NO_ALLOCATION,
    )


def _search(scope: Scope, billed: Billed) -> Search | None:
    """The planner's model of today's plan under this range's traffic; None where there is nothing to model."""
    if billed.plan is None or scope.workspace is None or not billed.answers["load"].has_rows:
        return None
    setup = billed.plan.setup
    question = PlanQuestion(
        goal="model",
        logs_url=scope.workspace.logs_url,
        workspace=scope.workspace.workspace_id,
        since=scope.since,
        until=scope.until,
        slo_ms=settings().slo_ms,
        slo_share=settings().slo_share,
        skus=(setup.sku,),
        most_instances=setup.max_burst,
        today=setup,
    )
    return search_for(scope, question)


def modelled_seconds(answer: PlanAnswer, elapsed_s: float) -> dict[str, float]:
    """Allocated seconds by class that the simulator has, for a stretch of the bill's length."""
    if answer.today is None or not answer.duration_s:
        return {}
    return {
        name: spent_s * elapsed_s / answer.duration_s for name, spent_s in answer.today.allocated_s.items()
    }


def _modelled_title(answer: PlanAnswer | None, bill: Bill) -> str:
    title = "Does the model agree with the bill?"
    if answer is None or answer.today is None or not bill.instance_s:
        return title
    error = sum(modelled_seconds(answer, bill.elapsed_s).values()) / bill.instance_s - 1
    if abs(error) <= NEAR:
        return f"The model's total agrees with the bill to {share(max(abs(error), 0.001))}"
    return f"The model's total is {share(abs(error))} {'above' if error > 0 else 'below'} what was billed"


def _modelled_table(observed_s: Mapping[str, float], modelled_s: Mapping[str, float]) -> str:
    names = [name for name in CLASSES if observed_s.get(name, 0.0) > 0 or modelled_s.get(name, 0.0) > 0]
    rows: list[Row] = [
        _row(TITLES[name], observed_s.get(name, 0.0), modelled_s.get(name, 0.0)) for name in names
    ]
    rows.append(_row("Total", sum(observed_s.values()), sum(modelled_s.values())))
    return data_table(
        [
            Column("Time"),
            Column("Billed", unit="h", is_number=True),
            Column("Modelled", unit="h", is_number=True),
            Column("Error", is_number=True),
        ],
        rows,
        label="Billed and modelled time by class",
    )


def _row(title: str, observed_s: float, modelled_s: float) -> Row:
    error = f"{modelled_s / observed_s - 1:+.0%}".replace("%", " %") if observed_s else UNKNOWN
    return [title, observed_s / 3600, modelled_s / 3600, Cell(error)]


def _about_model(answer: PlanAnswer, plan: TodaysPlan | None) -> str:
    assert plan is not None
    told = "" if plan.is_told else ", as far as its instances tell"
    said = f"{plan.setup}{told}. {number(answer.n_arrivals)} arrivals; times from {answer.measured_from}."
    return escape(said)
