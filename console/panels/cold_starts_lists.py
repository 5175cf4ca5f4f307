"""The starts that hurt most, and the requests that waited."""

from datetime import timedelta

import streamlit as st

from console.asking import Answer
from console.charts.requests import wait_table
from console.formats import clock, moment, number
from console.page import panel, panel_row
from console.pieces import Cell, Column, Tone, data_table
from console.scope import Scope, link_to
from console.telemetry import Table

N_LISTED = 12
CAUSE_TONES: dict[str, Tone] = {"restart": "warn", "replacement": "warn", "deployment": "info"}


def show_lists(answers: dict[str, Answer], scope: Scope) -> None:
    """Draw starts and requests, a row each, with their traces."""
    left, right = panel_row(2)
    with left:
        panel(
            "Which starts hurt most?",
            [answers["starts"], answers["hurt"]],
            lambda starts, hurt: st.html(_start_table(starts, hurt, scope)),
            key="cold-list",
            note=f"Up to {N_LISTED}, those that most requests waited for first; the time opens the start's trace.",
            empty="No process started in this range.",
        )
    with right:
        panel(
            "Which requests waited for a start?",
            answers["waited"],
            lambda table: st.html(wait_table(scope, table, most=N_LISTED, label="Requests that waited")),
            key="cold-waited",
            note="The slowest; the time opens the request's trace.",
            empty="No request waited for a start in this range.",
        )


def _start_table(starts: Table, hurt: Table, scope: Scope) -> str:
    waits = {row["process"]: row for row in hurt.rows()}
    # The query's order is the latest first, which sorting keeps among equals.
    listed = sorted(starts.rows(), key=lambda row: -(row["n_impacted"] or 0))[:N_LISTED]
    rows = []
    for row in listed:
        waited = waits.get(row["process"], {})
        n_impacted = row["n_impacted"] or 0
        ready = timedelta(milliseconds=row["ready_ms"] or 0)
        after = link_to(
            "latency",
            scope,
            since=row["started"] - timedelta(seconds=30),
            until=row["started"] + ready + timedelta(minutes=1),
        )
        day = scope.until - scope.since > timedelta(days=1)
        rows.append(
            [
                Cell(
                    moment(row["started"]) if day else clock(row["started"]),
                    href=link_to("trace", scope, trace=row["trace"]),
                    help="Open this start's trace",
                ),
                row["instance"],
                Cell(
                    (row["cause"] or "not told").replace("_", " "),
                    tone=CAUSE_TONES.get(row["cause"], "quiet"),
                ),
                row["driver"] or "–",
                row["ready_ms"],
                Cell(number(n_impacted), href=after if n_impacted else "", help="Latency at that time"),
                waited.get("mean_wait_ms"),
                waited.get("longest_wait_ms"),
            ]
        )
    columns = [
        Column("Started, UTC"),
        Column("Instance"),
        Column("Cause"),
        Column("Driven by"),
        Column("Ready after", unit="ms", is_number=True),
        Column("Impacted", is_number=True),
        Column("Mean wait", unit="ms", is_number=True),
        Column("Longest", unit="ms", is_number=True),
    ]
    return data_table(columns, rows, label="Cold starts")
