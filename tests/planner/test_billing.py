import subprocess
import sys
from pathlib import Path

import pytest

from planner.billing import HOURS_PER_MONTH, bill, instance_hour, read_prices
from planner.plans import SKUS, PremiumPlan, Sku, sku_named

PRICES = read_prices("eastus")


@pytest.mark.parametrize(
    ("sku", "hour"),
    [
        ("EP1", 0.173 + 3.5 * 0.0123),
        ("EP2", 2 * 0.173 + 7 * 0.0123),
        ("EP3", 4 * 0.173 + 14 * 0.0123),
    ],
)
def test_instance_hour_is_its_cores_and_memory(sku: str, hour: float) -> None:
    assert instance_hour(SKUS[sku], PRICES) == pytest.approx(hour, abs=1e-9)


def test_one_instance_for_a_month_costs_what_azure_lists() -> None:
    month_s = HOURS_PER_MONTH * 3600

    assert bill(SKUS["EP1"], allocated_s=month_s, elapsed_s=month_s, prices=PRICES) == pytest.approx(
        157.72, abs=0.005
    )


def test_one_instance_is_billed_even_when_none_was_allocated() -> None:
    idle = bill(SKUS["EP1"], allocated_s=0, elapsed_s=3600, prices=PRICES)

    assert idle == pytest.approx(instance_hour(SKUS["EP1"], PRICES))


def test_every_allocated_second_is_billed() -> None:
    three = bill(SKUS["EP1"], allocated_s=3 * 3600, elapsed_s=3600, prices=PRICES)

    assert three == pytest.approx(3 * instance_hour(SKUS["EP1"], PRICES))


def test_negative_time_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot be negative"):
        bill(SKUS["EP1"], allocated_s=-1, elapsed_s=1, prices=PRICES)


def test_unknown_region_names_those_there_are() -> None:
    with pytest.raises(ValueError, match="'atlantis'; there are eastus"):
        read_prices("atlantis")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"always_ready": 0}, "a plan has 1 to 20"),
        ({"always_ready": 21}, "a plan has 1 to 20"),
        ({"pre_warmed": -1}, "-1 pre-warmed"),
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
