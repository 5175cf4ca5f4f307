"""What cold starts cost, in figures."""

import numpy as np
from numpy.typing import NDArray

from console.analysis.starts import FEWEST_FOR_P95, budget_spent, longest_phase
from console.asking import Answer
from console.formats import apart, ms, number, share, short
from console.pieces import Tile
from console.scope import Scope
from console.settings import settings
from console.telemetry import Table


def figures(answers: dict[str, Answer], scope: Scope) -> list[Tile]:
    """The tiles."""
    starts, impact, hurt = answers["starts"].table, answers["impact"].table, answers["hurt"].table
    n_impacted, n_over, n_requests, n_bad, wait_ms = sums(
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
            *apart(ms(wait_ms / n_impacted if n_impacted else None)),
            delta=f"{ms(float(np.nanmax(hurt['longest_wait_ms'])))} at most" if hurt.n_rows else "",
            help="Mean over the impacted requests.",
        ),
        Tile(
            "Ready after",
            *apart(ms(float(np.median(ready)) if len(ready) else None)),
            delta=_at_p95(ready),
            help="From the start of the process to readiness, in the median."
            + (f" Phases explain {share(explained)} of it." if explained is not None else ""),
        ),
        Tile(
            "Error budget spent on them",
            *apart(share(spent)),
            delta=f"{share(n_over / n_bad)} of all that was spent" if n_bad else "nothing was spent",
            tone="bad" if (spent or 0) > 0.5 else "warn" if (spent or 0) > 0.1 else "quiet",
            help=f"Impacted requests over the SLO, as a share of the {share(1 - settings().slo_share)} that may "
            "miss it in this range.",
        ),
        Tile(
            "Longest phase",
            *apart(ms(longest[1] if longest else None)),
            delta=longest[0] if longest else "",
            tone="info",
            help="In the median; waiting for other threads does not count.",
        ),
    ]


def _at_p95(ready_ms: NDArray[np.float64]) -> str:
    if not len(ready_ms):
        return ""
    if len(ready_ms) < FEWEST_FOR_P95:
        return "too few starts for a p95"
    return f"{ms(float(np.percentile(ready_ms, 95)))} at p95"


def sums(table: Table, *columns: str) -> tuple[float, ...]:
    """Of each column; 0 without rows."""
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
