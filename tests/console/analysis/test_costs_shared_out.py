"""Who pays, and what the same requests would cost elsewhere."""

from datetime import UTC, datetime, timedelta

import pytest

from console.analysis.bill import Bill, BillPart
from console.analysis.elsewhere import MOST, compare_plans
from console.analysis.payers import payers_of
from console.telemetry import Table, table_of

START = datetime(2026, 11, 22, 12, tzinfo=UTC)
PART = BillPart(name="active", instance_s=60.0, month_usd=80.0, usd_per_1000=0.8, share=0.8)
TELEMETRY = BillPart(name="telemetry", instance_s=0.0, month_usd=20.0, usd_per_1000=0.2, share=0.2)
BILL = Bill(parts=(PART, TELEMETRY), month_usd=100.0, usd_per_1000=1.0, n_answers=100.0)


def work(**compute_ms: float) -> Table:
    return table_of(
        {
            "variant": list(compute_ms),
            "version": ["v1"] * len(compute_ms),
            "n_requests": [50.0] * len(compute_ms),
            "compute_ms": list(compute_ms.values()),
        }
    )


def requests(n_requests: float, *, places: tuple[int, ...] = (0, 1, 2)) -> Table:
    return table_of(
        {
            "interval_start": [START + timedelta(minutes=place) for place in places],
            "n_requests": [n_requests] * len(places),
        }
    )


HISTOGRAM = table_of({"above_ms": [4.0], "up_to_ms": [9.0], "n_requests": [100.0]})


def test_instances_are_paid_by_computing_and_telemetry_by_answers() -> None:
    payers = payers_of(BILL, work(popular=100.0, student=300.0))

    assert [payer.variant for payer in payers] == ["student", "popular"]
    assert payers[0].month_usd == pytest.approx(0.75 * 80 + 0.5 * 20)
    assert payers[0].usd_per_1000 == pytest.approx(1.4)
    assert sum(payer.month_usd or 0 for payer in payers) == pytest.approx(100)


def test_without_a_bill_shares_are_told_and_no_cost() -> None:
    (payer,) = payers_of(Bill(), work(student=10.0))

    assert payer.compute_share == 1
    assert payer.month_usd is None


def test_without_work_nobody_pays() -> None:
    assert payers_of(BILL, Table()) == ()


def test_plans_come_cheapest_first_with_their_assumptions() -> None:
    compared = compare_plans(requests(600), HISTOGRAM, interval_s=60.0)

    costs = [plan.month_usd for plan in compared.plans]
    assert costs == sorted(costs)
    assert compared.n_requests == 1800
    assert compared.mean_ms == pytest.approx(6.0)
    assert any(plan.title.startswith("Flex") and plan.assumptions for plan in compared.plans)


def test_a_sample_costs_about_what_all_requests_do() -> None:
    few = compare_plans(requests(MOST / 3), HISTOGRAM, interval_s=60.0)
    many = compare_plans(requests(MOST), HISTOGRAM, interval_s=60.0)

    assert not few.sampled
    assert many.sampled
    flex = [next(plan for plan in each.plans if "AWS Lambda 512" in plan.title) for each in (few, many)]
    assert flex[1].usd_per_1000 == pytest.approx(flex[0].usd_per_1000, rel=0.25)


def test_hours_without_requests_count_as_time() -> None:
    dense = compare_plans(requests(600, places=(0, 1)), HISTOGRAM, interval_s=60.0)
    sparse = compare_plans(requests(600, places=(0, 3)), HISTOGRAM, interval_s=60.0)

    def premium(compared: object) -> float:
        return next(plan.usd_per_1000 for plan in compared.plans if "EP1" in plan.title)  # type: ignore[attr-defined]

    assert premium(sparse) > 1.5 * premium(dense)


def test_without_requests_there_is_nothing_to_compare() -> None:
    assert compare_plans(Table(), Table(), interval_s=60.0).plans == ()
