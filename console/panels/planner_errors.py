"""How wrong the planner was about runs that were observed."""

from collections.abc import Sequence
from html import escape

import streamlit as st

from console.analysis.backtest import read_backtest
from console.asking import Answer
from console.charts.planner import FIGURES, errors_chart
from console.formats import moment
from console.page import altair_chart, current_palette, panel
from console.pieces import panel_title
from console.telemetry import Table, table_of


def show_errors() -> None:
    """Draw the errors of the newest backtest, or how to get one."""
    palette = current_palette()
    backtest = read_backtest()
    if backtest is None or not backtest.comparisons:
        with st.container(key="panel-errors"):
            st.html(
                panel_title("How wrong are predictions?")
                + '<div class="rs-empty"><span>The result of a backtest is not beside this console. '
                "<code>python -m planner backtest</code> tells, where the benchmarks are.</span></div>"
            )
        return
    judged = {name: of for name, of in backtest.summary.items() if of.limit is not None}
    missed = sum(of.n_missed for of in judged.values())
    of_all = sum(of.n for of in judged.values())
    title = f"{of_all - missed} of {of_all} judged predictions were as near as wanted"
    rows: dict[str, Sequence[object]] = {
        "run": [str(each["run"]) for each in backtest.comparisons],
        "figure": [str(each["figure"]) for each in backtest.comparisons],
        "observed": [each.get("observed") for each in backtest.comparisons],
        "predicted": [each.get("predicted") for each in backtest.comparisons],
        "error": [each["error"] for each in backtest.comparisons],
    }
    made = Answer(
        question=f"Runs observed on the emulated plan and predicted, {moment(backtest.at)} UTC.",
        kql="# benchmarks/results/backtest.json, by\n"
        "python -m planner backtest --observed benchmarks/results/plan_runs.json",
        table=table_of(rows),
        asked_at=backtest.at,
    )

    def draw(_: Table) -> None:
        altair_chart(
            errors_chart(backtest.comparisons, backtest.limits, palette),
            key="errors-chart",
            height=26 * len({each["figure"] for each in backtest.comparisons}),
        )
        told = [
            f"{FIGURES.get(name, name)}: median {of.median_error:.0%}, wanted {of.limit:.0%}"
            for name, of in judged.items()
        ]
        st.html(f'<p class="rs-note">{escape("; ".join(told))}.</p>')

    panel(
        title,
        made,
        draw,
        key="errors",
        unit="error",
        note=f"{backtest.n_runs} runs on the emulated plan; a dot a run, shaded what is wanted. Measurements were "
        "taken from other runs.",
    )
