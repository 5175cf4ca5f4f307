"""The bill of a stretch, worked out by hand from Premium's prices."""

from datetime import UTC, datetime, timedelta

import pytest

from console.analysis.bill import bill_of, covered_s, interval_s_of, sku_of
from console.telemetry import Table, table_of

START = datetime(2026, 11, 22, 12, tzinfo=UTC)
EP1_USD_PER_HOUR = 0.173 + 3.5 * 0.0123
EP1_USD_PER_MONTH = 730 * EP1_USD_PER_HOUR
NOTHING = Table()


def allocation(*rows: tuple[int, str, float], interval_s: float = 60.0) -> Table:
    return table_of(
        {
            "interval_start": [START + timedelta(seconds=interval_s * place) for place, _, _ in rows],
            "class": [name for _, name, _ in rows],
            "allocated_s": [spent_s for _, _, spent_s in rows],
            "n_instances": [spent_s / interval_s for _, _, spent_s in rows],
        }
    )


def requests(*n_ok: float, interval_s: float = 60.0) -> Table:
    return table_of(
        {
            "interval_start": [START + timedelta(seconds=interval_s * place) for place in range(len(n_ok))],
            "n_ok": list(n_ok),
        }
    )


def volume(n_bytes: float) -> Table:
    return table_of({"table_name": ["AppMetrics"], "n_bytes": [n_bytes]})


def test_month_is_one_instance_for_730_hours_where_one_was_allocated() -> None:
    seen = allocation(*((place, "active", 60.0) for place in range(10)))

    bill = bill_of(seen, requests(*[100.0] * 10), NOTHING)

    assert bill.month_usd == pytest.approx(EP1_USD_PER_MONTH)
    assert bill.elapsed_s == 600
    assert bill.usd_per_1000 == pytest.approx(EP1_USD_PER_HOUR / 6)


def test_parts_are_shares_of_the_whole() -> None:
    seen = allocation((0, "active", 20.0), (0, "idle", 40.0), (0, "burst", 60.0))

    bill = bill_of(seen, requests(50.0), NOTHING)

    assert [(part.name, part.share) for part in bill.parts] == [
        ("active", pytest.approx(1 / 6)),
        ("idle", pytest.approx(1 / 3)),
        ("burst", pytest.approx(1 / 2)),
    ]
    assert bill.n_instances == pytest.approx(2)
    assert sum(part.usd_per_1000 or 0 for part in bill.parts) == pytest.approx(bill.usd_per_1000)


def test_telemetry_costs_what_is_above_a_months_free_amount() -> None:
    seen = allocation(*((place, "active", 60.0) for place in range(2)))

    few = bill_of(seen, requests(1.0), volume(1000.0))
    many = bill_of(seen, requests(1.0), volume(1e9))

    assert few.part("telemetry") is None
    assert many.month_usd_of("telemetry") == pytest.approx(2.30 * (730 * 30 - 5))


def test_bins_cut_by_the_range_count_by_their_seconds() -> None:
    seen = allocation((0, "active", 15.0), (1, "active", 60.0), (2, "active", 60.0), (3, "active", 30.0))

    bill = bill_of(seen, requests(10.0, 10.0, 10.0, 10.0), NOTHING)

    assert bill.elapsed_s == 165
    assert bill.month_usd == pytest.approx(EP1_USD_PER_MONTH)


def test_requests_outside_the_allocation_are_not_of_the_bill() -> None:
    seen = allocation((0, "active", 60.0), (1, "active", 60.0))

    bill = bill_of(seen, requests(10.0, 10.0, 500.0), NOTHING)

    assert bill.n_answers == 20


def test_without_answers_there_is_no_cost_of_a_thousand() -> None:
    bill = bill_of(allocation((0, "idle", 60.0)), NOTHING, NOTHING)

    assert bill.usd_per_1000 is None
    assert bill.month_usd == pytest.approx(EP1_USD_PER_MONTH)


def test_without_allocation_there_is_no_bill() -> None:
    bill = bill_of(NOTHING, requests(10.0), volume(1e9))

    assert (bill.month_usd, bill.usd_per_1000, bill.parts) == (None, None, ())


def test_observed_instances_make_an_approximate_bill() -> None:
    observed = table_of(
        {
            "interval_start": [START, START + timedelta(minutes=1)],
            "instance": ["a", "a"],
            "observed_s": [60.0, 60.0],
            "busy_s": [15.0, 15.0],
        }
    )

    bill = bill_of(observed, requests(10.0, 10.0), NOTHING)

    assert bill.is_approximate
    assert {part.name: part.instance_s for part in bill.parts} == {"active": 30.0, "idle": 90.0}


def test_a_larger_size_costs_by_its_cores_and_memory() -> None:
    seen = allocation((0, "active", 60.0))

    assert bill_of(seen, NOTHING, NOTHING, sku="EP2").month_usd == pytest.approx(2 * EP1_USD_PER_MONTH)


def test_width_of_bins_is_told_by_one_bin_alone() -> None:
    seen = allocation((0, "active", 45.0), interval_s=90.0)

    assert interval_s_of(seen) == pytest.approx(90)
    assert covered_s(seen, 90.0) == 90


@pytest.mark.parametrize(
    ("cores", "sku"), [([1.0], "EP1"), ([2.0, 2.0], "EP2"), ([16.0], "EP3"), ([None], "EP1"), ([], "EP1")]
)
def test_size_is_told_by_cores(cores: list[float | None], sku: str) -> None:
    known = [*cores, 1.0][: len(cores)]
    table = table_of({"cores": known}) if any(known) else Table()

    assert sku_of(table) == sku
