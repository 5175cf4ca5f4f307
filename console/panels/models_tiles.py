"""What the ladder gives away, in figures."""

from console.analysis.ladder import BROWNOUT, Following, given_away, share_known
from console.api_values import Ladder
from console.formats import UNKNOWN, share, short
from console.pieces import Tile, Tone
from console.scope import Scope, link_to
from console.telemetry import Table


def figures(
    scope: Scope,
    ladder: Ladder | None,
    served: Table,
    n_answers: dict[str, float],
    feedback: Table,
    follows: list[Following],
    shadow: Table,
) -> list[Tile]:
    """The tiles."""
    n_all = sum(n_answers.values())
    lost = given_away(n_answers, ladder) if ladder else None
    first = ladder.serving[0] if ladder and ladder.serving else next(iter(n_answers), "")
    n_brown = float(served["n_requests"][served["reason"] == BROWNOUT].sum()) if served.n_rows else 0.0
    n_known = sum(row.n_known for row in follows)
    n_hits = sum(row.n_known * row.hit_rate for row in follows)
    n_clicks = sum(
        row.n_answers * row.click_through for row in follows if row.click_through == row.click_through
    )
    known = share_known(feedback) if feedback.n_rows else None
    n_compared = float(shadow["n_compared"].sum()) if shadow.n_rows else 0.0
    overlap = (
        float((shadow["n_compared"] * shadow["mean_overlap"]).sum() / n_compared) if n_compared else None
    )
    return [
        Tile(
            "Quality given away",
            share(lost) if lost is not None else UNKNOWN,
            delta=f"of {first}'s NDCG@10" if lost is not None else "",
            tone=_tone(lost, 0.02, 0.1),
            help="Held-out NDCG@10 of the rungs, weighted by their answers, against the first serving rung's.",
        ),
        Tile(
            f"Answered by {first}" if first else "Answers",
            share(n_answers.get(first, 0.0) / n_all) if n_all else UNKNOWN,
            delta=f"of {short(n_all)} answers" if n_all else "",
            href=link_to("latency", scope, variant=first) if n_all and first else "",
            help="Show the latency of these answers.",
        ),
        Tile(
            "Brownout",
            share(n_brown / n_all) if n_all else UNKNOWN,
            delta="of answers by a cheaper rung under load" if n_all else "",
            tone=_tone(n_brown / n_all if n_all else None, 0.001, 0.05),
            href=link_to("concurrency", scope) if n_brown else "",
        ),
        Tile(
            "Online hit rate",
            share(n_hits / n_known) if n_known else UNKNOWN,
            delta=f"of {short(n_known)} events; {share(known)} joined" if n_known else "no events",
        ),
        Tile(
            "Click-through",
            share(n_clicks / n_all) if n_all and n_clicks else UNKNOWN,
            delta="clicks on listed items per answer" if n_clicks else "no clicks",
        ),
        Tile(
            "Shadow overlap",
            share(overlap) if overlap is not None else UNKNOWN,
            delta=f"of {short(n_compared)} compared" if n_compared else "no shadow runs",
        ),
    ]


def _tone(value: float | None, warn_from: float, bad_from: float) -> Tone:
    if value is None:
        return "quiet"
    return "bad" if value >= bad_from else "warn" if value >= warn_from else "good"
