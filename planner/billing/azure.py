"""What Azure meters: Premium, Flex Consumption, Consumption, telemetry, and what leaves for the internet.

Premium      vCPU-hours and GiB-hours of allocated instances, busy or not; one is always billed; executions are free
Flex         GB-s of periods in which an instance is active, at least 1,000 ms, then steps of 100 ms; executions;
             always-ready instances cost a baseline all the time, and less while active
Consumption  GB-s of each execution, at least 100 ms, then steps of 1 ms, memory in steps of 128 MB; executions

A GB here is 1,024 MB, and execution units are MB-ms: 1,024,000 of them are a GB-s.
"""

from collections.abc import Mapping
from decimal import Decimal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from planner.billing.bills import Usage, bill
from planner.billing.metering import NS_PER_MS, billed_ms, exact_count, exact_seconds, nanoseconds
from planner.plans import Sku
from planner.price_list import PriceList

MILLION = Decimal(10**6)
MB_MS_PER_GB_S = Decimal(1_024_000)
FLEX_SIZES_MB = (512, 2048, 4096)
FLEX_LEAST_MS, FLEX_STEP_MS = 1000, 100
CONSUMPTION_LEAST_MS = 100
CONSUMPTION_STEP_MB, CONSUMPTION_MOST_MB = 128, 1536
BYTES_PER_GB = Decimal(10**9)
"Of Azure Monitor, which counts decimal gigabytes."

FLEX_ASSUMPTION = (
    "Flex: requests that overlap share an active period, and so does what begins before the period's billed end; "
    "Azure does not say how its minimum of 1,000 ms treats these"
)


def premium_usage(sku: Sku, *, allocated_s: ArrayLike | Mapping[str, float], elapsed_s: float) -> Usage:
    """Allocated instances of a Premium plan.

    Args:
        sku: size of every instance.
        allocated_s: seconds of each instance, or of each class of allocation, or their sum.
        elapsed_s: length of the stretch; one instance is billed for all of it at the least.

    Raises:
        ValueError: a time is negative or no number.
    """
    each_s = list(allocated_s.values()) if isinstance(allocated_s, Mapping) else allocated_s
    each_ns = nanoseconds(each_s, "allocated time")
    total_ns = sum(each_ns.tolist())
    billed_hours = max(Decimal(total_ns) / (1000 * NS_PER_MS), exact_seconds(elapsed_s, "a stretch")) / 3600
    return Usage(
        plan="premium",
        title=f"Premium {sku.name}",
        quantities={"vcpu": billed_hours * sku.vcpu, "memory": billed_hours * Decimal(str(sku.memory_gib))},
    )


def premium_bill(
    sku: Sku, *, allocated_s: ArrayLike | Mapping[str, float], elapsed_s: float, prices: PriceList
) -> float:
    """Cost of allocated instances alone; arguments as of `premium_usage`."""
    return float(bill(premium_usage(sku, allocated_s=allocated_s, elapsed_s=elapsed_s), prices).total)


def instance_hour(sku: Sku, prices: PriceList) -> float:
    """Cost of one allocated Premium instance for an hour."""
    return premium_bill(sku, allocated_s=3600.0, elapsed_s=3600.0, prices=prices)


def flex_usage(
    active_s: ArrayLike,
    *,
    executions: int,
    memory_mb: int,
    always_ready: int = 0,
    always_ready_active_s: ArrayLike = (),
    always_ready_executions: int = 0,
    elapsed_s: float = 0.0,
) -> Usage:
    """Active periods and executions of a Flex Consumption app.

    Args:
        active_s: length of each active period of each instance on demand; see `metering.active_periods_s`.
        executions: requests that those instances had.
        memory_mb: size of an instance: 512, 2,048 or 4,096.
        always_ready: instances that run at all times.
        always_ready_active_s: length of each of their active periods.
        always_ready_executions: requests that they had.
        elapsed_s: how long they ran.

    Raises:
        ValueError: there is no such size, or a number is negative or none.
    """
    if memory_mb not in FLEX_SIZES_MB:
        raise ValueError(
            f"Flex has no instances of {memory_mb} MB; choose {', '.join(map(str, FLEX_SIZES_MB))}"
        )
    quantities = {
        "on_demand_execution": _active_gb_s(active_s, memory_mb),
        "on_demand_executions": exact_count(executions, "executions") / MILLION,
    }
    if always_ready:
        instances_s = exact_count(always_ready, "always-ready instances") * exact_seconds(
            elapsed_s, "a stretch"
        )
        quantities |= {
            "always_ready_baseline": instances_s * memory_mb / 1024,
            "always_ready_execution": _active_gb_s(always_ready_active_s, memory_mb),
            "always_ready_executions": exact_count(always_ready_executions, "executions") / MILLION,
        }
    title = f"Flex {memory_mb} MB, " + (f"{always_ready} always ready" if always_ready else "on demand")
    return Usage(plan="flex", title=title, quantities=quantities, assumptions=(FLEX_ASSUMPTION,))


def _active_gb_s(active_s: ArrayLike, memory_mb: int) -> Decimal:
    periods_ms = billed_ms(
        nanoseconds(active_s, "active period"), least_ms=FLEX_LEAST_MS, step_ms=FLEX_STEP_MS
    )
    return Decimal(int(periods_ms.sum()) * memory_mb) / MB_MS_PER_GB_S


def consumption_usage(durations_s: ArrayLike, *, memory_mb: ArrayLike) -> Usage:
    """Executions on the Consumption plan.

    Args:
        durations_s: how long each ran, (n,).
        memory_mb: what each used, (n,), or one number for all.

    Raises:
        ValueError: a time is no time, or memory is none or more than the plan has.
    """
    executions_ms = billed_ms(nanoseconds(durations_s, "duration"), least_ms=CONSUMPTION_LEAST_MS, step_ms=1)
    mb_ms = int((executions_ms * _consumption_mb(memory_mb)).sum())
    return Usage(
        plan="consumption",
        title="Consumption",
        quantities={
            "execution": mb_ms / MB_MS_PER_GB_S,
            "executions": executions_ms.size / MILLION,
        },
        assumptions=(
            "Consumption: each execution is billed the memory given; Azure samples the process's, which executions "
            "that overlap share",
        ),
    )


def _consumption_mb(memory_mb: ArrayLike) -> NDArray[np.int64]:
    used_mb = np.atleast_1d(np.asarray(memory_mb, np.float64))
    wrong = np.flatnonzero(~((used_mb > 0) & (used_mb <= CONSUMPTION_MOST_MB)))
    if wrong.size:
        raise ValueError(
            f"{used_mb[wrong[0]]:g} MB on Consumption, which has up to {CONSUMPTION_MOST_MB} MB; "
            "choose Flex or Premium for more"
        )
    return np.ceil(used_mb / CONSUMPTION_STEP_MB).astype(np.int64) * CONSUMPTION_STEP_MB


def telemetry_usage(ingested_bytes: int) -> Usage:
    """Telemetry that a Log Analytics workspace takes in within a month, as analytics logs.

    Raises:
        ValueError: the count is negative.
    """
    return Usage(
        plan="telemetry",
        title="Telemetry",
        quantities={"ingestion": exact_count(ingested_bytes, "bytes") / BYTES_PER_GB},
    )


def egress_usage(sent_bytes: int, *, title: str = "Egress") -> Usage:
    """Bytes that leave for the internet within a month.

    Args:
        sent_bytes: on the wire, compressed.
        title: of the bill: what is sent.

    Raises:
        ValueError: the count is negative.
    """
    return Usage(
        plan="egress",
        title=title,
        quantities={"internet": exact_count(sent_bytes, "bytes") / BYTES_PER_GB},
        assumptions=("Egress: a GB is taken to be 10^9 bytes, and headers to cost nothing",),
    )
