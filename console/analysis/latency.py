"""Where the tail comes from: percentiles, phases at the median against the tail, variants beside each other."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from console.analysis.quantiles import Quantile, quantile, quantiles_over_time, share_above
from console.formats import ms
from console.queries.histograms import mean_over_band
from console.telemetry import Table

PHASES: Mapping[str, str] = {
    "startup": "waiting for a start",
    "admit": "being let in",
    "state": "reading the user's history",
    "queue": "queueing for the model",
    "infer": "running the model",
    "rank": "ranking",
    "encode": "writing the answer",
}
"What a request spends its time on, in the order of time."
PHASE_COLUMNS = tuple(f"{phase}_ms" for phase in PHASES)
GROWTH = 1.05
"Of the buckets that are asked for: percentiles are right to 2.5 %."
BANDS: Mapping[str, tuple[float, float]] = {
    "p50": (0.45, 0.55),
    "p95": (0.94, 0.96),
    "p99": (0.985, 0.995),
    "slowest 1 %": (0.99, 1.0),
}
"Which shares of the requests stand for a percentile."
FEWEST = 500
"Independent requests below which nobody can say a p99."


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """What one variant in one version answered."""

    variant: str
    version: str
    n_requests: float
    n_effective: float
    "Requests of equal weight that would tell as much."
    share: float
    "Of all requests."
    p50: Quantile
    p95: Quantile
    p99: Quantile
    over_share: float
    "Slower than the SLO."

    @property
    def label(self) -> str:
        return f"{self.variant} {self.version}".strip() or "unknown"

    @property
    def is_few(self) -> bool:
        return self.n_effective < FEWEST or not self.p99.is_bounded


@dataclass(frozen=True, slots=True)
class Gap:
    """What one phase adds between the median and p99."""

    phase: str
    p50_ms: float
    p99_ms: float
    slowest_ms: float
    "In the slowest 1 %."
    share: float
    "Of what all phases that grow add, 0 to 1."

    @property
    def added_ms(self) -> float:
        return self.p99_ms - self.p50_ms


def overall(histogram: Table, share: float) -> Quantile | None:
    """A percentile of all requests of `latency_histogram`; its interval takes each for one of its own."""
    return quantile(histogram["bucket"], histogram["n_requests"], share, growth=GROWTH)


def percentiles_over_time(histogram: Table) -> Table:
    """p50, p95 and p99 of each window of `latency_histogram`, in the columns of `latency_percentiles`."""
    if not histogram.n_rows:
        return Table()
    times, buckets, counts = (histogram[name] for name in ("interval_start", "bucket", "n_requests"))
    distinct, places = np.unique(times, return_inverse=True)
    of_share = [quantiles_over_time(times, buckets, counts, at, growth=GROWTH) for at in (0.5, 0.95, 0.99)]
    return Table(
        ("interval_start", "n_requests", "p50_ms", "p95_ms", "p99_ms"),
        (distinct, np.bincount(places, counts, minlength=len(distinct)), *of_share),
    )


def value_of(found: Quantile | None) -> float:
    """Milliseconds; NaN where there is no percentile."""
    return found.value_ms if found is not None else float("nan")


def phases_by_band(phases: Table) -> dict[str, dict[str, float]]:
    """Mean milliseconds by phase column, for each of `BANDS`; empty without requests."""
    rows = phases.rows()
    bands = {
        name: mean_over_band(rows, PHASE_COLUMNS, from_share=low, to_share=high)
        for name, (low, high) in BANDS.items()
    }
    return {name: means for name, means in bands.items() if means}


def gaps(bands: Mapping[str, Mapping[str, float]]) -> list[Gap]:
    """What each phase adds between median and p99, in the order of time."""
    p50, p99, slowest = bands["p50"], bands["p99"], bands["slowest 1 %"]
    grown = sum(max(p99[column] - p50[column], 0.0) for column in PHASE_COLUMNS)
    return [
        Gap(
            phase,
            p50[column],
            p99[column],
            slowest[column],
            max(p99[column] - p50[column], 0.0) / grown if grown > 0 else 0.0,
        )
        for phase, column in zip(PHASES, PHASE_COLUMNS, strict=True)
    ]


def compare(by_variant: Table, *, slo_ms: float) -> list[Compared]:
    """Variants and versions of `latency_by_variant`, the one with the most requests first."""
    names = list(zip(by_variant.list("variant"), by_variant.list("version"), strict=True))
    n_all = by_variant["n_requests"].sum()
    compared = []
    for variant, version in dict.fromkeys(names):
        rows = by_variant.where(np.array([name == (variant, version) for name in names]))
        buckets, counts, squares = rows["bucket"], rows["n_requests"], rows["weight_squares"]
        found = [quantile(buckets, counts, q, growth=GROWTH, squares=squares) for q in (0.5, 0.95, 0.99)]
        p50, p95, p99 = found
        if p50 is None or p95 is None or p99 is None:
            continue
        compared.append(
            Compared(
                variant=variant or "",
                version=version or "",
                n_requests=float(counts.sum()),
                n_effective=float(counts.sum() ** 2 / squares.sum()),
                share=float(counts.sum() / n_all),
                p50=p50,
                p95=p95,
                p99=p99,
                over_share=share_above(buckets, counts, slo_ms, growth=GROWTH),
            )
        )
    return sorted(compared, key=lambda each: -each.n_requests)


def evidence(by_variant: Table, *, variant: str, version: str) -> float:
    """Requests of equal weight that would tell as much as those of a variant and version; empty is all."""
    if not by_variant.n_rows:
        return 0.0
    is_asked = np.ones(by_variant.n_rows, dtype=bool)
    for name, wanted in (("variant", variant), ("version", version)):
        if wanted:
            is_asked &= by_variant[name] == wanted
    counts, squares = (by_variant[name][is_asked] for name in ("n_requests", "weight_squares"))
    return float(counts.sum() ** 2 / squares.sum()) if squares.sum() else 0.0


def verdict(compared: Sequence[Compared]) -> str:
    """Which variant's tail is the longest, where the intervals say so; in a sentence."""
    known = sorted((each for each in compared if not each.is_few), key=lambda each: -each.p99.value_ms)
    if not known:
        return "No variant has answered enough requests to compare p99s"
    if len(known) == 1:
        return f"{known[0].label} alone has answered enough for a p99: {ms(known[0].p99.value_ms)}"
    first, *others = known
    # Not the second by its p99: one with few requests may reach higher than that.
    rival = max(others, key=lambda each: each.p99.high_ms)
    if first.p99.low_ms > rival.p99.high_ms:
        return f"{first.label} has the longest tail: p99 {ms(first.p99.value_ms)}"
    return f"The longest tails, {first.label} and {rival.label}, cannot be told apart"
