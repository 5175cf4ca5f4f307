"""Requests one by one, as a table: when, how long, on what, and the way to each one's trace."""

from collections.abc import Mapping
from typing import Any

from console.analysis.latency import PHASES
from console.formats import UNKNOWN, clock, ms, number, share
from console.pieces import Cell, Column, Row, Tone, data_table
from console.scope import Scope, link_to
from console.telemetry import Table

ID_LENGTH = 8
"Characters of an operation id that are shown."
REASONS: Mapping[str, tuple[str, Tone, str]] = {
    "failed": ("failed", "bad", "It ended in an error."),
    "impacted": ("cold", "warn", "It waited for the start of a process."),
    "cold": ("cold", "warn", "It met a process that was not warm."),
    "shed": ("shed", "warn", "It was refused to keep the others fast."),
    "slow": ("slow", "info", "It was slower than most; all such are kept."),
    "rate": ("sampled", "quiet", "It stands for others that were not kept."),
}
"Why a span exists: its badge, tone and what that means."

OUTCOME_TONES: Mapping[str, Tone] = {"ok": "quiet", "shed": "warn"}
"All others are failures."


def request_table(scope: Scope, table: Table, *, most: int) -> str:
    """The first rows of `slow_requests`, with what each spent its time on as a bar."""
    columns = [
        Column("Trace"),
        Column("Began, UTC"),
        Column("Took", unit="ms", is_number=True),
        Column("Phases"),
        Column("Mostly"),
        Column("Variant"),
        Column("Instance"),
        Column("In flight", is_number=True),
        Column("Outcome"),
        Column("Kept as"),
    ]
    shown = table.rows()[:most]
    return data_table(columns, [_row(scope, row) for row in shown], label="Requests, the slowest first")


def wait_table(scope: Scope, table: Table, *, most: int, label: str) -> str:
    """The first rows of `slow_requests`, with what each waited for in milliseconds."""
    rows: list[Row] = [
        [
            Cell(
                clock(row["at"]),
                href=link_to("trace", scope, trace=row["trace"]),
                help="Open this request's trace",
            ),
            row["duration_ms"],
            row["wait_ms"],
            row["queue_ms"],
            row["state_ms"],
            row["infer_ms"],
            row["in_flight"],
            Cell(row["outcome"] or "not told", tone=OUTCOME_TONES.get(row["outcome"], "bad")),
            row["variant"] or UNKNOWN,
            row["instance"],
        ]
        for row in table.rows()[:most]
    ]
    columns = [
        Column("At, UTC"),
        Column("Took", unit="ms", is_number=True),
        Column("Start", unit="ms", is_number=True),
        Column("Queue", unit="ms", is_number=True),
        Column("State", unit="ms", is_number=True),
        Column("Model", unit="ms", is_number=True),
        Column("In flight", is_number=True),
        Column("Outcome"),
        Column("Variant"),
        Column("Instance"),
    ]
    return data_table(columns, rows, label=label)


def _row(scope: Scope, row: Mapping[str, Any]) -> Row:
    spent = {phase: row[f"{phase}_ms"] or 0.0 for phase in PHASES}
    phase, longest_ms = max(spent.items(), key=lambda each: each[1])
    total_ms = max(row["duration_ms"] or 0.0, sum(spent.values()), 1e-9)
    in_flight, limit = row["in_flight"], row["limit"]
    text, tone, help = REASONS.get(row["kept"], (row["kept"] or UNKNOWN, "quiet", ""))
    told = ", ".join(f"{name} {ms(took)}" for name, took in spent.items() if took > 0)
    if (weight := row["weight"] or 1.0) > 1:
        text, help = f"{text}, 1 of {number(weight)}", f"It stands for {number(weight)} requests."
    return [
        Cell(
            f"{row['trace'][:ID_LENGTH]}…" if row["trace"] else UNKNOWN,
            href=link_to("trace", scope, trace=row["trace"]) if row["trace"] else "",
            help="What happened in this request",
        ),
        Cell(f"{row['at']:%d %b %H:%M:%S}".lstrip("0"), help=row["at"].isoformat()),
        row["duration_ms"],
        Cell(
            told,
            help=told,
            parts=[(f"var(--rs-phase-{name})", took / total_ms) for name, took in spent.items()],
        ),
        f"{phase}, {share(longest_ms / total_ms)}" if longest_ms > 0 else UNKNOWN,
        row["variant"] or UNKNOWN,
        row["instance"] or UNKNOWN,
        UNKNOWN if in_flight is None else f"{number(in_flight)} of {number(limit)}",
        Cell("ok") if row["outcome"] == "ok" else Cell(row["outcome"] or "unknown", tone="bad"),
        Cell(text, tone=tone, help=help),
    ]
