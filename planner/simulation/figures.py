"""What a simulation says, and how sure several of them are."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from planner.allocation import AllocationClass

T_975 = (
    12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.3060, 2.2622, 2.2281,
    2.2010, 2.1788, 2.1604, 2.1448, 2.1314, 2.1199, 2.1098, 2.1009, 2.0930, 2.0860,
    2.0796, 2.0739, 2.0687, 2.0639, 2.0595, 2.0555, 2.0518, 2.0484, 2.0452, 2.0423,
)  # fmt: skip
"Quantiles of Student's t at 0.975, of 1 to 30 degrees of freedom."


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulated:
    """One simulation. Shares are of all requests that came; latencies are of those that were answered."""

    n: int
    "Requests that came."
    duration_s: float
    p50_s: float
    "NaN, as all of latency and quality, if none was answered."
    p95_s: float
    p99_s: float
    mean_s: float
    n_starts: int
    "Instances that were started after the beginning."
    cold_starts: int
    "Of those, the ones that a request waited for; its first is the cold one."
    cold_share: float
    "Requests that were the first to wait for a start."
    impacted_share: float
    "Requests that waited for an instance, the cold ones among them."
    shed_share: float
    "Refused requests."
    goodput_per_s: float
    "Answers inside the SLO."
    slo_share: float
    "Requests that were answered inside the SLO."
    ndcg_10: float
    "Mean quality of the answers; NaN where a variant that answered has none."
    batch_size: float
    "Mean size of a model run."
    served_share: Mapping[str, float]
    "Of the answers, by variant."
    allocated_s: Mapping[AllocationClass, float]
    "Seconds of instances, up to `duration_s`."
    extrapolated: tuple[str, ...] = ()
    "What was not measured but derived, in words."
    latency_s: NDArray[np.float64] | None = None
    "Of each request in order of arrival, NaN if it was refused; None unless asked for."
    service_s: NDArray[np.float64] | None = None
    "From an instance's having the request to its answer, likewise."

    @property
    def total_allocated_s(self) -> float:
        return math.fsum(self.allocated_s.values())


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over seeds, and half the width of its 95 % interval: infinite for one seed."""

    mean: float
    margin: float

    @property
    def low(self) -> float:
        return self.mean - self.margin

    @property
    def high(self) -> float:
        return self.mean + self.margin


@dataclass(frozen=True, slots=True, kw_only=True)
class Replicated:
    """Several simulations that differ in their seeds alone."""

    runs: tuple[Simulated, ...]
    figures: Mapping[str, Estimate]
    "Of every number of `Simulated`, by its name."
    served_share: Mapping[str, Estimate]
    allocated_s: Mapping[AllocationClass, Estimate]

    @property
    def extrapolated(self) -> tuple[str, ...]:
        return self.runs[0].extrapolated

    def __getitem__(self, name: str) -> Estimate:
        """A figure by the name that it has in `Simulated`."""
        return self.figures[name]


def estimate(values: Sequence[float]) -> Estimate:
    """Mean and 95 % t-interval of independent values.

    Raises:
        ValueError: there are none.
    """
    if not values:
        raise ValueError("no values to estimate from; give at least one")
    mean = math.fsum(values) / len(values)
    if len(values) == 1:
        return Estimate(mean, math.inf)
    variance = math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1)
    return Estimate(mean, t_975(len(values) - 1) * math.sqrt(variance / len(values)))


def t_975(n_degrees: int) -> float:
    """Student's t at 0.975; beyond the table by Fisher's expansion about the normal quantile."""
    if n_degrees <= len(T_975):
        return T_975[n_degrees - 1]
    z = 1.959964
    return z + (z**3 + z) / (4 * n_degrees) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * n_degrees**2)


def summarise(runs: Sequence[Simulated]) -> Replicated:
    """Put simulations of different seeds together."""
    numbers = [
        each.name for each in fields(Simulated) if isinstance(getattr(runs[0], each.name), int | float)
    ]
    return Replicated(
        runs=tuple(runs),
        figures={name: estimate([float(getattr(run, name)) for run in runs]) for name in numbers}
        | {"total_allocated_s": estimate([run.total_allocated_s for run in runs])},
        served_share={
            name: estimate([run.served_share[name] for run in runs]) for name in runs[0].served_share
        },
        allocated_s={name: estimate([run.allocated_s[name] for run in runs]) for name in runs[0].allocated_s},
    )
