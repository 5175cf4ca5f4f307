"""What others meter: AWS Lambda and Cloud Run functions.

Lambda       GB-s of each request, in steps of 1 ms; requests. An environment has one request at a time.
Provisioned  GB-s of what is kept ready, busy or not, in steps of 5 minutes; less for requests that run on it.
             What finds none free runs at the usual price. Nothing is free for such a function.
Cloud Run    vCPU-s and GiB-s of the periods in which an instance has requests, in steps of 100 ms; requests.
             Minimum instances cost an idle price for the rest of the time.
"""

import math
from decimal import Decimal

from numpy.typing import ArrayLike

from planner.billing.azure import MB_MS_PER_GB_S, MILLION
from planner.billing.bills import Usage
from planner.billing.metering import billed_ms, exact_count, exact_seconds, nanoseconds

LAMBDA_LEAST_MB, LAMBDA_MOST_MB = 128, 10_240
PROVISIONED_STEP_MS = 5 * 60 * 1000
CLOUD_RUN_STEP_MS = 100

CLOUD_RUN_ASSUMPTION = (
    "Cloud Run: requests that overlap share an active period, which is rounded up once; "
    "the time that instances take to start is left out"
)


def lambda_usage(durations_s: ArrayLike, *, memory_mb: int) -> Usage:
    """Requests of a Lambda function without provisioned concurrency.

    Args:
        durations_s: how long each ran, (n,).
        memory_mb: configured, 128 to 10,240.

    Raises:
        ValueError: a time is no time, or there is no such size.
    """
    gb_s, requests = _requests(durations_s, memory_mb)
    return Usage(
        plan="aws_lambda",
        title=f"AWS Lambda {memory_mb} MB",
        quantities={"duration": gb_s, "requests": requests},
    )


def lambda_provisioned_usage(
    durations_s: ArrayLike, *, spilled_s: ArrayLike = (), memory_mb: int, provisioned: int, enabled_s: float
) -> Usage:
    """Requests of a Lambda function with provisioned concurrency.

    Args:
        durations_s: of each request that ran on a provisioned environment, (n,).
        spilled_s: of each request that found none free, (m,).
        memory_mb: configured, 128 to 10,240.
        provisioned: environments kept ready.
        enabled_s: for how long.

    Raises:
        ValueError: a time is no time, there is no such size, or nothing is provisioned.
    """
    if provisioned < 1:
        raise ValueError(f"a provisioned concurrency of {provisioned}; give at least 1, or bill without it")
    gb_s, requests = _requests(durations_s, memory_mb)
    spilled_gb_s, spilled = _requests(spilled_s, memory_mb)
    enabled_ms = billed_ms(nanoseconds(enabled_s, "stretch"), least_ms=0, step_ms=PROVISIONED_STEP_MS)
    return Usage(
        plan="aws_lambda",
        title=f"AWS Lambda {memory_mb} MB, {provisioned} provisioned",
        quantities={
            "provisioned": Decimal(int(enabled_ms[0]) * provisioned * memory_mb) / MB_MS_PER_GB_S,
            "provisioned_duration": gb_s,
            "provisioned_requests": requests,
            "duration": spilled_gb_s,
            "requests": spilled,
        },
        has_grants=False,
    )


def _requests(durations_s: ArrayLike, memory_mb: int) -> tuple[Decimal, Decimal]:
    """GB-s, and millions of requests."""
    if not LAMBDA_LEAST_MB <= memory_mb <= LAMBDA_MOST_MB:
        raise ValueError(
            f"Lambda has no functions of {memory_mb} MB; choose {LAMBDA_LEAST_MB} to {LAMBDA_MOST_MB}"
        )
    requests_ms = billed_ms(nanoseconds(durations_s, "duration"), least_ms=1, step_ms=1)
    return Decimal(int(requests_ms.sum()) * memory_mb) / MB_MS_PER_GB_S, requests_ms.size / MILLION


def cloud_run_usage(
    active_s: ArrayLike,
    *,
    requests: int,
    vcpu: float,
    memory_mb: int,
    min_instances: int = 0,
    min_active_s: ArrayLike = (),
    elapsed_s: float = 0.0,
) -> Usage:
    """Active periods of Cloud Run functions that are billed by request.

    Args:
        active_s: length of each active period of instances beyond the minimum; see `metering.active_periods_s`.
        requests: of all instances.
        vcpu: of an instance.
        memory_mb: of an instance, in MiB.
        min_instances: instances that are kept, busy or not.
        min_active_s: length of each of their active periods.
        elapsed_s: how long they are kept; idle is what of it is not active.

    Raises:
        ValueError: a number is negative or none.
    """
    if not (math.isfinite(vcpu) and vcpu > 0 and memory_mb > 0):
        raise ValueError(f"an instance of {vcpu} vCPU and {memory_mb} MiB; give it some of both")
    cores, memory_gib = Decimal(str(vcpu)), Decimal(memory_mb) / 1024
    kept_active_s = _active_s(min_active_s)
    all_active_s = _active_s(active_s) + kept_active_s
    quantities = {
        "vcpu": all_active_s * cores,
        "memory": all_active_s * memory_gib,
        "requests": exact_count(requests, "requests") / MILLION,
    }
    if min_instances:
        kept_s = exact_count(min_instances, "minimum instances") * exact_seconds(elapsed_s, "a stretch")
        idle_s = max(kept_s - kept_active_s, Decimal(0))
        quantities |= {"idle_vcpu": idle_s * cores, "idle_memory": idle_s * memory_gib}
    title = f"Cloud Run functions {vcpu:g} vCPU {memory_mb} MiB"
    return Usage(
        plan="cloud_run",
        title=f"{title}, {min_instances} kept" if min_instances else title,
        quantities=quantities,
        assumptions=(CLOUD_RUN_ASSUMPTION,),
    )


def _active_s(active_s: ArrayLike) -> Decimal:
    periods_ms = billed_ms(
        nanoseconds(active_s, "active period"), least_ms=CLOUD_RUN_STEP_MS, step_ms=CLOUD_RUN_STEP_MS
    )
    return Decimal(int(periods_ms.sum())) / 1000
