"""Which plan runs, by its own word or by what it allocated."""

import json
from datetime import UTC, datetime, timedelta

from console.analysis.plan_question import Setup
from console.analysis.todays_plan import todays_plan
from console.telemetry import Table, table_of

START = datetime(2026, 11, 22, 12, tzinfo=UTC)
SETTINGS = {
    "sku": {"name": "EP2", "vcpu": 2, "memory_gib": 7.0},
    "always_ready": 2,
    "pre_warmed": 3,
    "max_burst": 7,
    "scale_limit": None,
}


def told(settings: object) -> Table:
    return table_of({"at": [START], "settings": [json.dumps(settings)]})


def allocation(**per_bin_s: list[float]) -> Table:
    rows = [
        (START + timedelta(minutes=place), name, spent_s)
        for name, seconds in per_bin_s.items()
        for place, spent_s in enumerate(seconds)
    ]
    return table_of(
        {
            "interval_start": [at for at, _, _ in rows],
            "class": [name for _, name, _ in rows],
            "allocated_s": [spent_s for _, _, spent_s in rows],
        }
    )


def test_the_plans_own_word_counts() -> None:
    plan = todays_plan(told(SETTINGS), Table(), Table(), interval_s=60.0)

    assert plan is not None
    assert plan.is_told
    assert plan.setup == Setup(sku="EP2", always_ready=2, pre_warmed=3, max_burst=7)


def test_always_ready_instances_are_the_usual_active_and_idle_ones() -> None:
    seen = allocation(active=[40, 100, 90], idle=[20, 20, 30], pre_warmed=[0, 60, 60], burst=[0, 240, 0])

    plan = todays_plan(Table(), seen, Table(), interval_s=60.0)

    assert plan is not None
    assert not plan.is_told
    assert plan.setup == Setup(sku="EP1", always_ready=2, pre_warmed=1, max_burst=20)


def test_settings_of_a_stranger_are_not_believed() -> None:
    seen = allocation(active=[60.0, 60.0])

    plan = todays_plan(told({"sku": {"name": "EP9"}}), seen, Table(), interval_s=60.0)

    assert plan is not None
    assert not plan.is_told


def test_nothing_tells_of_a_plan_without_telemetry() -> None:
    assert todays_plan(Table(), Table(), Table(), interval_s=60.0) is None
