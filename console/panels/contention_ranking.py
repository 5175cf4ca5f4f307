"""Resources by how near they are to saturation."""

from datetime import datetime, timedelta

import streamlit as st

from console.analysis.saturation import HIGH, Saturation
from console.asking import Answer
from console.formats import clock, length, moment
from console.page import panel
from console.pieces import Cell, Column, Row, data_table
from console.scope import Scope, link_to
from console.telemetry import Table, table_of


def show_ranking(answer: Answer, ranked: list[Saturation], scope: Scope, width: timedelta) -> None:
    """Draw all resources, the one nearest to its mark first."""

    def draw(_: Table) -> None:
        columns = [
            Column("Resource"),
            Column("Median", is_number=True),
            Column("p95", is_number=True),
            Column("Saturated at", is_number=True),
            Column("p95 of that", is_bar=True, tone="warn"),
            Column("Worst", is_number=True),
            Column("Where and when, UTC"),
        ]
        rows: list[Row] = []
        for each in ranked:
            resource = each.resource
            there = link_to("latency", scope, since=each.worst_at - width, until=each.worst_at + 2 * width)
            rows.append(
                [
                    Cell(
                        resource.title,
                        href=link_to("contention", scope, resource=resource.name),
                        help=resource.measure,
                    ),
                    resource.written(each.typical),
                    resource.written(each.high),
                    resource.written(resource.mark),
                    each.nearness,
                    resource.written(each.worst),
                    Cell(
                        f"{each.worst_instance}, {_when(each.worst_at, scope)}",
                        href=there,
                        help="What latency did then",
                    ),
                ]
            )
        st.html(data_table(columns, rows, label="Resources by how near they are to saturation"))

    panel(
        f"{ranked[0].resource.title} is nearest to its mark"
        if ranked
        else "How near is each resource to its mark?",
        answer,
        draw,
        key="contention-ranking",
        note=f"Over instances and intervals of {length(width)}; the {HIGH}th percentile decides the order.",
        empty="No instance told of its resources in this range.",
        csv=lambda: _ranking_csv(ranked),
    )


def _ranking_csv(ranked: list[Saturation]) -> str:
    return table_of(
        {
            "resource": [each.resource.name for each in ranked],
            "median": [each.typical for each in ranked],
            "p95": [each.high for each in ranked],
            "saturated_at": [each.resource.mark for each in ranked],
            "worst": [each.worst for each in ranked],
            "worst_instance": [each.worst_instance for each in ranked],
            "worst_at": [each.worst_at for each in ranked],
        }
    ).csv()


def _when(at: datetime, scope: Scope) -> str:
    return moment(at) if scope.until - scope.since > timedelta(hours=20) else clock(at)
