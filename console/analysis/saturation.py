"""Which resource is nearest to saturation? Every resource by its own mark, so that they can be compared.

A mark is where a resource begins to cost latency: a share of what there is, or for the event loop a lag as long
as the SLO. Nearness is the 95th percentile over instances and intervals, as a share of the mark: 1 is there, in
one of twenty. The single worst interval is told beside it, since one bad minute says little of an hour.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from console.formats import ms, share
from console.telemetry import Table

Floats = NDArray[np.float64]
HIGH = 95
BUSY_CORES = 0.05
"Instances that use less on average are idle: how their noise is spread says nothing."


@dataclass(frozen=True, slots=True)
class Resource:
    """Something that instances run out of."""

    name: str
    "In links."
    title: str
    measure: str
    "What is measured, in words."
    mark: float
    "At which it is saturated; of `loop_lag` in milliseconds, of all others a share."
    read: Callable[[Table], Floats]
    "Its value in each row of `contention.kql`."

    @property
    def is_share(self) -> bool:
        return self.name != "loop_lag"

    def written(self, value: float) -> str:
        """A value with its unit."""
        return share(value) if self.is_share else ms(value)


@dataclass(frozen=True, slots=True)
class Saturation:
    """How a resource fared over a range."""

    resource: Resource
    typical: float
    high: float
    "The 95th percentile over instances and intervals."
    worst: float
    worst_instance: str
    worst_at: datetime
    "Start of the interval."

    @property
    def nearness(self) -> float:
        """Of the mark: 1 is saturated."""
        return self.high / self.resource.mark

    @property
    def worst_nearness(self) -> float:
        return self.worst / self.resource.mark


def resources(slo_ms: float) -> tuple[Resource, ...]:
    """All that are measured, as one would look at them."""
    return (
        Resource("cpu", "CPU", "mean use, of the cores the instance has", 0.85, _share("cpu", "cores")),
        Resource(
            "throttling", "CPU throttling", "share of time it was not let run", 0.10, _column("throttled")
        ),
        Resource(
            "cpu_pressure",
            "CPU pressure",
            "share of time some task waited for a core",
            0.50,
            _column("pressure_cpu"),
        ),
        Resource(
            "memory",
            "Memory",
            "most that was resident, of the limit",
            0.90,
            _share("most_memory_mib", "memory_limit_mib"),
        ),
        Resource(
            "memory_pressure",
            "Memory pressure",
            "most, share of time some task waited for memory",
            0.10,
            _column("pressure_memory"),
        ),
        Resource(
            "io_pressure",
            "Disk pressure",
            "most, share of time some task waited for the disk",
            0.25,
            _column("pressure_io"),
        ),
        Resource(
            "loop_lag",
            "Event loop lag",
            "longest that a callback waited",
            slo_ms,
            _column("longest_loop_lag_ms"),
        ),
    )


def rank(table: Table, among: Sequence[Resource]) -> list[Saturation]:
    """The resources that were measured, nearest to saturation first."""
    found = []
    for resource in among:
        values = resource.read(table)
        known = np.isfinite(values)
        if not known.any():
            continue
        worst = int(np.nanargmax(values))
        found.append(
            Saturation(
                resource,
                typical=float(np.median(values[known])),
                high=float(np.percentile(values[known], HIGH)),
                worst=float(values[worst]),
                worst_instance=str(table["instance"][worst]),
                worst_at=table["interval_start"][worst].astype(datetime).replace(tzinfo=UTC),
            )
        )
    return sorted(found, key=lambda each: each.nearness, reverse=True)


def over_instances(
    table: Table, values: Floats
) -> tuple[NDArray[np.datetime64], Floats, Floats, NDArray[np.intp]]:
    """By interval: its start, the most and the mean over instances, and how many there were with a value."""
    times, places = np.unique(table["interval_start"], return_inverse=True)
    known = np.isfinite(values)
    counts = np.bincount(places[known], minlength=len(times))
    most = np.full(len(times), -np.inf)
    np.maximum.at(most, places[known], values[known])
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.bincount(places[known], values[known], minlength=len(times)) / counts
    return times, np.where(counts > 0, most, np.nan), mean, counts


def imbalance(table: Table) -> tuple[NDArray[np.datetime64], Floats]:
    """By interval: processor use of the busiest instance, of the mean; NaN of fewer than two, or idle ones."""
    times, most, mean, counts = over_instances(table, table["cpu"])
    is_told = (counts > 1) & (mean >= BUSY_CORES)
    ratio = np.full(len(times), np.nan)
    ratio[is_told] = most[is_told] / mean[is_told]
    return times, ratio


def _column(name: str) -> Callable[[Table], Floats]:
    return lambda table: np.asarray(table[name], dtype=float)


def _share(used: str, available: str) -> Callable[[Table], Floats]:
    def read(table: Table) -> Floats:
        there = np.asarray(table[available], dtype=float)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(there > 0, table[used] / there, np.nan)

    return read
