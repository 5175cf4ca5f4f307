"""Bills against cases worked by hand.

Working stands beside each case: quantity x price of each meter, at the list prices of East US of 2026-10.
An instance hour of EP1 is 0.173 + 3.5 x 0.0123 = 0.21605, of EP2 0.4321, of EP3 0.8642. A month has 730 hours,
2,628,000 s. Cases without grants show what free amounts would hide.
"""

import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from planner.billing import (
    Traffic,
    Usage,
    bill,
    cloud_run_usage,
    compare,
    consumption_usage,
    flex_usage,
    instance_hour,
    lambda_provisioned_usage,
    lambda_usage,
    premium_bill,
    premium_usage,
    telemetry_usage,
)
from planner.billing.metering import active_periods_s, pack
from planner.plans import SKUS, PremiumPlan, Sku, sku_named
from planner.price_list import read_prices

PRICES = read_prices("eastus")
MONTH_S = 2_628_000
EP1, EP2, EP3 = SKUS.values()
FLEX = {"least_ms": 1000, "step_ms": 100}


def each(n: int, seconds: float) -> np.ndarray:
    return np.full(n, seconds)


PREMIUM = {
    # 730 x 0.21605
    "EP1 for a month": (premium_usage(EP1, allocated_s=MONTH_S, elapsed_s=MONTH_S), "157.7165"),
    # 730 x 0.4321
    "EP2 for a month": (premium_usage(EP2, allocated_s=MONTH_S, elapsed_s=MONTH_S), "315.433"),
    # 730 x 0.8642
    "EP3 for a month": (premium_usage(EP3, allocated_s=MONTH_S, elapsed_s=MONTH_S), "630.866"),
    # 20 x 157.7165
    "twenty for a month": (premium_usage(EP1, allocated_s=each(20, MONTH_S), elapsed_s=MONTH_S), "3154.33"),
    # none allocated: one is billed, 1 x 0.21605
    "none for an hour": (premium_usage(EP1, allocated_s=0, elapsed_s=3600), "0.21605"),
    # half an hour of one is still an hour of one
    "one for half of an hour": (premium_usage(EP1, allocated_s=1800, elapsed_s=3600), "0.21605"),
    # 3 x 0.21605
    "three for an hour": (premium_usage(EP1, allocated_s=[3600, 3600, 3600], elapsed_s=3600), "0.64815"),
    # 3,600 + 1,800 + 900 = 6,300 s = 1.75 h x 0.21605
    "instances that come late": (
        premium_usage(EP1, allocated_s=[3600, 1800, 900], elapsed_s=3600),
        "0.3780875",
    ),
    # 7,200 + 3,600 + 36 = 10,836 s = 3.01 h x 0.4321
    "by class of allocation": (
        premium_usage(EP2, allocated_s={"active": 7200, "pre_warmed": 3600, "starting": 36}, elapsed_s=3600),
        "1.300621",
    ),
    # 0.8642 / 3,600 = 0.00024005555...
    "EP3 for a second": (premium_usage(EP3, allocated_s=1, elapsed_s=1), "0.000240055556"),
    # 0.3 / 3,600 x 0.21605 = 0.00001800416666...
    "a sum that floats get wrong": (
        premium_usage(EP1, allocated_s=[0.1, 0.2], elapsed_s=0),
        "0.000018004167",
    ),
    "no time at all": (premium_usage(EP1, allocated_s=0, elapsed_s=0), "0"),
}

FLEX_WITHOUT_GRANTS = {
    # 10 ms count 1 s: 2 GB x 1 s x 0.000026 + 1 x 0.0000004
    "less than the minimum": (flex_usage(0.010, executions=1, memory_mb=2048), "0.0000524"),
    # 0.5 x 1 x 0.000026 + 0.0000004
    "no time, smallest size": (flex_usage(0.0, executions=1, memory_mb=512), "0.0000134"),
    "the minimum to the point": (flex_usage(1.0, executions=1, memory_mb=512), "0.0000134"),
    # 1.001 s count 1.1 s: 2 x 1.1 x 0.000026 = 0.0000572, + 0.0000004
    "just above the minimum": (flex_usage(1.001, executions=1, memory_mb=2048), "0.0000576"),
    "a whole step stays": (flex_usage(1.1, executions=1, memory_mb=2048), "0.0000576"),
    # 2.35 s count 2.4 s: 4 x 2.4 x 0.000026 = 0.0002496, + 0.0000004
    "largest size": (flex_usage(2.35, executions=1, memory_mb=4096), "0.00025"),
    # 0 to 1 s and 0.5 to 1.5 s are one period of 1.5 s: 3 GB-s x 0.000026 = 0.000078, + 2 x 0.0000004
    "overlapping requests": (
        flex_usage(active_periods_s([0, 0.5], [1, 1], **FLEX), executions=2, memory_mb=2048),
        "0.0000788",
    ),
    # 10 ms at 0 s and at 0.5 s: the second begins within the first second: 2 x 0.000026 + 0.0000008
    "a request within the minimum": (
        flex_usage(active_periods_s([0, 0.5], [0.01, 0.01], **FLEX), executions=2, memory_mb=2048),
        "0.0000528",
    ),
    # the same with a minimum of its own: 4 x 0.000026 + 0.0000008
    "a request within the minimum, apart": (
        flex_usage(
            active_periods_s([0, 0.5], [0.01, 0.01], **FLEX, shared=False), executions=2, memory_mb=2048
        ),
        "0.0001048",
    ),
    # 0 to 1.05 s and 1.05 to 1.25 s touch: one period of 1.25 s counts 1.3 s: 2.6 x 0.000026 + 0.0000008
    "a request as another ends, apart": (
        flex_usage(
            active_periods_s([0, 1.05], [1.05, 0.2], **FLEX, shared=False), executions=2, memory_mb=2048
        ),
        "0.0000684",
    ),
    # at 1.0 s the first second is over: 4 x 0.000026 + 0.0000008
    "a request at the end of the minimum": (
        flex_usage(active_periods_s([0, 1.0], [0.01, 0.01], **FLEX), executions=2, memory_mb=2048),
        "0.0001048",
    ),
    # 0 to 0.9 s, billed to 1.0 s; 0.95 to 1.25 s joins: 1.25 s count 1.3 s: 2.6 x 0.000026 + 0.0000008
    "a request that prolongs the period": (
        flex_usage(active_periods_s([0, 0.95], [0.9, 0.3], **FLEX), executions=2, memory_mb=2048),
        "0.0000684",
    ),
}

FLEX_WITH_GRANTS = {
    # 2,000,000 - 100,000 GB-s x 0.000026 = 49.4; 5 - 0.25 million x 0.40 = 1.9
    "beyond both free amounts": (
        flex_usage(each(1_000_000, 1.0), executions=5_000_000, memory_mb=2048),
        "51.3",
    ),
    # 50,000 x 2 GB-s and 250,000 executions are what is free
    "free to the last": (flex_usage(each(50_000, 1.0), executions=250_000, memory_mb=2048), "0"),
    # 2 GB-s x 0.000026 + 1 x 0.0000004
    "one above what is free": (
        flex_usage(each(50_001, 1.0), executions=250_001, memory_mb=2048),
        "0.0000524",
    ),
    # 2,628,000 s x 2 GB x 0.000004
    "always ready, idle for a month": (
        flex_usage((), executions=0, memory_mb=2048, always_ready=1, elapsed_s=MONTH_S),
        "21.024",
    ),
    # baseline 2 x 3,600 x 0.5 = 3,600 GB-s x 0.000004 = 0.0144; active 1,500 s x 0.5 = 750 x 0.000016 = 0.012;
    # 3,000 x 0.0000004 = 0.0012; nothing of it is free
    "always ready, busy": (
        flex_usage(
            (),
            executions=0,
            memory_mb=512,
            always_ready=2,
            always_ready_active_s=each(1000, 1.5),
            always_ready_executions=3000,
            elapsed_s=3600,
        ),
        "0.0276",
    ),
    # 21.024; 200,000 GB-s x 0.000016 = 3.2; 0.4 million x 0.40 = 0.16; on demand 160,000 - 100,000 GB-s
    # x 0.000026 = 1.56; 0.3 - 0.25 million x 0.40 = 0.02
    "always ready and on demand": (
        flex_usage(
            each(80_000, 0.4),
            executions=300_000,
            memory_mb=2048,
            always_ready=1,
            always_ready_active_s=each(100_000, 0.4),
            always_ready_executions=400_000,
            elapsed_s=MONTH_S,
        ),
        "25.964",
    ),
}

CONSUMPTION_WITHOUT_GRANTS = {
    # 100 ms x 128 MB = 0.0125 GB-s x 0.000016 = 0.0000002, + 0.0000002
    "less than both minimums": (consumption_usage(0.001, memory_mb=100), "0.0000004"),
    # 128 MB x 1 s = 0.125 GB-s x 0.000016 = 0.000002, + 0.0000002
    "128 MB to the point": (consumption_usage(1.0, memory_mb=128), "0.0000022"),
    # 129 MB count 256: 0.25 x 0.000016 = 0.000004, + 0.0000002
    "just above 128 MB": (consumption_usage(1.0, memory_mb=129), "0.0000042"),
    # Azure's own: 160 MB count 256; 3 s x 0.25 = 0.75 x 0.000016 = 0.000012, + 0.0000002
    "160 MB": (consumption_usage(3.0, memory_mb=160), "0.0000122"),
    # 100.4 ms count 101: 0.101 x 0.000016 = 0.000001616, + 0.0000002
    "just above 100 ms": (consumption_usage(0.1004, memory_mb=1024), "0.000001816"),
    # 300 ms, not 301: 0.3 x 0.000016 = 0.0000048, + 0.0000002
    "300 ms as a float has them": (consumption_usage(0.1 + 0.2, memory_mb=1024), "0.000005"),
    # 200 x 128 + 100 x 384 + 1,500 x 1,536 = 2,368,000 MB-ms = 2.3125 GB-s x 0.000016 = 0.000037, + 0.0000006
    "different executions": (
        consumption_usage([0.2, 0.05, 1.5], memory_mb=[100, 300, 1536]),
        "0.0000376",
    ),
}

CONSUMPTION_WITH_GRANTS = {
    # Azure's own example: 1,500,000 - 400,000 GB-s x 0.000016 = 17.6; 3 - 1 million x 0.20 = 0.4
    "three million of a second": (consumption_usage(each(3_000_000, 1.0), memory_mb=512), "18"),
    # 1,000,000 x 0.0125 = 12,500 GB-s and a million executions are free
    "all free": (consumption_usage(each(1_000_000, 0.02), memory_mb=128), "0"),
    # 0.5 million x 0.20
    "only executions cost": (consumption_usage(each(1_500_000, 0.02), memory_mb=128), "0.1"),
    # 500,000 x 1 GB-s - 400,000 = 100,000 x 0.000016
    "only time costs": (consumption_usage(each(500_000, 1.0), memory_mb=1024), "1.6"),
}

LAMBDA_WITHOUT_GRANTS = {
    # 1.0001 ms count 2: 0.002 x 0.0000166667 = 0.0000000333334, + 0.0000002
    "just above 1 ms": (lambda_usage(0.0010001, memory_mb=1024), "0.0000002333334"),
    # at least 1 ms: 0.000125 x 0.0000166667 = 0.0000000020833375, + 0.0000002
    "no time": (lambda_usage(0.0, memory_mb=128), "0.0000002020833375"),
    # 10 x 0.0000166667 + 0.0000002
    "largest size": (lambda_usage(1.0, memory_mb=10_240), "0.000166867"),
    # 3 ms, not 4: 0.003 x 0.0000166667 = 0.0000000500001, + 0.0000002
    "3 ms as a float has them": (lambda_usage(0.001 + 0.002, memory_mb=1024), "0.0000002500001"),
}

LAMBDA_WITH_GRANTS = {
    # AWS's own example: 1,500,000 - 400,000 GB-s x 0.0000166667 = 18.33337; 3 - 1 million x 0.20 = 0.4
    "three million of a second": (lambda_usage(each(3_000_000, 1.0), memory_mb=512), "18.73337"),
    # 800,000 - 400,000 GB-s x 0.0000166667 = 6.66668; 4 - 1 million x 0.20 = 0.6
    "four million of 200 ms": (lambda_usage(each(4_000_000, 0.2), memory_mb=1024), "7.26668"),
    "all free": (lambda_usage(each(1_000_000, 0.1), memory_mb=1024), "0"),
    # 10 x 7,200 s x 1 GB x 0.0000041667
    "provisioned, no requests": (
        lambda_provisioned_usage((), memory_mb=1024, provisioned=10, enabled_s=7200),
        "0.3000024",
    ),
    # 7,200,000 x 0.0000041667 = 30.00024; 1,200,000 x 0.0000097222 = 11.66664; 1.2 million x 0.20 = 0.24
    "provisioned, busy; nothing is free": (
        lambda_provisioned_usage(each(1_200_000, 1.0), memory_mb=1024, provisioned=1000, enabled_s=7200),
        "41.90688",
    ),
    # 301 s count 600: 300 GB-s x 0.0000041667
    "provisioned for 301 s": (
        lambda_provisioned_usage((), memory_mb=512, provisioned=1, enabled_s=301),
        "0.00125001",
    ),
    # 150 GB-s x 0.0000041667
    "provisioned for five minutes": (
        lambda_provisioned_usage((), memory_mb=512, provisioned=1, enabled_s=300),
        "0.000625005",
    ),
    # 7,200 x 0.0000041667 = 0.03000024; 100 x 0.0000097222 = 0.00097222; 1,000 x 0.0000002 = 0.0002;
    # spilled 100 x 0.0000166667 = 0.00166667; 500 x 0.0000002 = 0.0001
    "provisioned, some spill over": (
        lambda_provisioned_usage(
            each(1000, 0.1), spilled_s=each(500, 0.2), memory_mb=1024, provisioned=2, enabled_s=3600
        ),
        "0.03293913",
    ),
}

CLOUD_RUN_WITHOUT_GRANTS = {
    # 0.1 x 0.000024 = 0.0000024; 0.05 x 0.0000025 = 0.000000125; + 0.0000004
    "less than a step": (cloud_run_usage(0.01, requests=1, vcpu=1, memory_mb=512), "0.000002925"),
    "a step to the point": (cloud_run_usage(0.1, requests=1, vcpu=1, memory_mb=512), "0.000002925"),
    # 0.2 x 0.000024 = 0.0000048; 0.1 x 0.0000025 = 0.00000025; + 0.0000004
    "just above a step": (cloud_run_usage(0.101, requests=1, vcpu=1, memory_mb=512), "0.00000545"),
    # 10 x 0.3 s: 6 x 0.000024 = 0.000144; 6 x 0.0000025 = 0.000015; 10 x 0.0000004
    "two cores": (cloud_run_usage(each(10, 0.25), requests=10, vcpu=2, memory_mb=2048), "0.000163"),
    # active 600 x 0.000024 = 0.0144, x 0.0000025 = 0.0015; 1,200 x 0.0000004 = 0.00048;
    # idle 7,200 - 600 = 6,600 x 0.0000025 = 0.0165, twice
    "minimum instances, busy": (
        cloud_run_usage(
            (),
            requests=1200,
            vcpu=1,
            memory_mb=1024,
            min_instances=2,
            min_active_s=each(600, 1.0),
            elapsed_s=3600,
        ),
        "0.04938",
    ),
    # 1.05 s count 1.1 s, more than the second it is kept: no idle time; 1.1 x 0.0000265 + 0.0000004
    "minimum instance without idle time": (
        cloud_run_usage(
            (), requests=1, vcpu=1, memory_mb=1024, min_instances=1, min_active_s=1.05, elapsed_s=1
        ),
        "0.00002955",
    ),
}

CLOUD_RUN_WITH_GRANTS = {
    # 2,000,000 - 180,000 x 0.000024 = 43.68; 2,000,000 - 360,000 x 0.0000025 = 4.1; 10 - 2 million x 0.40 = 3.2
    "beyond all free amounts": (
        cloud_run_usage(each(2_000_000, 1.0), requests=10_000_000, vcpu=1, memory_mb=1024),
        "50.98",
    ),
    "all free": (cloud_run_usage(each(180_000, 1.0), requests=2_000_000, vcpu=1, memory_mb=2048), "0"),
    # idle is never free: 2,628,000 x 0.0000025 = 6.57; 1,314,000 x 0.0000025 = 3.285
    "minimum instance, idle for a month": (
        cloud_run_usage((), requests=0, vcpu=1, memory_mb=512, min_instances=1, elapsed_s=MONTH_S),
        "9.855",
    ),
}

TELEMETRY_WITH_GRANTS = {
    "the free 5 GB": (telemetry_usage(5 * 10**9), "0"),
    # 0.5 x 2.30
    "half a GB more": (telemetry_usage(5_500_000_000), "1.15"),
    # 95 x 2.30
    "100 GB": (telemetry_usage(100 * 10**9), "218.5"),
    # 0.000000001 x 2.30
    "a byte more": (telemetry_usage(5 * 10**9 + 1), "0.0000000023"),
}


def cases(with_grants: bool, **plans: dict[str, tuple[Usage, str]]) -> list:
    return [
        pytest.param(usage, with_grants, total, id=f"{plan}: {name}")
        for plan, table in plans.items()
        for name, (usage, total) in table.items()
    ]


WORKED = [
    *cases(
        True,
        premium=PREMIUM,
        flex=FLEX_WITH_GRANTS,
        consumption=CONSUMPTION_WITH_GRANTS,
        aws_lambda=LAMBDA_WITH_GRANTS,
        cloud_run=CLOUD_RUN_WITH_GRANTS,
        telemetry=TELEMETRY_WITH_GRANTS,
    ),
    *cases(
        False,
        flex=FLEX_WITHOUT_GRANTS,
        consumption=CONSUMPTION_WITHOUT_GRANTS,
        aws_lambda=LAMBDA_WITHOUT_GRANTS,
        cloud_run=CLOUD_RUN_WITHOUT_GRANTS,
    ),
]


@pytest.mark.parametrize(("usage", "with_grants", "total"), WORKED)
def test_bill_is_what_the_rules_give_by_hand(usage: Usage, with_grants: bool, total: str) -> None:
    told = bill(usage, PRICES, with_grants=with_grants)

    assert abs(told.total - Decimal(total)) < Decimal("1e-12")
    assert told.total == sum(part.cost for part in told.parts)


def test_every_part_says_how_it_came_about() -> None:
    told = bill(flex_usage(each(60_000, 1.0), executions=300_000, memory_mb=2048), PRICES)

    assert [
        (part.meter, part.quantity, part.free, part.unit, part.unit_price, part.cost) for part in told.parts
    ] == [
        (
            "on_demand_execution",
            Decimal(120_000),
            Decimal(100_000),
            "GB-s",
            Decimal("0.000026"),
            Decimal("0.52"),
        ),
        (
            "on_demand_executions",
            Decimal("0.3"),
            Decimal("0.25"),
            "million",
            Decimal("0.40"),
            Decimal("0.02"),
        ),
    ]
    assert "minimum of 1,000 ms" in told.assumptions[0]
    assert told.unconfirmed == (
        "flex: not yet read from the Azure Retail Prices API; always-ready prices are from memory",
    )


# One request a second for an hour, 10 ms each, 400 MB, four at once: 3,600 x 730 = 2,628,000 requests a month.
COMPARED = {
    # one always ready, one pre-warmed: 2 x 730 h x 0.21605; twice and four times that for the larger sizes
    "Premium EP1, 1 always ready": "315.433",
    "Premium EP2, 1 always ready": "630.866",
    "Premium EP3, 1 always ready": "1261.732",
    # each is billed a second, after which comes the next: 1,314,000 - 100,000 GB-s x 0.000026 = 31.564;
    # 2.628 - 0.25 million x 0.40 = 0.9512
    "Flex 512 MB, on demand": "32.5152",
    # 1,314,000 GB-s x 0.000004 = 5.256; x 0.000016 = 21.024; 2.628 x 0.40 = 1.0512
    "Flex 512 MB, 1 always ready": "27.3312",
    # 100 ms x 512 MB x 2,628,000 = 131,400 GB-s are free; 1.628 million x 0.20
    "Consumption": "0.3256",
    # 10 ms x 400 MB x 2,628,000 = 10,265.625 GB-s are free; 1.628 million x 0.20
    "AWS Lambda 400 MB": "0.3256",
    # 4 x 400 / 1,024 GB x 2,628,000 s = 4,106,250 GB-s x 0.0000041667 = 17.109511875;
    # 10,265.625 x 0.0000097222 = 0.099804459375; 2.628 x 0.20 = 0.5256
    "AWS Lambda 400 MB, 4 provisioned": "17.734916334375",
    # 0.1 s x 2,628,000 - 180,000 = 82,800 x 0.000024 = 1.9872; 102,656.25 GiB-s are free; 0.628 million x 0.40
    "Cloud Run functions 1 vCPU 400 MiB": "2.2384",
    # 2.2384; idle 2,628,000 - 262,800 = 2,365,200 x 0.0000025 = 5.913; 923,906.25 GiB-s x 0.0000025
    "Cloud Run functions 1 vCPU 400 MiB, 1 kept": "10.461165625",
}


def steady(**changes: object) -> Traffic:
    settings: dict = {
        "arrivals_s": np.arange(3600.0),
        "durations_s": each(3600, 0.01),
        "elapsed_s": 3600.0,
        "memory_mb": 400,
        "concurrency": 4,
    }
    return Traffic(**settings | changes)


def test_same_traffic_is_billed_on_every_plan() -> None:
    bills = compare(steady(), PRICES)

    assert {told.title: pytest.approx(told.total, abs=Decimal("1e-12")) for told in bills} == {
        title: Decimal(total) for title, total in COMPARED.items()
    }


def test_simulated_instances_replace_packed_ones() -> None:
    # 2.5 instances all the time: 2.5 x 157.7165
    first, second, *_ = compare(steady(), PRICES, premium_allocated_s={"EP1": 9000.0})

    assert (first.title, first.total) == (
        "Premium EP1",
        pytest.approx(Decimal("394.29125"), abs=Decimal("1e-12")),
    )
    assert second.title == "Premium EP2, 1 always ready"


def test_telemetry_costs_the_same_wherever_the_service_runs() -> None:
    # 100 MB an hour are 73 GB a month: 68 x 2.30 = 156.4
    with_telemetry = compare(steady(), PRICES, telemetry_bytes=100 * 10**6)

    assert [told.total - Decimal("156.4") for told in with_telemetry] == [
        pytest.approx(told.total, abs=Decimal("1e-12")) for told in compare(steady(), PRICES)
    ]


def test_plans_with_too_little_memory_are_left_out() -> None:
    titles = [told.title for told in compare(steady(memory_mb=8000), PRICES)]

    assert titles == [
        "Premium EP3, 1 always ready",
        "AWS Lambda 8000 MB",
        "AWS Lambda 8000 MB, 4 provisioned",
        "Cloud Run functions 1 vCPU 8000 MiB",
        "Cloud Run functions 1 vCPU 8000 MiB, 1 kept",
    ]


def test_no_requests_cost_what_is_kept_ready() -> None:
    nothing = steady(arrivals_s=np.empty(0), durations_s=np.empty(0))

    assert {told.title: told.total for told in compare(nothing, PRICES) if told.total == 0} == {
        "Flex 512 MB, on demand": 0,
        "Consumption": 0,
        "AWS Lambda 400 MB": 0,
        "Cloud Run functions 1 vCPU 400 MiB": 0,
    }


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"durations_s": each(3, 0.01)}, "3600 arrivals and 3 durations"),
        ({"arrivals_s": np.arange(3600.0)[::-1]}, "out of order"),
        ({"elapsed_s": 0.0}, "a stretch of 0 s"),
        ({"elapsed_s": 10.0}, "the last arrival is at 3599 s, after the stretch of 10 s"),
        ({"concurrency": 0}, "400 MB and 0 requests at once"),
        ({"durations_s": each(3600, float("inf"))}, "duration 0 is inf s"),
    ],
)
def test_traffic_that_cannot_be_is_refused(changes: dict, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        steady(**changes)


def test_requests_go_to_the_first_instance_with_a_free_place() -> None:
    arrivals_s = np.array([0.0, 0.1, 0.2, 0.3, 1.0, 1.05])
    durations_s = np.array([1.0, 1.0, 0.5, 2.0, 0.1, 0.1])

    assert pack(arrivals_s, durations_s, concurrency=1).tolist() == [0, 1, 2, 3, 0, 2]
    assert pack(arrivals_s, durations_s, concurrency=2).tolist() == [0, 0, 1, 1, 0, 1]


def test_order_of_requests_does_not_change_a_bill() -> None:
    rng = np.random.default_rng(7)
    starts_s, durations_s = rng.uniform(0, 600, 3000), rng.exponential(0.2, 3000)
    shuffled = rng.permutation(3000)

    periods_s = active_periods_s(starts_s, durations_s, **FLEX)

    assert periods_s.tolist() == active_periods_s(starts_s[shuffled], durations_s[shuffled], **FLEX).tolist()


@pytest.mark.parametrize("rate", [0.1, 1.0, 10.0, 100.0])
def test_shared_periods_never_bill_more_than_the_time_that_passed(rate: float) -> None:
    rng = np.random.default_rng(11)
    starts_s = np.cumsum(rng.exponential(1 / rate, 2000))
    durations_s = rng.exponential(0.05, 2000)
    ends_s = float((starts_s + durations_s).max())

    shared_s = active_periods_s(starts_s, durations_s, **FLEX).sum()
    apart_s = active_periods_s(starts_s, durations_s, **FLEX, shared=False).sum()

    assert shared_s <= min(apart_s, ends_s - starts_s[0] + 1.1)
    assert shared_s >= active_periods_s(starts_s, durations_s, least_ms=0, step_ms=1).sum() - 2


@pytest.mark.parametrize(
    ("metered", "said"),
    [
        (lambda: premium_usage(EP1, allocated_s=-1, elapsed_s=1), "allocated time 0 is -1.0 s"),
        (lambda: premium_usage(EP1, allocated_s=[1, float("nan")], elapsed_s=1), "allocated time 1 is nan s"),
        (lambda: premium_usage(EP1, allocated_s=1, elapsed_s=float("inf")), "a stretch of inf s"),
        (
            lambda: flex_usage(1, executions=1, memory_mb=1024),
            "no instances of 1024 MB; choose 512, 2048, 4096",
        ),
        (lambda: flex_usage(1, executions=-1, memory_mb=512), "-1 executions"),
        (lambda: consumption_usage(1, memory_mb=1537), "1537 MB on Consumption, which has up to 1536 MB"),
        (lambda: consumption_usage(1, memory_mb=0), "0 MB on Consumption"),
        (lambda: consumption_usage([0.1, -0.1], memory_mb=128), "duration 1 is -0.1 s"),
        (lambda: lambda_usage(1, memory_mb=64), "no functions of 64 MB; choose 128 to 10240"),
        (
            lambda: lambda_provisioned_usage(1, memory_mb=128, provisioned=0, enabled_s=1),
            "a provisioned concurrency of 0",
        ),
        (lambda: cloud_run_usage(1, requests=1, vcpu=0, memory_mb=512), "an instance of 0 vCPU"),
        (lambda: telemetry_usage(-5), "-5 bytes"),
    ],
)
def test_use_that_cannot_be_is_refused(metered: object, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        metered()


@pytest.mark.parametrize(("sku", "hour"), [("EP1", 0.21605), ("EP2", 0.4321), ("EP3", 0.8642)])
def test_instance_hour_is_its_cores_and_memory(sku: str, hour: float) -> None:
    assert instance_hour(SKUS[sku], PRICES) == pytest.approx(hour, abs=1e-12)


def test_cost_alone_is_the_bills_total() -> None:
    assert premium_bill(EP2, allocated_s=10_836, elapsed_s=3600, prices=PRICES) == pytest.approx(
        1.300621, abs=1e-12
    )


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"always_ready": 0}, "a plan has 1 to 20"),
        ({"always_ready": 21}, "a plan has 1 to 20"),
        ({"pre_warmed": -1}, "-1 pre-warmed"),
        ({"pre_warmed": 11}, "11 pre-warmed instances; a plan has up to 10"),
        ({"always_ready": 5, "max_burst": 4}, "raise the burst"),
        ({"pre_warmed": 4, "max_burst": 3}, "4 pre-warmed instances are above the maximum burst of 3"),
        ({"max_burst": 101}, "101 is above what a plan can have; give at most 100"),
        ({"always_ready": 3, "scale_limit": 2}, "scale limit of 2 is below the 3 always-ready"),
    ],
)
def test_impossible_plans_are_refused(settings: dict, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        PremiumPlan(sku=SKUS["EP1"], **settings)


@pytest.mark.parametrize(("size", "said"), [({"memory_gib": 0.0}, "0 GiB"), ({"vcpu": 0}, "0 vCPU")])
def test_instance_without_cores_or_memory_is_refused(size: dict, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Sku(**{"name": "EP0", "vcpu": 1, "memory_gib": 3.5} | size)


def test_size_is_known_in_any_case_of_letters() -> None:
    assert sku_named("ep2") == SKUS["EP2"]
    with pytest.raises(ValueError, match="unknown size 'EP9'; Premium has EP1, EP2, EP3"):
        sku_named("EP9")


def test_larger_size_that_was_not_measured_is_packed_by_its_cores_and_marked() -> None:
    crowd = Traffic(
        arrivals_s=np.zeros(8), durations_s=np.full(8, 10.0), elapsed_s=3600.0, memory_mb=512, concurrency=2
    )

    first, second, *_ = compare(crowd, PRICES, pre_warmed=0)

    # 4 instances of 2 at once, 3 of them for 310 s; 2 of 4 at once, 1 of them for 310 s
    assert first.total / second.total == pytest.approx(
        Decimal(3600 + 3 * 310) / Decimal(2 * (3600 + 310)), rel=Decimal("1e-9")
    )
    assert not any(said.startswith("EXTRAPOLATED") for said in first.assumptions)
    assert any("EP2 was never measured" in said for said in second.assumptions)


def test_size_below_the_measured_one_has_no_bill_unless_it_was_simulated() -> None:
    on_ep2 = steady(sku="EP2")

    assert compare(on_ep2, PRICES)[0].title == "Premium EP2, 1 always ready"
    assert compare(on_ep2, PRICES, premium_allocated_s={"EP1": 9000.0})[0].title == "Premium EP1"


def price(repository: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "planner", "price", *arguments],
        cwd=repository,
        capture_output=True,
        text=True,
        check=False,
    )


def test_price_command_says_what_a_month_costs(repository: Path) -> None:
    assert "157.72 USD a month" in price(repository, "--sku", "EP1").stdout


@pytest.mark.parametrize("arguments", [("--sku", "EP9"), ("--region", "atlantis"), ("--always-ready", "0")])
def test_bad_argument_is_one_line(repository: Path, arguments: tuple[str, str]) -> None:
    result = price(repository, *arguments)

    assert (result.returncode, result.stderr.count("\n")) == (1, 1)
