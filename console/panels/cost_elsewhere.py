"""What the same traffic would cost on other plans."""

from collections.abc import Mapping, Sequence

import streamlit as st

from console.analysis.bill import Bill
from console.analysis.elsewhere import MEMORY_MB, MOST_AT_ONCE, Comparison, Elsewhere, compare_plans
from console.asking import Answer
from console.billed import Billed
from console.charts.cost import ROW_PX, elsewhere_chart
from console.formats import number, usd
from console.page import altair_chart, panel, say
from console.palette import Palette
from console.pieces import fine_print
from console.scope import Scope
from console.telemetry import Table, table_of


def on_other_plans(scope: Scope, billed: Billed) -> Comparison:
    """The range's requests on every plan; empty where nothing was answered."""
    load, histogram, plan = billed.answers["load"], billed.answers["histogram"], billed.plan
    if not load.has_rows or not histogram.has_rows:
        return Comparison()
    return _compare(
        load.table,
        histogram.table,
        scope.interval.total_seconds(),
        billed.bill.sku,
        plan.setup.always_ready if plan else 1,
        plan.setup.pre_warmed if plan else 1,
        key=(load.asked_at, histogram.asked_at),
    )


def show_elsewhere(
    answers: Mapping[str, Answer], elsewhere: Comparison, bill: Bill, palette: Palette
) -> None:
    """Draw a month on every plan, today's among them."""
    today_usd = bill.instances_month_usd

    def draw(*_: Table) -> None:
        if not elsewhere.plans:
            say("There were no answers whose time could be billed.", compact=True)
            return
        left, right = st.container(key="elsewhere-body").columns([3, 2], gap="medium")
        with left:
            n_rows = len(elsewhere.plans) + (today_usd is not None)
            altair_chart(
                elsewhere_chart(elsewhere.plans, today_usd, bill.usd_per_1000_of_instances, palette),
                key="elsewhere-chart",
                height=ROW_PX * n_rows,
            )
        with right:
            st.html(fine_print(_basis(elsewhere), title="What this rests on"))

    panel(
        _title(elsewhere.plans, today_usd),
        [answers["load"], answers["histogram"]],
        draw,
        key="elsewhere",
        unit="USD a month",
        note="The same requests by what each plan meters: nobody waits there and nothing starts cold. "
        "Telemetry is left out; it costs the same everywhere.",
        csv=lambda: table_of(
            {
                "plan": [plan.title for plan in elsewhere.plans],
                "usd_per_month": [plan.month_usd for plan in elsewhere.plans],
                "usd_per_1000": [plan.usd_per_1000 for plan in elsewhere.plans],
            }
        ).csv(),
    )


@st.cache_data(max_entries=40, show_spinner=False)
def _compare(
    _load: Table,
    _histogram: Table,
    interval_s: float,
    sku: str,
    always_ready: int,
    pre_warmed: int,
    *,
    key: object,
) -> Comparison:
    return compare_plans(
        _load,
        _histogram,
        interval_s=interval_s,
        sku=sku,
        always_ready=always_ready,
        pre_warmed=pre_warmed,
    )


def _title(plans: Sequence[Elsewhere], today_usd: float | None) -> str:
    if not plans or not today_usd:
        return "What would the same traffic cost on other plans?"
    first = plans[0]
    if first.month_usd < today_usd:
        return (
            f"By its time alone this traffic would cost {usd(first.month_usd)} a month on {first.title}; "
            f"today it costs {usd(today_usd)}"
        )
    return f"No other plan would cost less than today's {usd(today_usd)} a month"


def _basis(elsewhere: Comparison) -> list[str]:
    said = [
        f"{number(elsewhere.n_requests)} requests of {elsewhere.mean_ms:.3g} ms on average, drawn from the range's own "
        f"times; {MEMORY_MB} MB an instance, up to {MOST_AT_ONCE} requests at once."
    ]
    if elsewhere.sampled:
        said.append(f"A sample: {elsewhere.sampled}.")
    assumptions = dict.fromkeys(text for plan in elsewhere.plans for text in plan.assumptions)
    doubts = dict.fromkeys(text for plan in elsewhere.plans for text in plan.unconfirmed)
    said += [f"{text}." for text in assumptions]
    if doubts:
        said.append("List prices, unconfirmed: " + "; ".join(doubts) + ".")
    return said
