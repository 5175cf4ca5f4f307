"""The requests that were seen, billed by what other plans meter."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from console.analysis.bill import DEFAULT_REGION
from console.telemetry import Table
from planner.billing import Traffic, compare
from planner.price_list import read_prices

MOST = 10_000
"Requests that are packed onto instances, at most: another draw changes no bill by more than 1 or 2 %."
MOST_AT_ONCE = 16
"Requests that one instance of another plan is given, where the limiter allows more."
MEMORY_MB = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Elsewhere:
    """A month of the traffic on one plan."""

    title: str
    month_usd: float
    usd_per_1000: float
    assumptions: tuple[str, ...]
    unconfirmed: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    plans: tuple[Elsewhere, ...] = ()
    "Cheapest first."
    n_requests: int = 0
    "That were packed."
    sampled: str = ""
    "What a sample leaves out, in words."
    mean_ms: float = 0.0
    "What a request was taken to take."


def compare_plans(
    requests: Table,
    histogram: Table,
    *,
    interval_s: float,
    sku: str = "EP1",
    always_ready: int = 1,
    pre_warmed: int = 1,
    region: str = DEFAULT_REGION,
    memory_mb: int = MEMORY_MB,
    seed: int = 0,
) -> Comparison:
    """A month of 730 hours of this traffic on every plan, telemetry left out, since it costs the same everywhere.

    Args:
        requests: answer to `requests`; inside a bin arrivals are spread at random.
        histogram: answer to `latency_histogram`, whose windows are merged; durations are drawn from it.
        interval_s: width of the bins of `requests`.
        sku: Premium's size that the durations are of.
        always_ready: kept ready, where a plan can.
        pre_warmed: by Premium.

    Returns:
        Nothing where there were no requests.
    """
    counts = (
        np.nan_to_num(requests["n_requests"]).astype(np.int64) if requests.n_rows else np.zeros(0, np.int64)
    )
    if not counts.sum() or not histogram.n_rows:
        return Comparison()
    # Of every bin the same part, where there are more requests than are packed: each time of day keeps its share.
    part = min(1.0, MOST / float(counts.sum()))
    rng = np.random.default_rng(seed)
    kept = counts if part == 1 else rng.poisson(counts * part)
    starts = requests["interval_start"]
    places = np.rint((starts - starts[0]) / np.timedelta64(1, "s") / interval_s)
    width_s = interval_s * part
    length_s = float(places[-1] + 1) * width_s
    arrivals_s = np.sort((np.repeat(places, kept) + rng.random(int(kept.sum()))) * width_s)
    if not arrivals_s.size:
        return Comparison()
    durations_s = _draw_durations_s(histogram, arrivals_s.size, rng)
    billed = Traffic(
        arrivals_s=arrivals_s,
        durations_s=durations_s,
        elapsed_s=length_s,
        memory_mb=memory_mb,
        concurrency=MOST_AT_ONCE,
        sku=sku,
    )
    bills = compare(billed, read_prices(region), warm=always_ready, pre_warmed=pre_warmed)
    month_requests = arrivals_s.size * 730 * 3600 / length_s
    plans = tuple(
        Elsewhere(
            title=bill.title,
            month_usd=float(bill.total),
            usd_per_1000=1000 * float(bill.total) / month_requests,
            assumptions=bill.assumptions,
            unconfirmed=bill.unconfirmed,
        )
        for bill in bills
    )
    return Comparison(
        plans=tuple(sorted(plans, key=lambda plan: plan.month_usd)),
        n_requests=int(arrivals_s.size),
        sampled=f"{MOST:,} of {int(counts.sum()):,} requests, {part:.1%} of every {interval_s:g} s"
        if part < 1
        else "",
        mean_ms=float(durations_s.mean() * 1e3),
    )


def _draw_durations_s(histogram: Table, n: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Durations of so many requests, (n,): a bucket each, and its middle."""
    weights = np.nan_to_num(histogram["n_requests"])
    middles_ms = np.sqrt(histogram["above_ms"] * histogram["up_to_ms"])
    buckets, places = np.unique(middles_ms, return_inverse=True)
    totals = np.bincount(places, weights)
    drawn: NDArray[np.float64] = rng.choice(buckets, n, p=totals / totals.sum()) / 1e3
    return drawn
