"""Knee and limit, instances, and what was refused, in figures."""

import numpy as np

from console.analysis.knee import Knee, NoKnee
from console.analysis.load import load_of, most_over_instances, trusted_with
from console.asking import Answer
from console.formats import apart, number, share
from console.panels.concurrency_finding import place_of, written
from console.panels.concurrency_refusals import brownout_of
from console.pieces import Tile
from console.scope import Scope, link_to


def figures(
    answers: dict[str, Answer], found: Knee | NoKnee, limit: float | None, scope: Scope
) -> list[Tile]:
    """The tiles."""
    load, now = answers["load"].table, answers["now"].table
    n_requests = float(load["n_requests"].sum())
    n_shed = float(load["n_shed"].sum())
    n_brown = (
        float(brownout_of(answers["variants"].table)["n_requests"].sum())
        if answers["variants"].has_rows
        else 0.0
    )
    _, ready, _, needed = load_of(now, trusted_with(found, limit)[0])
    busiest = (
        int(np.nanargmax(now["in_flight"])) if now.n_rows and np.isfinite(now["in_flight"]).any() else None
    )
    is_short = bool(now.n_rows and (needed > ready).any())
    return [
        Tile(
            "Knee",
            place_of(found),
            unit="in flight" if found.low is not None else "",
            delta=_how_sure(found),
            tone="info" if isinstance(found, Knee) else "quiet",
            help="Where p99 begins to rise, on one instance.",
        ),
        Tile(
            "Limit",
            number(limit),
            unit="in flight",
            delta=f"{limit / found.in_flight:.1f} x the knee" if isinstance(found, Knee) and limit else "",
            tone="warn" if isinstance(found, Knee) and limit and limit > 1.5 * found.high else "quiet",
            help="What the limiter lets in on one instance at a time, in the median.",
        ),
        Tile(
            "Busiest instance",
            written(float(now["in_flight"][busiest])) if busiest is not None else "–",
            unit="in flight",
            delta=str(now["instance"][busiest]) if busiest is not None else "",
            spark=most_over_instances(now, "in_flight"),
            href=link_to("contention", scope),
            help="Mean over the busiest interval; contention tells what it was short of.",
        ),
        Tile(
            "Instances ready",
            number(float(ready[-1])) if len(ready) else "–",
            delta=f"{_intervals(int((needed > ready).sum()))} needed more"
            if is_short
            else "always enough"
            if len(ready)
            else "",
            tone="bad" if is_short else "good",
            spark=ready.tolist(),
            help="In the last interval; needed are as many as keep each at the knee, or where none is known the limit.",
        ),
        Tile(
            "Shed",
            *apart(share(n_shed / n_requests if n_requests else None)),
            delta=f"{number(n_shed)} of {number(n_requests)} requests",
            tone="bad" if n_shed else "quiet",
            spark=(load["shed_share"] * 100).tolist(),
        ),
        Tile(
            "Answered in brownout",
            *apart(share(n_brown / n_requests if n_requests else None)),
            delta=f"{number(n_brown)} by a lower rung",
            tone="warn" if n_brown else "quiet",
            href=link_to("models", scope),
            help="Under pressure a cheaper model answers instead of none.",
        ),
    ]


def _how_sure(found: Knee | NoKnee) -> str:
    if isinstance(found, Knee):
        return f"95 %: {written(found.low)} to {written(found.high)}"
    return "not in these data" if found.low is None else "no closer in these data"


def _intervals(n: int) -> str:
    return f"{n} interval{'s' if n != 1 else ''}"
