"""The same traffic on every plan: a month of each, side by side.

Requests are packed onto the first instances with a free place, with as many instances as that takes. This is
no simulation: nobody waits, nothing starts cold, and a request takes the same time everywhere. It says what
the time that was used would cost; the simulator says what users would feel.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from planner.billing.azure import (
    CONSUMPTION_MOST_MB,
    FLEX_LEAST_MS,
    FLEX_SIZES_MB,
    FLEX_STEP_MS,
    consumption_usage,
    flex_usage,
    premium_usage,
    telemetry_usage,
)
from planner.billing.bills import MONTH_S, Bill, Usage, bill
from planner.billing.elsewhere import (
    CLOUD_RUN_STEP_MS,
    LAMBDA_LEAST_MB,
    LAMBDA_MOST_MB,
    cloud_run_usage,
    lambda_provisioned_usage,
    lambda_usage,
)
from planner.billing.metering import active_periods_s, exact_seconds, nanoseconds, pack
from planner.plans import SKUS, sku_named
from planner.price_list import PriceList

LINGER_S = 300.0
"How long a Premium instance stays without need."


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """Requests, and what one of them takes.

    Raises:
        ValueError: arrivals are out of order or outside the stretch, or a number makes no sense.
    """

    arrivals_s: NDArray[np.float64]
    "Ascending, (n,)."
    durations_s: NDArray[np.float64]
    "How long an instance has each, (n,)."
    elapsed_s: float
    "Length of the stretch that they are of."
    memory_mb: int
    "Of an instance's process."
    concurrency: int
    "Requests that an instance has at once."
    sku: str = "EP1"
    "Premium's size that the durations and the concurrency are of."

    def __post_init__(self) -> None:
        arrivals_ns = nanoseconds(self.arrivals_s, "arrival")
        n_durations = nanoseconds(self.durations_s, "duration").size
        if arrivals_ns.size != n_durations:
            raise ValueError(f"{arrivals_ns.size} arrivals and {n_durations} durations; give each its own")
        if (np.diff(arrivals_ns) < 0).any():
            raise ValueError("arrivals are out of order; sort them by time")
        if not exact_seconds(self.elapsed_s, "a stretch"):
            raise ValueError("a stretch of 0 s; say how long the traffic went on")
        if arrivals_ns.size and self.arrivals_s[-1] > self.elapsed_s:
            raise ValueError(
                f"the last arrival is at {self.arrivals_s[-1]:g} s, after the stretch of {self.elapsed_s:g} s; "
                "make the stretch longer"
            )
        if self.memory_mb < 1 or self.concurrency < 1:
            raise ValueError(
                f"{self.memory_mb} MB and {self.concurrency} requests at once; give an instance at least 1 of each"
            )


def compare(
    traffic: Traffic,
    prices: PriceList,
    *,
    warm: int = 1,
    pre_warmed: int = 1,
    premium_allocated_s: Mapping[str, float] | None = None,
    telemetry_bytes: int = 0,
    with_grants: bool = True,
) -> tuple[Bill, ...]:
    """A month of 730 hours of this traffic on every plan.

    Args:
        traffic: a stretch of it, which is taken to go on for the month.
        prices: of all plans.
        warm: instances that are kept ready, where a plan can: always ready on Premium and Flex, provisioned on
            Lambda (an environment for each request that they can have at once), minimum on Cloud Run.
        pre_warmed: instances that Premium keeps in reserve while there are requests.
        premium_allocated_s: allocated seconds in the stretch by size, where they have been simulated. The size of
            the traffic has else what packing gives; a larger one is extrapolated, and a smaller one left out.
        telemetry_bytes: sent to Log Analytics in the stretch, wherever the service runs.
        with_grants: False where other apps use the free amounts up.

    Returns:
        Bills in a fixed order; a plan whose instances have too little memory has none.
    """
    if warm < 1 or pre_warmed < 0:
        raise ValueError(f"{warm} instances kept ready and {pre_warmed} pre-warmed; give at least 1 and 0")
    elapsed_s = exact_seconds(traffic.elapsed_s, "a stretch")
    instances = pack(traffic.arrivals_s, traffic.durations_s, concurrency=traffic.concurrency)
    usages = [
        *_premium(traffic, warm=warm, pre_warmed=pre_warmed, simulated_s=premium_allocated_s or {}),
        *_flex(traffic, instances, warm=warm),
        *_consumption(traffic),
        *_lambda(traffic, warm=warm),
        *_cloud_run(traffic, instances, warm=warm),
    ]
    telemetry = bill(telemetry_usage(telemetry_bytes).over(elapsed_s), prices, with_grants=with_grants)
    return tuple(
        bill(usage, prices, with_grants=with_grants).with_parts_of(telemetry)
        if telemetry_bytes
        else bill(usage, prices, with_grants=with_grants)
        for usage in usages
    )


def _premium(
    traffic: Traffic, *, warm: int, pre_warmed: int, simulated_s: Mapping[str, float]
) -> Iterator[Usage]:
    elapsed_s = exact_seconds(traffic.elapsed_s, "a stretch")
    for sku in SKUS.values():
        if sku.memory_gib * 1024 < traffic.memory_mb:
            continue
        if sku.name in simulated_s:
            allocated_s = simulated_s[sku.name]
            yield premium_usage(sku, allocated_s=allocated_s, elapsed_s=traffic.elapsed_s).over(elapsed_s)
            continue
        n_processes = sku.vcpu // sku_named(traffic.sku).vcpu
        if n_processes < 1:
            continue
        allocated_s = _packed_s(traffic, n_processes, warm=warm, pre_warmed=pre_warmed)
        usage = premium_usage(sku, allocated_s=allocated_s, elapsed_s=traffic.elapsed_s).over(elapsed_s)
        assumptions = [
            f"Premium: {pre_warmed} pre-warmed while there are requests; instances stay {LINGER_S:g} s after "
            "their last one"
        ]
        if n_processes > 1:
            assumptions.append(
                f"EXTRAPOLATED: {sku.name} was never measured; it is taken to run {n_processes} processes, each "
                f"as the one of {traffic.sku}"
            )
        yield replace(usage, title=f"{usage.title}, {warm} always ready", assumptions=tuple(assumptions))


def _packed_s(traffic: Traffic, n_processes: int, *, warm: int, pre_warmed: int) -> float:
    """Allocated seconds of as few instances as the requests take, and of the reserve."""
    concurrency = traffic.concurrency * n_processes
    instances = pack(traffic.arrivals_s, traffic.durations_s, concurrency=concurrency)
    leaves_s = np.minimum(traffic.arrivals_s + traffic.durations_s + LINGER_S, traffic.elapsed_s)
    stays_s = np.maximum(leaves_s - traffic.arrivals_s, 0.0)
    burst_s = _periods_s(traffic.arrivals_s, stays_s, instances, first=warm, least_ms=0, step_ms=1).sum()
    loaded_s = active_periods_s(traffic.arrivals_s, stays_s, least_ms=0, step_ms=1).sum()
    return warm * traffic.elapsed_s + float(burst_s) + pre_warmed * float(loaded_s)


def _flex(traffic: Traffic, instances: NDArray[np.int64], *, warm: int) -> Iterator[Usage]:
    sizes_mb = [size for size in FLEX_SIZES_MB if size >= traffic.memory_mb]
    if not sizes_mb:
        return
    for always_ready in (0, warm):
        kept = instances < always_ready
        on_demand_s, ready_s = (
            _periods_s(
                traffic.arrivals_s[which],
                traffic.durations_s[which],
                instances[which],
                least_ms=FLEX_LEAST_MS,
                step_ms=FLEX_STEP_MS,
            )
            for which in (~kept, kept)
        )
        yield flex_usage(
            on_demand_s,
            executions=int((~kept).sum()),
            memory_mb=sizes_mb[0],
            always_ready=always_ready,
            always_ready_active_s=ready_s,
            always_ready_executions=int(kept.sum()),
            elapsed_s=traffic.elapsed_s,
        ).over(exact_seconds(traffic.elapsed_s, "a stretch"))


def _consumption(traffic: Traffic) -> Iterator[Usage]:
    if traffic.memory_mb <= CONSUMPTION_MOST_MB:
        usage = consumption_usage(traffic.durations_s, memory_mb=traffic.memory_mb)
        yield usage.over(exact_seconds(traffic.elapsed_s, "a stretch"))


def _lambda(traffic: Traffic, *, warm: int) -> Iterator[Usage]:
    if traffic.memory_mb > LAMBDA_MOST_MB:
        return
    elapsed_s = exact_seconds(traffic.elapsed_s, "a stretch")
    memory_mb = max(traffic.memory_mb, LAMBDA_LEAST_MB)
    yield lambda_usage(traffic.durations_s, memory_mb=memory_mb).over(elapsed_s)
    provisioned = warm * traffic.concurrency
    kept = pack(traffic.arrivals_s, traffic.durations_s, concurrency=1) < provisioned
    usage = lambda_provisioned_usage(
        traffic.durations_s[kept],
        spilled_s=traffic.durations_s[~kept],
        memory_mb=memory_mb,
        provisioned=provisioned,
        enabled_s=0.0,
    ).over(elapsed_s)
    month = lambda_provisioned_usage((), memory_mb=memory_mb, provisioned=provisioned, enabled_s=MONTH_S)
    yield replace(usage, quantities={**usage.quantities, "provisioned": month.quantities["provisioned"]})


def _cloud_run(traffic: Traffic, instances: NDArray[np.int64], *, warm: int) -> Iterator[Usage]:
    for min_instances in (0, warm):
        kept = instances < min_instances
        further_s, kept_s = (
            _periods_s(
                traffic.arrivals_s[which],
                traffic.durations_s[which],
                instances[which],
                least_ms=CLOUD_RUN_STEP_MS,
                step_ms=CLOUD_RUN_STEP_MS,
            )
            for which in (~kept, kept)
        )
        yield cloud_run_usage(
            further_s,
            requests=traffic.arrivals_s.size,
            vcpu=1,
            memory_mb=traffic.memory_mb,
            min_instances=min_instances,
            min_active_s=kept_s,
            elapsed_s=traffic.elapsed_s,
        ).over(exact_seconds(traffic.elapsed_s, "a stretch"))


def _periods_s(
    starts_s: NDArray[np.float64],
    durations_s: NDArray[np.float64],
    instances: NDArray[np.int64],
    *,
    least_ms: int,
    step_ms: int,
    first: int = 0,
) -> NDArray[np.float64]:
    """Billed periods of all instances from the first one on."""
    order = np.argsort(instances, kind="stable")
    numbers = instances[order]
    bounds = np.append(np.flatnonzero(np.diff(numbers, prepend=-1)), numbers.size)
    periods = [
        active_periods_s(starts_s[of], durations_s[of], least_ms=least_ms, step_ms=step_ms)
        for begin, end in pairwise(bounds.tolist())
        if numbers[begin] >= first
        for of in (order[begin:end],)
    ]
    return np.concatenate(periods) if periods else np.empty(0)
