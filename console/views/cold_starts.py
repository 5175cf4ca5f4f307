"""Cold starts: what did they cost users, and which phase?"""

from datetime import timedelta

import numpy as np
import streamlit as st

from console.asking import Answer, Question, ask
from console.bar import current_scope
from console.behind import failure_of_all, request_table
from console.charts.cold_starts import (
    FEWEST_FOR_P95,
    MOST_INSTANCES,
    budget_spent,
    cause_rows,
    impact_bars,
    lifetime_chart,
    longest_phase,
    phase_waterfall,
    stays,
)
from console.formats import clock, moment, ms, number, share, short
from console.page import altair_chart, current_palette, echart, heading, panel, panel_row, say
from console.palette import Palette
from console.pieces import Cell, Column, Tile, Tone, data_table, tiles
from console.scope import Scope, link_to
from console.settings import settings
from console.telemetry import Table

QUESTION = "What did cold starts cost users, and which phase?"
N_LISTED = 12
CAUSE_TONES: dict[str, Tone] = {"restart": "warn", "replacement": "warn", "deployment": "info"}


def show() -> None:
    """Draw the view."""
    scope, palette = current_scope(), current_palette()
    answers = ask(
        scope,
        starts=Question("cold_starts"),
        phases=Question("cold_start_phase_summary"),
        impact=Question("cold_start_impact"),
        hurt=Question("impacted_requests"),
        waited=Question("slow_requests", least_wait_ms=0.001),
        states=Question("instance_states"),
        seen=Question("instances"),
    )
    if (failure := failure_of_all(answers)) is not None:
        heading(QUESTION)
        say(failure)
        return
    heading(QUESTION, _answer(answers))
    if answers["starts"].has_rows or answers["impact"].has_rows:
        st.html(tiles(_figures(answers, scope)))
    if answers["starts"].has_rows or answers["starts"].is_failed or answers["waited"].has_rows:
        _show_phases_and_impact(answers, palette)
        _show_lifetimes(answers, scope, palette)
        _show_lists(answers, scope)
    else:  # nothing to tell of starts: what there is instead
        _show_lifetimes(answers, scope, palette)


def _answer(answers: dict[str, Answer]) -> str:
    starts, impact = answers["starts"].table, answers["impact"].table
    if answers["starts"].is_failed or answers["impact"].is_failed:
        return ""
    if not starts.n_rows:
        return "No process started in this range, so no request waited for one."
    begun = f"{starts.n_rows:,} process{'es' if starts.n_rows != 1 else ''} started"
    n_impacted, n_over, n_requests = _sums(impact, "n_impacted", "n_impacted_over", "n_requests")
    if not n_impacted:
        said = f"{begun}, and no request waited for one."
    else:
        spent = budget_spent(n_over, n_requests, slo_share=settings().slo_share)
        said = (
            f"{begun}; {number(n_impacted)} request{'s' if n_impacted != 1 else ''} waited "
            f"({one_in(n_impacted, n_requests)}), {number(n_over)} of them "
            f"missed the SLO: {share(spent)} of the error budget."
        )
    longest = longest_phase(answers["phases"].table) if answers["phases"].has_rows else None
    if longest is not None:
        said += f" The longest phase is {longest[0]}, {ms(longest[1])} in the median."
    return said


def _figures(answers: dict[str, Answer], scope: Scope) -> list[Tile]:
    starts, impact, hurt = answers["starts"].table, answers["impact"].table, answers["hurt"].table
    n_impacted, n_over, n_requests, n_bad, wait_ms = _sums(
        impact, "n_impacted", "n_impacted_over", "n_requests", "n_bad", "wait_ms"
    )
    n_triggered = float((starts["driver"] == "request").sum()) if starts.n_rows else 0.0
    ready = starts["ready_ms"][np.isfinite(starts["ready_ms"])] if starts.n_rows else np.empty(0)
    explained = _explained(starts)
    spent = budget_spent(n_over, n_requests, slo_share=settings().slo_share)
    longest = longest_phase(answers["phases"].table) if answers["phases"].has_rows else None
    per_bin = impact["n_impacted"].tolist() if impact.n_rows > 2 else ()
    return [
        Tile(
            "Cold starts",
            number(starts.n_rows),
            delta=f"{number(n_triggered)} triggered by a request",
            tone="warn" if n_triggered else "quiet",
            spark=impact["n_cold_starts"].tolist() if impact.n_rows > 2 else (),
            help="A start that a request drove made that request wait; others were driven by the warmup trigger "
            "or by nobody yet.",
        ),
        Tile(
            "Requests impacted",
            short(n_impacted),
            delta=one_in(n_impacted, n_requests),
            tone="bad" if n_over else "quiet",
            spark=per_bin,
            help="Requests that waited for a process that was still starting: the one that triggered it, and all "
            "that queued behind it.",
        ),
        Tile(
            "Waited",
            *_split(ms(wait_ms / n_impacted if n_impacted else None)),
            delta=f"{ms(float(np.nanmax(hurt['longest_wait_ms'])))} at most" if hurt.n_rows else "",
            help="Mean over the impacted requests.",
        ),
        Tile(
            "Ready after",
            *_split(ms(float(np.median(ready)) if len(ready) else None)),
            delta=f"{ms(float(np.percentile(ready, 95)))} at p95" if len(ready) >= 5 else "",
            help="From the start of the process to readiness, in the median."
            + (f" Phases explain {share(explained)} of it." if explained is not None else ""),
        ),
        Tile(
            "Error budget spent on them",
            *_split(share(spent)),
            delta=f"{share(n_over / n_bad)} of all that was spent" if n_bad else "nothing was spent",
            tone="bad" if (spent or 0) > 0.5 else "warn" if (spent or 0) > 0.1 else "quiet",
            help=f"Impacted requests over the SLO, as a share of the {share(1 - settings().slo_share)} that may "
            "miss it in this range.",
        ),
        Tile(
            "Longest phase",
            *_split(ms(longest[1] if longest else None)),
            delta=longest[0] if longest else "",
            tone="info",
            help="In the median; waiting for other threads does not count.",
        ),
    ]


def _show_phases_and_impact(answers: dict[str, Answer], palette: Palette) -> None:
    left, right = panel_row([3, 2])
    with left:

        def draw_phases(summary: Table) -> None:
            altair_chart(phase_waterfall(summary, palette), key="phases")

        longest = longest_phase(answers["phases"].table) if answers["phases"].has_rows else None
        panel(
            f"The longest phase is {longest[0]}" if longest else "Which phase takes longest?",
            answers["phases"],
            draw_phases,
            key="cold-phases",
            unit="ms",
            note=_phase_note(answers["phases"].table),
            empty="No process started in this range.",
        )
    with right:

        def draw_impact(table: Table) -> None:
            if not table["n_impacted"].any():
                st.html('<div class="rs-empty">Requests came, and none of them waited for a start.</div>')
                return
            echart(
                impact_bars(table, palette), key="impact", height=230, label="Requests that waited, over time"
            )

        panel(
            "When did requests wait for a start?",
            answers["impact"],
            draw_impact,
            key="cold-impact",
            unit="requests",
            empty="No requests in this range.",
        )

        def draw_causes(starts: Table) -> None:
            columns = [
                Column("Cause"),
                Column("Starts", is_number=True),
                Column("Share", is_bar=True),
                Column("By a request", is_number=True),
                Column("Ready, median", unit="ms", is_number=True),
                Column("Impacted", is_number=True),
            ]
            st.html(data_table(columns, cause_rows(starts), label="Causes of starts"))

        panel(
            "Why did processes start?",
            answers["starts"],
            draw_causes,
            key="cold-causes",
            note="Impacted here are requests of any function; the figures above are of recommend.",
            empty="No process started in this range.",
        )


def _phase_note(summary: Table) -> str:
    n = int(np.nanmax(summary["n_starts"])) if summary.n_rows else 0
    if 0 < n < FEWEST_FOR_P95:
        said = f"Median of {n} start{'s' if n != 1 else ''}, too few for a 95th percentile."
    else:
        said = "Median bar, pale up to the 95th percentile."
    return f"{said} Threads work beside each other: shorten what the end waits for."


def _show_lifetimes(answers: dict[str, Answer], scope: Scope, palette: Palette) -> None:
    states, seen, starts = (answers[name] for name in ("states", "seen", "starts"))
    found = stays(states.table, seen.table, since=scope.since, until=scope.until)
    n = len({stay.instance for stay in found})
    note = "Triangles are starts; red ones made requests wait."
    if n > MOST_INSTANCES:
        note += f" The {MOST_INSTANCES} latest of {n} instances."
    if not states.has_rows and found:
        note += " This plan does not tell its states: bars are from the first heartbeat to the last."

    def draw_stays(*_: Table) -> None:
        chart = lifetime_chart(found, starts.table, palette, since=scope.since, until=scope.until)
        altair_chart(chart, key="lifetimes")

    # Whichever table has rows comes first: a panel is empty where its first is.
    shown = sorted((states, seen), key=lambda answer: not answer.has_rows)
    panel(
        f"{n} instance{'s' if n != 1 else ''} lived in this range" if n else "How long did instances live?",
        shown,
        draw_stays,
        key="lifetimes-panel",
        unit="UTC",
        note=note,
        empty="No instance was heard of in this range.",
    )


def _show_lists(answers: dict[str, Answer], scope: Scope) -> None:
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
            lambda table: st.html(request_table(table, scope, label="Requests that waited", n=N_LISTED)),
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


def _sums(table: Table, *columns: str) -> tuple[float, ...]:
    return tuple(float(np.nansum(table[column])) if table.n_rows else 0.0 for column in columns)


def _explained(starts: Table) -> float | None:
    """Share of the time to readiness that lies in some phase, in the median."""
    if not starts.n_rows:
        return None
    with np.errstate(invalid="ignore", divide="ignore"):
        shares = starts["explained_ms"] / starts["ready_ms"]
    return float(np.nanmedian(shares)) if np.isfinite(shares).any() else None


def one_in(n: float, n_all: float) -> str:
    """How rare something is: `1 in 34,000 requests`, or a share where it is common."""
    if not n or not n_all:
        return "none" if n_all else ""
    if n / n_all >= 0.005:
        return f"{share(n / n_all)} of requests"
    digits = 10 ** max(len(str(int(n_all / n))) - 2, 0)
    return f"1 in {round(n_all / n / digits) * digits:,} requests"


def _split(said: str) -> tuple[str, str]:
    """A figure and its unit, as a tile wants them."""
    value, _, unit = said.partition(" ")
    return value, unit
