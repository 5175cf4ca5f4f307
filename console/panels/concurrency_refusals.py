"""What was refused, what failed, and what a lower rung answered."""

import streamlit as st

from console.analysis.ladder import BROWNOUT
from console.asking import Answer
from console.charts.concurrency import refusal_bars
from console.formats import share
from console.page import echart, panel
from console.palette import Palette
from console.pieces import Column, Row, data_table, nothing
from console.scope import Scope
from console.telemetry import Table


def show_refusals(answers: dict[str, Answer], scope: Scope, palette: Palette) -> None:
    """Draw shares over time, and each reason."""
    load, refusals = answers["load"], answers["refusals"]
    brownout = brownout_of(answers["variants"].table)
    n_requests = float(load.table["n_requests"].sum()) if load.has_rows else 0.0
    n_refused = float(refusals.table["n_requests"].sum()) if refusals.has_rows else 0.0
    n_brown = float(brownout["n_requests"].sum()) if brownout.n_rows else 0.0
    is_quiet = not n_refused and not n_brown
    if is_quiet:
        title = "Nothing was refused, and nothing browned out"
    else:
        refused, browned = (share(n / n_requests if n_requests else None) for n in (n_refused, n_brown))
        title = f"{refused} were refused or failed, {browned} got a lower rung"

    def draw(table: Table, *_: Table) -> None:
        if is_quiet:
            st.html(nothing("Every request was answered by the rung that it should have."))
            return
        echart(
            refusal_bars(table, refusals.table, brownout, palette),
            key="refusals",
            height=230,
            label="Shed, failed and browned out requests over time",
        )
        st.html(_reason_table(refusals.table, brownout, n_requests, scope))

    panel(
        title if load.has_rows else "What was refused?",
        [load, refusals, answers["variants"]],
        draw,
        key="concurrency-refusals",
        unit="% of requests",
        note="Of all variants and versions: what is refused has none."
        if scope.variant or scope.version
        else "",
        empty="No requests in this range.",
        csv=refusals.table.csv if refusals.has_rows else None,
    )


def _reason_table(refusals: Table, brownout: Table, n_requests: float, scope: Scope) -> str:
    """What was refused and browned out, by reason."""
    counts: dict[tuple[str, str], float] = {}
    for row in refusals.rows():
        key = (row["outcome"], row["reason"])
        counts[key] = counts.get(key, 0.0) + row["n_requests"]
    for row in brownout.rows():
        key = (BROWNOUT, f"answered by {row['variant']}")
        counts[key] = counts.get(key, 0.0) + row["n_requests"]
    rows: list[Row] = [
        [outcome, reason.replace("_", " ") or "–", n, share(n / n_requests)]
        for (outcome, reason), n in sorted(counts.items(), key=lambda each: -each[1])[:6]
    ]
    columns = [
        Column("Outcome"),
        Column("Reason"),
        Column("Requests", is_number=True),
        Column("Of all", is_number=True),
    ]
    return data_table(columns, rows, label="Refused requests by reason")


def brownout_of(variants: Table) -> Table:
    """Of `variants`, what a lower rung answered because of the load."""
    return variants.where(variants["reason"] == BROWNOUT) if variants.n_rows else variants
