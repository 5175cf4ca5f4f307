"""What devices make of a plan, as text for the terminal and as JSON."""

import math
from collections.abc import Iterator
from typing import Any

from planner.edge import Edge, Seen
from planner.edge_planning import EdgePlanned, Side
from planner.evaluation import Promise
from planner.model import mean_of
from planner.plan_report import as_json, table

HEAD = (
    "",
    "plan",
    "instances USD",
    "downloads USD",
    "USD/month",
    "p50 ms",
    "p95 ms",
    "p99 ms",
    "in SLO",
    "quality",
)
LEFT = (0, 1)
"Columns of text."


def edge_lines(planned: EdgePlanned, promise: Promise) -> Iterator[str]:
    """The part of the report that devices have, line by line."""
    edge, side, other = planned.edge, planned.with_devices, planned.without
    told = f"1 of {edge.compare_every} compared" if edge.compare_every else "none compared"
    yield (
        f"devices answer {edge.share * 100:.4g}% of {planned.all_per_s:,.1f} requests a second ({told}); "
        f"the cloud gets {planned.cloud_per_s:,.1f}"
    )
    yield (f"as users see it, {edge.round_trip_s * 1e3:g} ms of round trip to the cloud included:")
    rows = [_row("> with devices", side)]
    if other is not None:
        rows.append(_row("without", other))
    yield from table(HEAD, rows, left=LEFT)
    if other is None:
        yield f"  without: {planned.why_none}"
    else:
        yield f"  {_difference(side, other)}"
    if edge.downloads is not None:
        sent = edge.downloads
        yield (
            f"  downloads: {sent.n_devices:,} devices x {sent.updates_per_month:g} updates a month x "
            f"{sent.bundle_bytes / 1e3:,.0f} kB = {sent.bytes_per_month / 1e9:,.1f} GB"
        )
    verdict = "keep it too" if planned.keeps_slo else "do not keep it"
    yield (
        f"  the promise is the cloud's, its round trip left out: {side.plan.slo_share:.2%} within "
        f"{promise.slo_s * 1e3:g} ms; all answers as users see them {verdict}"
    )
    if planned.keeps_quality is False:
        yield (
            f"  quality {side.seen.quality:.4f} of all answers is below the least of {promise.quality:.4f}; lower "
            "--edge-share or --quality, or train a better bundle"
        )


def edge_doubts(planned: EdgePlanned) -> Iterator[str]:
    """What these figures rest on, line by line."""
    for guess in planned.edge.guesses:
        yield f"  EXTRAPOLATED: {guess}"
    for note in planned.edge.notes:
        yield f"  {note}"
    if planned.downloads is not None:
        for said in (*planned.downloads.assumptions, *planned.downloads.unconfirmed):
            yield f"  {said}"


def edge_json(planned: EdgePlanned) -> dict[str, Any]:
    """The same for machines; times in seconds."""
    return {
        "share": planned.edge.share,
        "all_per_s": planned.all_per_s,
        "cloud_per_s": planned.cloud_per_s,
        "round_trip_s": planned.edge.round_trip_s,
        "device": _device(planned.edge),
        "with_devices": _side(planned.with_devices),
        "without": None if planned.without is None else _side(planned.without),
        "why_none": planned.why_none,
        "keeps_slo": planned.keeps_slo,
        "keeps_quality": planned.keeps_quality,
        "extrapolated": planned.edge.guesses,
        "notes": planned.edge.notes,
        "downloads_unconfirmed": planned.downloads.unconfirmed if planned.downloads else (),
    }


def _device(edge: Edge) -> dict[str, Any]:
    return {"mean_s": mean_of(edge.answer_s), "ndcg_10": edge.ndcg_10, "compare_every": edge.compare_every}


def _side(side: Side) -> dict[str, Any]:
    return {
        "plan": as_json(side.plan),
        "seen": {name: getattr(side.seen, name) for name in Seen.__slots__},
        "downloads_usd": side.downloads_usd,
        "usd_per_month": side.usd_per_month,
    }


def _row(name: str, side: Side) -> tuple[str, ...]:
    seen = side.seen
    return (
        name,
        str(side.plan.candidate),
        f"{side.plan.usd_per_month:,.2f}",
        f"{side.downloads_usd:,.2f}",
        f"{side.usd_per_month:,.2f}",
        *(_ms(value_s) for value_s in (seen.p50_s, seen.p95_s, seen.p99_s)),
        f"{seen.slo_share:.2%}",
        "not known" if seen.quality is None else f"{seen.quality:.4f}",
    )


def _difference(side: Side, other: Side) -> str:
    usd = side.usd_per_month - other.usd_per_month
    cost = f"{abs(usd):,.2f} USD a month {'more' if usd > 0 else 'less'} than without"
    faster = [
        f"{name} {_ms(before_s)} to {_ms(after_s)} ms"
        for name, before_s, after_s in (
            ("p50", other.seen.p50_s, side.seen.p50_s),
            ("p95", other.seen.p95_s, side.seen.p95_s),
        )
    ]
    said = f"devices: {cost}; {', '.join(faster)}"
    before, after = other.seen.quality, side.seen.quality
    return said + (f"; NDCG@10 {after / before - 1:+.1%}" if before and after is not None else "")


def _ms(value_s: float) -> str:
    return f"{value_s * 1e3:,.1f}" if math.isfinite(value_s) else "refused"
