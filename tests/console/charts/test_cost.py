"""Specs of the cost view's charts."""

from datetime import UTC, datetime, timedelta

import pytest

from console.analysis.bill import Bill, BillPart
from console.analysis.elsewhere import Elsewhere
from console.charts.cost import TODAY, allocation_chart, bill_strip, elsewhere_chart, hours_strip
from console.palette import DARK, LIGHT, Palette
from console.telemetry import table_of

START = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.mark.parametrize("palette", [LIGHT, DARK])
def test_allocation_is_stacked_in_instances_by_class(palette: Palette) -> None:
    table = table_of(
        {
            "interval_start": [START, START, START + timedelta(minutes=1)],
            "class": ["active", "burst", "active"],
            "allocated_s": [30.0, 60.0, 60.0],
        }
    )

    spec = allocation_chart(table, 60.0, palette)

    assert [each["name"] for each in spec["series"]] == ["Always ready, active", "Burst"]
    assert [value for _, value in spec["series"][0]["data"]] == [0.5, 1.0]
    assert [value for _, value in spec["series"][1]["data"]] == [1.0, 0.0]


def test_observed_seconds_are_split_into_busy_and_idle() -> None:
    table = table_of(
        {
            "interval_start": [START, START],
            "instance": ["a", "b"],
            "observed_s": [60.0, 60.0],
            "busy_s": [15.0, 0.0],
        }
    )

    spec = allocation_chart(table, 60.0, LIGHT)

    values = {each["name"]: each["data"][0][1] for each in spec["series"]}
    assert values == {"Always ready, active": 0.25, "Always ready, idle": 1.75}


def test_strip_is_read_aloud_with_its_shares() -> None:
    part = BillPart(name="idle", instance_s=60.0, month_usd=80.0, usd_per_1000=None, share=1.0)

    html = bill_strip(Bill(parts=(part,), month_usd=80.0), LIGHT)

    assert 'aria-label="Always ready, idle 100 %"' in html


def test_hours_are_drawn_on_one_scale() -> None:
    html = hours_strip({"active": 1800.0}, 3600.0, LIGHT, label="Billed")

    assert "width:50.00%" in html
    assert "Always ready, active 0.5 h" in html


def test_today_stands_among_the_plans_in_order_of_cost() -> None:
    plans = [
        Elsewhere(title=title, month_usd=cost, usd_per_1000=0.1, assumptions=(), unconfirmed=())
        for title, cost in (("Flex", 10.0), ("EP1", 160.0))
    ]

    spec = elsewhere_chart(plans, 150.0, 0.09, LIGHT).to_dict()

    assert spec["layer"][0]["encoding"]["y"]["sort"] == ["Flex", TODAY, "EP1"]
