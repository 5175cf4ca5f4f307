"""Variants and versions beside each other, as far as their requests tell them apart."""

import streamlit as st

from console.analysis.latency import FEWEST, Compared, compare, verdict
from console.asking import Answer
from console.charts.latency import AXIS_PX, variant_ranges
from console.formats import UNKNOWN, ms, number, share, short
from console.page import altair_chart, current_palette, panel
from console.pieces import Cell, Column, Row, data_table, legend
from console.scope import Scope, link_to
from console.settings import settings
from console.telemetry import Table

MOST_DRAWN = 8
"The table has them all."
VARIANT_PX = 26


def show_variants(scope: Scope, answer: Answer) -> None:
    """Draw `latency_by_variant`."""
    palette, slo_ms = current_palette(), settings().slo_ms
    compared = compare(answer.table, slo_ms=slo_ms) if answer.has_rows else []
    drawn = compared[:MOST_DRAWN]

    def draw(_: Table) -> None:
        altair_chart(
            variant_ranges(drawn, palette, slo_ms=slo_ms),
            key="variant-ranges",
            height=VARIANT_PX * len(drawn) + AXIS_PX,
        )
        st.html(
            legend(
                [
                    ("p50", "var(--rs-text)"),
                    ("p95", "var(--rs-warn)"),
                    ("p99, with its 95 % interval", "var(--rs-bad)"),
                    (f"dashed: SLO {ms(slo_ms)}", "var(--rs-muted)"),
                ]
            )
            + _variant_table(scope, compared)
        )

    panel(
        verdict(compared) if compared else "Variants and versions compared",
        answer,
        draw,
        key="variants",
        unit="ms, log scale",
        note="Intervals follow from the weights and take requests to be independent; short bursts are less certain.",
        empty="No request was answered in this range.",
    )


def _variant_table(scope: Scope, compared: list[Compared]) -> str:
    columns = [
        Column("Variant"),
        Column("Version"),
        Column("Requests", is_number=True),
        Column("p50", is_number=True),
        Column("p95", is_number=True),
        Column("p99", is_number=True),
        Column("95 % interval", is_number=True),
        Column("Over SLO", is_number=True),
    ]
    rows: list[Row] = [
        [
            Cell(each.variant or "unknown", href=_narrowed(scope, each), help="Show this variant alone"),
            Cell(each.version or UNKNOWN),
            short(each.n_requests),
            each.p50.value_ms,
            each.p95.value_ms,
            Cell("too few", tone="quiet", help=f"A p99 takes {FEWEST} requests of equal weight.")
            if each.is_few
            else each.p99.value_ms,
            UNKNOWN if each.is_few else f"{_plain(each.p99.low_ms)} – {_plain(each.p99.high_ms)}",
            share(each.over_share),
        ]
        for each in compared
    ]
    return data_table(columns, rows, label="Latency by variant and version, in milliseconds")


def _narrowed(scope: Scope, each: Compared) -> str:
    """The view about this variant and version alone."""
    link = link_to("latency", scope, variant=each.variant, version=each.version)
    return link if each.variant else ""


def _plain(value: float) -> str:
    return number(value, 0 if value >= 100 else 1 if value >= 10 else 2)
