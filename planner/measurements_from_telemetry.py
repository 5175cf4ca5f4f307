"""Measurements from what the running service told Application Insights.

Times come as histograms with buckets of equal ratio, each request weighted by the number that it stands for,
so that sampling does not lie. What telemetry cannot know is passed in: the host's share of a request, the
network, and how long the platform takes to allocate an instance.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from planner.measurements import (
    Card,
    MeasuredInstance,
    MeasuredVariant,
    Measurements,
    MeasurementsError,
    QuantilesMs,
    Runs,
    Unseen,
)
from planner.model import quantiles_at, quantiles_of
from planner.plans import SKUS, sku_named
from planner.telemetry import Telemetry

FEWEST = 20
"Runs of a batch size, or requests, below which nothing is concluded from them."
N_QUANTILES = 101


def measure_telemetry(
    telemetry: Telemetry,
    *,
    days: float,
    sku: str | None,
    cards: Sequence[Card] = (),
    unseen: Unseen | None = None,
    extrapolates: bool = False,
    now: datetime | None = None,
) -> Measurements:
    """Measure the instances of the last days.

    Args:
        telemetry: where to ask.
        days: how far back.
        sku: the plan's size then; None: told by the number of cores.
        cards: of the models, for their quality and their order.
        unseen: what to take for granted.
        extrapolates: whether a machine with other cores than the size has may stand for it.
        now: end of the days.

    Raises:
        MeasurementsError: telemetry has too little, or contradicts the size.
        TelemetryError: it does not answer.
    """
    if not 0 < days <= 730:
        raise MeasurementsError(f"--days {days:g}; look back more than 0 and at most 730 days")
    unseen = unseen or Unseen()
    now = now or datetime.now(UTC)
    timespan = (now - timedelta(days=days), now)
    asked = f"the last {days:g} days of {telemetry.endpoint}"
    notes: list[str] = []
    size = _size(telemetry.ask("cores", timespan), sku, notes, extrapolates=extrapolates)
    variants = _variants(telemetry.ask("run_times", timespan), cards, notes)
    if not variants:
        raise MeasurementsError(
            f"{asked} have no variant with {FEWEST} model runs; send the service load, or look back further (--days)"
        )
    overhead_ms = _overhead(telemetry.ask("overheads", timespan), notes)
    ready_ms = [float(row["ready_ms"]) for row in telemetry.ask("cold_starts", timespan)]
    if not ready_ms:
        raise MeasurementsError(
            f"{asked} have no cold start; restart an instance, or look back further (--days)"
        )
    if len(ready_ms) < FEWEST:
        notes.append(f"the cold start rests on {len(ready_ms)} starts only")
    if not unseen.allocation_ms:
        notes.append("cold starts begin with the process; what the platform takes before is not in them")
    instance = MeasuredInstance(
        sku=size,
        overhead_ms=tuple(value + unseen.host_ms for value in overhead_ms),
        variants=variants,
        ready_ms=quantiles_of(ready_ms),
        allocation_ms=unseen.allocation_ms,
        concurrency_limit=_limit(telemetry.ask("limits", timespan)),
        max_batch=unseen.max_batch,
        network_ms=unseen.network_ms,
        notes=tuple(notes),
    )
    return Measurements(
        measured=now.date().isoformat(),
        source=asked,
        ladder=tuple(variant.name for variant in variants),
        instances=(instance,),
        cards=tuple(cards),
    )


def _size(rows: Sequence[Mapping[str, Any]], sku: str | None, notes: list[str], *, extrapolates: bool) -> str:
    cores = max((float(row["cores"]) for row in rows), default=0.0)
    if sku is None:
        found = [name for name, each in SKUS.items() if each.vcpu == cores]
        if not found:
            seen = f"processes of {cores:g} cores" if cores else "no number of cores"
            raise MeasurementsError(f"telemetry tells of {seen}, as no Premium size has; name it with --sku")
        return found[0]
    wanted = sku_named(sku)
    if cores and cores != wanted.vcpu:
        said = f"{wanted.name} has {wanted.vcpu} vCPU, and the processes measured had {cores:g} cores"
        if not extrapolates:
            raise MeasurementsError(
                f"{said}; name the size that was measured, or accept it with --extrapolate"
            )
        notes.append(said)
    return wanted.name


def _variants(
    rows: Sequence[Mapping[str, Any]], cards: Sequence[Card], notes: list[str]
) -> tuple[MeasuredVariant, ...]:
    """What ran often enough, in the order of the cards, and by time where there is none."""
    by_variant: dict[str, dict[int, list[Mapping[str, Any]]]] = {}
    for row in rows:
        by_variant.setdefault(str(row["variant"]), {}).setdefault(int(row["batch_size"]), []).append(row)
    quality = {card.name: card.ndcg_10 for card in cards}
    variants = []
    for name, by_size in by_variant.items():
        runs = [
            Runs(batch_size=size, n=_count(of_size), run_ms=histogram_quantiles(of_size))
            for size, of_size in sorted(by_size.items())
            if _count(of_size) >= FEWEST
        ]
        if not runs:
            n = sum(_count(of_size) for of_size in by_size.values())
            notes.append(f"{name} ran {n} times, too seldom to measure it")
            continue
        if runs[0].batch_size > 1:
            notes.append(
                f"{name}: a run of 1 was not measured; it is taken to last as long as one of {runs[0].batch_size}"
            )
            runs.insert(0, Runs(batch_size=1, run_ms=runs[0].run_ms))
        variants.append(MeasuredVariant(name=name, ndcg_10=quality.get(name), runs=tuple(runs)))
    order = list(quality)
    return tuple(
        sorted(
            variants,
            key=lambda each: (
                order.index(each.name) if each.name in order else len(order),
                -each.runs[0].run_ms[len(each.runs[0].run_ms) // 2],
            ),
        )
    )


def _overhead(rows: Sequence[Mapping[str, Any]], notes: list[str]) -> QuantilesMs:
    alone = [row for row in rows if row["is_alone"]]
    if _count(alone) >= FEWEST:
        return histogram_quantiles(alone)
    if _count(rows) < FEWEST:
        raise MeasurementsError(
            f"{_count(rows)} answered requests are too few; send the service load, or look back further (--days)"
        )
    notes.append("no request was alone in its process: the overhead contains waiting for others")
    return histogram_quantiles(rows)


def _limit(rows: Sequence[Mapping[str, Any]]) -> int:
    """The median limit that requests met; the default setting where none was told."""
    if not rows:
        return 64
    limits = np.array([int(row["allowed"]) for row in rows])
    weights = np.cumsum([float(row["weight"]) for row in rows])
    return int(limits[np.searchsorted(weights, weights[-1] / 2)])


def _count(rows: Sequence[Mapping[str, Any]]) -> int:
    return sum(int(row["n"]) for row in rows)


def histogram_quantiles(rows: Sequence[Mapping[str, Any]], *, n: int = N_QUANTILES) -> QuantilesMs:
    """Quantiles of a histogram, even within each bucket.

    Args:
        rows: buckets in any order, each with `above_ms`, `up_to_ms` and `weight`.
        n: how many quantiles.
    """
    buckets = sorted((float(row["above_ms"]), float(row["up_to_ms"]), float(row["weight"])) for row in rows)
    edges_ms = np.array([edge for above, up_to, _ in buckets for edge in (above, up_to)])
    after = np.cumsum([weight for *_, weight in buckets])
    before = np.concatenate([[0.0], after[:-1]])
    shares = np.column_stack([before, after]).ravel() / after[-1]

    def inverse(probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.maximum.accumulate(np.interp(probabilities, shares, edges_ms))

    return quantiles_at(inverse, n=n)
