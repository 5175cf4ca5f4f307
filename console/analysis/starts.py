"""Starts of processes: which phase takes longest, why they happened, and what they cost of the error budget."""

from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from console.telemetry import Table

THREADS = ("imports the app", "builds the service", "loads models", "afterwards")
"What the phases of a start run on, three threads beside each other; telemetry comes when all is done."
ASIDE = ("wait", "models", "telemetry")
"Phases that shorten no start: a thread waits for another one, or the process is ready already."
FEWEST_FOR_P95 = 20
"The 95th percentile of fewer starts is about their longest, and so chance."


def thread_of(phase: str) -> str:
    """Which of `THREADS` a phase of a start runs on."""
    if phase == "telemetry":
        return THREADS[3]
    if phase == "model_read" or phase.startswith(("session ", "first_inference ")):
        return THREADS[2]
    if phase in (
        "interpreter",
        "import recserve",
        "wait",
        "import azure.functions",
        "import function_app",
        "host",
    ):
        return THREADS[0]
    return THREADS[1]


def longest_phase(summary: Table) -> tuple[str, float] | None:
    """The phase that takes longest in the median, and its milliseconds; those of `ASIDE` do not count."""
    is_work = ~np.isin(summary["phase"].astype(str), ASIDE)
    if not is_work.any():
        return None
    worked = summary.where(is_work)
    at = int(np.nanargmax(worked["median_ms"]))
    return str(worked["phase"][at]), float(worked["median_ms"][at])


def cause_rows(starts: Table) -> list[list[str | float | None]]:
    """By cause: its name, starts, their share, how many a request drove, median ready (ms), requests impacted."""
    causes = starts["cause"].astype(str)
    rows: list[list[str | float | None]] = []
    for cause, n in Counter(causes.tolist()).most_common():
        mask = causes == cause
        ready: NDArray[Any] = starts["ready_ms"][mask]
        rows.append(
            [
                cause.replace("_", " ") or "not told",
                float(n),
                n / starts.n_rows,
                float((starts["driver"][mask] == "request").sum()),
                float(np.nanmedian(ready)) if np.isfinite(ready).any() else None,
                float(np.nansum(starts["n_impacted"][mask])),
            ]
        )
    return rows


def budget_spent(n_over: float, n_requests: float, *, slo_share: float) -> float | None:
    """Share of the range's error budget that so many requests over the SLO use up; None without requests.

    The budget is (1 - slo_share) x requests: 1 is all of it.
    """
    budget = (1 - slo_share) * n_requests
    return n_over / budget if budget > 0 else None
