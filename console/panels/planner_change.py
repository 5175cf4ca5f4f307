"""What to change: today's parameters against the recommended plan's."""

import difflib

import streamlit as st

from console.analysis.plan_process import Search
from console.analysis.plan_question import PlanAnswer
from console.page import panel, say
from console.panels.planner_search import as_answer
from console.telemetry import Table


def show_change(answer: PlanAnswer, search: Search) -> None:
    """Draw the difference for Bicep, the commands, and the whole file."""

    def draw(_: Table) -> None:
        if answer.best is None:
            say("There is no plan to change to.", compact=True)
            return
        changes, commands, whole = st.tabs(["Bicep diff", "az commands", "Parameters"])
        with changes:
            diff = parameters_diff(answer.parameters_today, answer.parameters_best)
            st.code(
                diff or "# Nothing changes: today's parameters are the recommended ones.", language="diff"
            )
        with commands:
            st.code("\n".join(answer.commands), language="bash", wrap_lines=True)
        with whole:
            st.code(answer.parameters_best, language="json")
            st.download_button(
                "params.json",
                answer.parameters_best,
                file_name="params.json",
                mime="application/json",
                type="tertiary",
                icon=":material/download:",
                on_click="ignore",
            )

    is_same = answer.best is not None and not parameters_diff(answer.parameters_today, answer.parameters_best)
    panel(
        "Nothing has to change" if is_same else "What to change",
        as_answer(search),
        draw,
        key="change",
        note="Today's parameters against the recommended ones; az deployment sub create --parameters @params.json "
        "applies them.",
    )


def parameters_diff(today: str, best: str) -> str:
    """What changes in a parameters file, as a unified diff; empty where nothing does."""
    lines = difflib.unified_diff(
        today.splitlines(), best.splitlines(), "params.json (today)", "params.json", lineterm="", n=1
    )
    return "\n".join(lines)
