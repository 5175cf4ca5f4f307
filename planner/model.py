"""What the simulator knows of an instance: distributions, as they were measured.

A distribution is its quantiles at evenly spaced probabilities, of n values at 0, 1 / (n - 1), ..., 1, and a
straight line between neighbours; one value alone is a constant. It is drawn from by one uniform number, holds
what a histogram, a result file or a formula gives, and never leaves the range of what was seen.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Quantiles = tuple[float, ...]
"Seconds, ascending, at evenly spaced probabilities from 0 to 1."


def quantiles_of(samples_s: Sequence[float] | NDArray[np.float64], *, n: int = 101) -> Quantiles:
    """Summarise measured times.

    Args:
        samples_s: as they were measured, in any order, at least one.
        n: how many quantiles; fewer samples give no more of them than there are.

    Raises:
        ValueError: there is no sample, or one is no time.
    """
    samples = np.asarray(samples_s, np.float64)
    if samples.size == 0:
        raise ValueError("no samples to take quantiles of; measure at least one")
    if not (np.isfinite(samples).all() and samples.min() >= 0):
        raise ValueError(
            f"samples from {samples.min():g} to {samples.max():g} s; times are finite, 0 or more"
        )
    probabilities = np.linspace(0, 1, min(n, samples.size)) if samples.size > 1 else np.zeros(1)
    return tuple(float(value) for value in np.quantile(samples, probabilities))


def quantiles_at(inverse: Callable[[NDArray[np.float64]], NDArray[np.float64]], *, n: int) -> Quantiles:
    """Summarise a formula, so that each piece between two quantiles keeps about its mean.

    The last piece of an unbounded distribution has no end: it ends at the quantile of 1 - 1 / (4 n).

    Args:
        inverse: quantiles of probabilities in (0, 1), both of shape (n,).
        n: how many quantiles, at least 2.
    """
    probabilities = np.linspace(0, 1, n)
    probabilities[0], probabilities[-1] = 0.0, 1 - 1 / (4 * n)
    return tuple(float(value) for value in inverse(probabilities))


def mean_of(quantiles: Quantiles) -> float:
    """Mean of the distribution, in the unit of its quantiles."""
    if len(quantiles) == 1:
        return quantiles[0]
    return math.fsum((low + high) / 2 for low, high in pairwise(quantiles)) / (len(quantiles) - 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class VariantModel:
    """One rung of the ladder, as measured.

    Raises:
        ValueError: sizes and distributions contradict each other.
    """

    name: str
    ndcg_10: float | None
    "Quality; None: unknown."
    batch_sizes: tuple[int, ...]
    "That were measured, ascending from 1. Between two, a run takes what a straight line says; beyond the last, too."
    run_s: tuple[Quantiles, ...]
    "Of one model run, by batch size."

    def __post_init__(self) -> None:
        if not self.batch_sizes or self.batch_sizes[0] != 1:
            raise ValueError(f"batch sizes {self.batch_sizes} of {self.name!r}; measure a batch of 1 first")
        if any(small >= large for small, large in pairwise(self.batch_sizes)):
            raise ValueError(f"batch sizes {self.batch_sizes} of {self.name!r} must ascend")
        if len(self.run_s) != len(self.batch_sizes):
            raise ValueError(
                f"{self.name!r} has {len(self.run_s)} distributions for {len(self.batch_sizes)} batch sizes; "
                "give one for each"
            )
        for size, quantiles in zip(self.batch_sizes, self.run_s, strict=True):
            _check(quantiles, f"run of {size} of {self.name!r}")
        if self.ndcg_10 is not None and not 0 <= self.ndcg_10 <= 1:
            raise ValueError(f"NDCG@10 of {self.ndcg_10:g} of {self.name!r}; it is between 0 and 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class ColdStartModel:
    ready_s: Quantiles
    "From the start of a process to its readiness, warm-up included."

    def __post_init__(self) -> None:
        _check(self.ready_s, "cold start")


@dataclass(frozen=True, slots=True, kw_only=True)
class IdleSlowdown:
    """How many times as long a request takes on a process that had nothing to do: caches cool, cores sleep."""

    gap_s: float
    "Since the process let its last request go; 0 where another is still there."
    overhead: float = 1.0
    run: float = 1.0
    network: float = 1.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.gap_s) and self.gap_s >= 0):
            raise ValueError(f"idle for {self.gap_s:g} s; times are finite, 0 or more")
        for name in ("overhead", "run", "network"):
            if not 1 <= getattr(self, name) < math.inf:
                raise ValueError(
                    f"{name} takes {getattr(self, name):g} times as long after {self.gap_s:g} s idle; "
                    "give distributions of a busy process, and factors of at least 1"
                )


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceModel:
    """An instance, as measured.

    Raises:
        ValueError: a number is out of range; the message names it.
    """

    sku: str
    "That it was measured on."
    overhead_s: Quantiles
    "A request's time on the event loop outside of the model run; one request at a time."
    variants: tuple[VariantModel, ...]
    "The ladder, best first."
    cold_start: ColdStartModel
    concurrency_limit: int
    "Requests in flight in one instance; more are refused."
    max_batch: int
    "Largest micro-batch."
    network_s: Quantiles = (0.0,)
    "Added to every latency, the front end's own time included; it keeps nobody else waiting."
    idle_slowdown: tuple[IdleSlowdown, ...] = ()
    "Gaps ascend; between two, a straight line, and beyond the ends as at the ends. Empty: idleness costs nothing."
    extrapolated: tuple[str, ...] = ()
    "What was not measured but derived, in words."

    def __post_init__(self) -> None:
        if not self.variants:
            raise ValueError("an instance without variants; give it at least one")
        _check(self.overhead_s, "overhead")
        if self.concurrency_limit < 1:
            raise ValueError(f"concurrency limit {self.concurrency_limit}; let at least 1 request in")
        if self.max_batch < 1:
            raise ValueError(f"largest batch of {self.max_batch}; 1 turns batching off")
        _check(self.network_s, "network")
        if any(short.gap_s >= long.gap_s for short, long in pairwise(self.idle_slowdown)):
            gaps_s = tuple(each.gap_s for each in self.idle_slowdown)
            raise ValueError(f"idle times {gaps_s} s must ascend")

    @property
    def fastest_s(self) -> float:
        """No answer takes less: the least of overhead, of any variant's run alone, and of the network."""
        return self.network_s[0] + self.overhead_s[0] + min(variant.run_s[0][0] for variant in self.variants)


def _check(quantiles: Quantiles, what: str) -> None:
    if not quantiles:
        raise ValueError(f"{what}: no quantiles; give at least one")
    if not all(math.isfinite(value) and value >= 0 for value in quantiles):
        raise ValueError(f"{what}: quantiles {quantiles[:3]}...; times are finite, 0 or more")
    if any(low > high for low, high in pairwise(quantiles)):
        raise ValueError(f"{what}: quantiles must ascend")
