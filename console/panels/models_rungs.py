"""The rungs of the ladder: quality against time, and what each costs and answers."""

from collections.abc import Sequence

import streamlit as st

from console.analysis.ladder import frontier
from console.api_values import Ladder
from console.asking import Answer
from console.charts.models import frontier_chart, size
from console.formats import share
from console.page import altair_chart, panel
from console.palette import Palette
from console.pieces import Cell, Column, Row, data_table
from console.queries.histograms import percentile_ms
from console.scope import Scope, link_to
from console.telemetry import Table

GROWTH = 1.05


def show_frontier(
    ladder: Ladder | None, described: Answer, colours: dict[str, str], palette: Palette
) -> None:
    """Draw quality against time.

    Args:
        described: the ladder as an answer; it failed or has no rows where there is none.
    """

    def draw(_: Table) -> None:
        assert ladder is not None
        altair_chart(
            frontier_chart(ladder.rungs, ladder.serving, colours, palette), key="frontier", height=270
        )

    panel(
        _frontier_title(ladder),
        described,
        draw,
        key="frontier-panel",
        note="Filled rungs answer; area is size, the bar through each the 95 % interval of its quality.",
        empty="The API has no ladder.",
    )


def show_rungs(
    scope: Scope,
    ladder: Ladder | None,
    answers: Sequence[Answer],
    n_answers: dict[str, float],
    p50_ms: dict[str, float | None],
) -> None:
    """Draw a row for each rung.

    Args:
        answers: the ladder as an answer, and that to `latency_by_variant`.
        n_answers: by variant.
        p50_ms: by variant.
    """

    def draw(*_: Table) -> None:
        assert ladder is not None
        st.html(_rung_table(scope, ladder, n_answers, p50_ms))

    panel(
        "What each rung costs, and how often it answers",
        answers,
        draw,
        key="rungs",
        note="Quality, run and size as measured at training; answers and their median time in this range.",
    )


def median_by_variant(latency: Table) -> dict[str, float | None]:
    """Median time of an answer by variant, ms, over all versions and reasons."""
    rows: dict[str, list[dict[str, float]]] = {}
    for row in latency.rows():
        rows.setdefault(row["variant"], []).append(row)
    return {variant: percentile_ms(own, 0.5, growth=GROWTH) for variant, own in rows.items()}


def _rung_table(
    scope: Scope, ladder: Ladder, n_answers: dict[str, float], p50_ms: dict[str, float | None]
) -> str:
    """A row for each rung, best first; then those that answered and that the ladder lacks."""
    n_all = sum(n_answers.values())
    best = ladder.rungs[0].ndcg if ladder.rungs else 0.0

    def cell(name: str, help: str = "") -> Cell:
        return Cell(
            name, href=link_to("latency", scope, variant=name) if name in n_answers else "", help=help
        )

    def role(name: str) -> Cell:
        if name not in ladder.serving:
            return Cell("at hand", tone="quiet", help="Trained and kept; it answers nobody.")
        first = name == ladder.serving[0]
        return Cell("first", tone="good") if first else Cell("fallback", tone="info")

    rows: list[Row] = [
        [
            cell(rung.name, rung.description),
            role(rung.name),
            Cell(f"{rung.ndcg:.4f}", help=_interval(rung.ndcg_low, rung.ndcg_high)),
            Cell("–" if rung.ndcg == best else share(rung.ndcg / best - 1)),
            Cell(f"{rung.latency_ms:.3f}"),
            size(rung.n_bytes),
            n_answers.get(rung.name, 0.0) / n_all if n_all else None,
            p50_ms.get(rung.name),
        ]
        for rung in ladder.rungs
    ]
    known = {rung.name for rung in ladder.rungs}
    rows += [
        [
            cell(name, "The API's ladder lacks it."),
            Cell("not here", tone="warn"),
            *[None] * 4,
            n / n_all,
            p50_ms.get(name),
        ]
        for name, n in n_answers.items()
        if name not in known
    ]
    columns = [
        Column("Rung"),
        Column("Role"),
        Column("NDCG@10", is_number=True),
        Column("Against best", is_number=True),
        Column("Run", unit="ms", is_number=True),
        Column("Size", is_number=True),
        Column("Answers", is_bar=True),
        Column("Median answer", unit="ms", is_number=True),
    ]
    return data_table(columns, rows, label="Rungs of the ladder")


def _interval(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f"95 % interval {low:.4f} to {high:.4f}"


def _frontier_title(ladder: Ladder | None) -> str:
    if ladder is None or not ladder.rungs:
        return "Which rung is worth its time?"
    beaten = [rung.name for rung in ladder.rungs if rung.name not in frontier(ladder.rungs)]
    if not beaten:
        return "Every rung buys quality with time"
    rest = "others are" if len(beaten) > 1 else "another rung is"
    return f"{' and '.join(beaten)}: {rest} both faster and at least as good"
