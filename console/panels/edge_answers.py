"""Who answered, and why."""

import streamlit as st

from console.analysis.edge import Reason, Totals, reason_table, shares_over_time
from console.asking import Answer
from console.charts.edge import reason_rows, who_answered
from console.formats import share
from console.page import current_palette, echart, panel
from console.scope import Scope
from console.telemetry import Table

LEAST_PX, ROW_PX = 240, 36
NO_REPORTS = "No device has reported in this range."


def show_shares(scope: Scope, answer: Answer, totals: Totals, n_reasons: int) -> None:
    """Draw who answered over time, `edge_answers`.

    Args:
        n_reasons: rows of the table beside it, which it is as high as.
    """

    def draw(table: Table) -> None:
        echart(
            who_answered(shares_over_time(table), current_palette(), scope.interval),
            key="edge-shares",
            height=max(LEAST_PX, ROW_PX * (n_reasons + 1)),
            label="Share of answers by devices and by the cloud over time",
        )

    title = "Who answered?"
    if totals.n_answers:
        title = f"Devices answered {share(totals.device_share)}"
        if totals.n_rescued:
            title += f", {share(totals.n_rescued / totals.n_answers)} because the cloud was out of reach"
    panel(
        title,
        answer,
        draw,
        key="edge-shares",
        unit="% of answers",
        note="Answers count when the device reports them: minutes later, and after a time offline hours later.",
        empty=NO_REPORTS,
        csv=lambda: shares_over_time(answer.table).csv(),
    )


def show_reasons(scope: Scope, answer: Answer, reasons: list[Reason]) -> None:
    """Draw why the cloud was asked, and why devices answered, `edge_answers`."""
    panel(
        "Why the cloud was asked, and why not",
        answer,
        lambda _: st.html(reason_rows(scope, reasons)),
        key="edge-reasons",
        note="The first reason that applies counts. Waits are right to a tenth.",
        empty=NO_REPORTS,
        csv=lambda: reason_table(reasons).csv(),
    )
