"""Cost: what does a thousand recommendations cost, and who pays?"""

from collections.abc import Sequence

import streamlit as st

from console.analysis.bill import WASTE, Bill
from console.analysis.payers import Payer, payers_of
from console.bar import current_scope
from console.billed import ask_bill
from console.formats import number, share, usd
from console.page import current_palette, heading, panel_row
from console.panels.cost_bill import show_bill, show_time
from console.panels.cost_elsewhere import on_other_plans, show_elsewhere
from console.panels.cost_modelled import show_modelled
from console.panels.cost_payers import largest, show_payers
from console.panels.cost_tiles import figures
from console.pieces import tiles

GROWTH = 1.3
"Of the buckets that durations are drawn from."
FEW_ANSWERS = 100


def show() -> None:
    """Draw the view."""
    scope = current_scope()
    palette = current_palette()
    billed = ask_bill(scope, growth=GROWTH)
    answers, seconds, bill = billed.answers, billed.seconds, billed.bill
    payers = payers_of(bill, answers["work"].table)
    elsewhere = on_other_plans(scope, billed)

    heading("What does a thousand recommendations cost, and who pays?", sentence(bill, payers))
    st.html(tiles(figures(scope, bill, seconds.table, answers["load"].table)))

    left, right = panel_row([3, 2])
    with left:
        show_time(scope, seconds, bill, palette)
    with right:
        show_bill(seconds, answers, bill, palette)
    left, right = panel_row([3, 2])
    with left:
        show_payers(scope, answers["work"], payers)
    with right:
        show_modelled(scope, billed, palette)
    show_elsewhere(answers, elsewhere, bill, palette)


def sentence(bill: Bill, payers: Sequence[Payer]) -> str:
    """The view's answer, with its numbers."""
    if bill.month_usd is None:
        return "Telemetry of this range does not tell what was allocated, so there is no bill."
    if bill.usd_per_1000 is None:
        return f"Nothing was answered in this range, and standing by costs {usd(bill.month_usd)} a month."
    waste = bill.month_usd_of(*WASTE) / bill.month_usd if bill.month_usd else 0.0
    said = f"{usd(bill.usd_per_1000)}, or {usd(bill.month_usd)} a month at this pace. "
    said += f"{share(waste)} of it pays for instances that stood by idle"
    if (first := largest(payers)) is not None:
        said += f"; {first[0]} did {share(first[2])} of the computing"
    said += "."
    if bill.n_answers < FEW_ANSWERS:
        said += f" It rests on {number(bill.n_answers)} answers only."
    if bill.is_approximate:
        said += " An approximation, from what instances saw of themselves."
    return said
