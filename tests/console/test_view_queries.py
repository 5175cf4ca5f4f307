"""The queries of single views: where time went, what changed, what instances did, and what users did with lists."""

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from emulator.premium_plan import names as plan
from recserve.telemetry import names
from tests.console.test_queries import START, answers, at, request, span
from tests.emulator.app_insights.emulator_process import Emulator, EmulatorHost, envelope

HOUR = timedelta(hours=1)
PHASES = {"startup_ms": 0.0, "admit_ms": 1.0, "encode_ms": 1.0, "rank_ms": 1.0, "infer_ms": 4.0}
"Of an ordinary request of 10 ms, with 1 ms of queue and 2 of state."


def answered(**given: Any) -> dict[str, Any]:
    properties = {names.MODEL_VERSION: "v1", names.DISPATCH: "idle", names.KEPT: "rate"}
    return request(
        properties=properties | given.pop("properties", {}),
        **({"state_ms": 2.0, "queue_ms": 1.0, "batch_size": 4, "in_flight": 3, "limit": 64} | PHASES | given),
    )


def sampled(
    name: str, *, total: float, n: int, most: float = 0, minutes: float = 3, instance: str = "instance-1",
    properties: Mapping[str, str] = {},
) -> dict[str, Any]:  # fmt: skip
    return envelope(
        "MetricData",
        time=at(minutes),
        tags={"ai.cloud.roleInstance": instance},
        metrics=[{"name": name, "value": total, "count": n, "min": 0, "max": most}],
        properties=dict(properties),
    )


def told(minutes: float, message: str, *, instance: str, **properties: str) -> dict[str, Any]:
    """What the plan makes of an event."""
    return envelope(
        "MessageData",
        time=at(minutes),
        tags={"ai.cloud.roleInstance": instance},
        message=message,
        properties={f"{plan.PREFIX}{name}": value for name, value in properties.items()},
    )


@pytest.fixture(scope="module")
def emulator(emulators: EmulatorHost, tmp_path_factory: pytest.TempPathFactory) -> Emulator:
    """Holds ordinary requests, a slow one for each cause, and what the plan and the instances tell."""
    running = emulators.start(tmp_path_factory.mktemp("telemetry") / "data")
    warm = {names.FAAS_NAME: "shop/recommend", names.OUTCOME: "ok", names.VARIANT: "blend"}
    heard = {names.VARIANT: "blend", names.MODEL_VERSION: "v1", names.EVENT_KIND: "click"}
    started = {
        names.PROCESS: "p2",
        names.CAUSE: "deployment",
        names.DRIVER: "request",
        names.MODEL_VERSION: "v2",
    }
    answer = running.track(
        *(answered(minutes=1, rate=10) for _ in range(10)),
        answered(minutes=2, duration_ms=75, state_ms=67.0, rate=50, trace="slow store"),
        answered(minutes=2, duration_ms=45, queue_ms=36.0, properties={names.KEPT: "slow"}),
        answered(
            minutes=2,
            duration_ms=325,
            startup_ms=315.0,
            wait_ms=315.0,
            properties={names.IMPACTED: "True", names.MODEL_VERSION: "v2"},
        ),
        answered(minutes=5, duration_ms=1025, queue_ms=1016.0),
        request("shed", minutes=6, duration_ms=1, properties={names.SHED_REASON: "concurrency"}),
        request("failed", minutes=6, duration_ms=1, properties={names.ERROR: "RuntimeError"}),
        sampled(names.LOOP_LAG, minutes=6.2, total=3, n=60, most=3.0),
        sampled(names.CORES, total=60, n=60, most=1),
        sampled(names.MEM_LIMIT, total=60 * 2**30, n=60, most=2**30),
        sampled(names.IN_FLIGHT_NOW, total=15, n=60, most=4),
        sampled(names.INVOKE_DURATION, total=1.5, n=100, most=0.3, properties=warm),
        sampled(names.FEEDBACK_GAIN, total=1.5, n=2, most=1, properties=heard | {names.FOLLOWED: "listed"}),
        sampled(names.FEEDBACK_GAIN, total=0, n=6, properties=heard | {names.FOLLOWED: "not_listed"}),
        sampled(plan.ALLOCATED_S, total=1, n=1, instance="I1", properties={"plan.class": "idle"}),
        sampled(plan.ALLOCATED_S, total=0.5, n=1, instance="I2", properties={"plan.class": "idle"}),
        span(names.KIND_COLD_START, names.COLD_START, minutes=1.5, trace="cold", properties=started),
        span(names.KIND_COLD_START_PHASE, "interpreter", minutes=1.5, duration_ms=100, trace="cold"),
        span(
            names.KIND_SHADOW,
            names.SHADOW,
            minutes=2,
            rate=25,
            properties={names.VARIANT: "teacher"},
            shadow_overlap=0.4,
        ),
        told(7, "I2 is ready", instance="I2", event="state", **{"from": "starting", "to": "active"}, ready_s="2.5"),
        told(8, "add an instance", instance="plan", event="decision", action="add", demand="12.5", n_wanted="3"),
        told(1, "the plan has started", instance="plan", event="started", plan='{"sku": "EP1"}'),
        told(9, "I2 has ended", instance="I2", event="ended", lifetime_s="61.5"),
        envelope(
            time=at(2),
            tags={"ai.cloud.roleInstance": "instance-1", "ai.operation.id": "slow store"},
            name="POST /api/recommend",
            sample_rate=50,
            properties={names.FAAS_NAME: "shop/recommend"},
        ),
        envelope(time=at(2), name="POST /api/recommend", measurements={"held_ms": 525.0}),
    )  # fmt: skip
    assert answer.status_code == 200, answer.text
    return running


def test_time_over_the_slo_goes_to_what_caused_it(emulator: Emulator) -> None:
    rows = answers(emulator, "tail_causes")

    assert {row["cause"]: (round(row["over_ms"]), row["n_requests"]) for row in rows} == {
        "contention": (1000, 1),
        "cold": (800, 2),
        "state": (100, 2),
        "queue": (20, 1),
        "compute": (0, 0),
        "other": (0, 0),
    }
    assert rows[0]["cause"] == "contention"
    others = answers(emulator, "tail_causes", variant="no such")
    assert {row["cause"]: row["over_ms"] for row in others if row["over_ms"]} == {"cold": 500}


def test_held_requests_are_those_that_waited_for_an_instance(emulator: Emulator) -> None:
    assert answers(emulator, "held", interval=HOUR) == [
        {"interval_start": START, "n_held": 1, "n_held_over": 1, "wait_ms": 525.0}
    ]


def test_changes_of_models_deployments_and_scale(emulator: Emulator) -> None:
    rows = answers(emulator, "changes")

    assert [(row["at"], row["change"], row["instance"]) for row in rows] == [
        (at(8), "scale_out", ""),
        (at(2), "model", ""),
        (at(1.5), "deployment", "instance-1"),
        (at(1), "model", ""),
    ]
    assert rows[1]["what"] == "models v2 answer"


def test_coverage_tells_what_was_kept_of_what_happened(emulator: Emulator) -> None:
    [row] = answers(emulator, "coverage")

    assert {name: set(json.loads(row.pop(name))) for name in ("variants", "versions")} == {
        "variants": {"blend", ""},
        "versions": {"v1", "v2", ""},
    }
    assert row == {
        "oldest": at(1),
        "newest": at(6),
        "n_spans": 16,
        "n_stood_for": 107,
        "n_measured": 100,
        "n_host_requests": 2,
    }


def test_latency_by_variant_and_version(emulator: Emulator) -> None:
    rows = answers(emulator, "latency_by_variant")

    assert {(row["variant"], row["version"], row["reason"]) for row in rows} == {
        ("blend", "v1", "default"),
        ("blend", "v2", "default"),
    }
    assert sum(row["n_requests"] for row in rows) == 105
    assert all(row["above_ms"] < row["up_to_ms"] for row in rows)


def test_phases_of_the_median_and_of_the_slowest(emulator: Emulator) -> None:
    first, *_, last = answers(emulator, "phases_by_latency")

    assert (first["n_requests"], first["state_ms"], first["queue_ms"], first["n_impacted"]) == (100, 2, 1, 0)
    assert (last["n_requests"], last["queue_ms"]) == (1, 1016)
    [cold] = answers(emulator, "phases_by_latency", version="v2")
    assert (cold["startup_ms"], cold["n_impacted"]) == (315, 1)


def test_slow_requests_of_a_region(emulator: Emulator) -> None:
    rows = answers(emulator, "slow_requests", least_ms=50.0, most_ms=400.0)

    assert [(row["duration_ms"], row["trace"], row["weight"], row["is_impacted"]) for row in rows] == [
        (325, "t", 1, True),
        (75, "slow store", 2, False),
    ]
    assert (rows[0]["wait_ms"], rows[1]["state_ms"], rows[1]["batch_size"]) == (315, 67, 4)


def test_measured_counts_by_outcome_and_variant(emulator: Emulator) -> None:
    assert answers(emulator, "measured", interval=HOUR) == [
        {
            "interval_start": START,
            "function_name": "recommend",
            "outcome": "ok",
            "variant": "blend",
            "n_requests": 100,
            "total_ms": 1500.0,
            "longest_ms": 300.0,
        }
    ]


def test_instances_by_their_heartbeats(emulator: Emulator) -> None:
    assert answers(emulator, "instances") == [
        {
            "instance": "instance-1",
            "first_seen": at(3),
            "last_seen": at(3),
            "n_seconds": 60,
            "cores": 1.0,
            "memory_limit_mib": 1024.0,
        }
    ]


def test_states_of_instances_as_the_plan_tells(emulator: Emulator) -> None:
    ready, ended = answers(emulator, "instance_states")

    assert (ready["instance"], ready["from_state"], ready["to_state"], ready["ready_s"]) == (
        "I2",
        "starting",
        "active",
        2.5,
    )
    assert (ended["to_state"], ended["lifetime_s"], ended["ready_s"]) == ("ended", 61.5, None)


def test_scale_decisions_and_their_numbers(emulator: Emulator) -> None:
    [row] = answers(emulator, "scale_decisions")

    assert (row["action"], row["demand"], row["n_wanted"], row["n_held"]) == ("add", 12.5, 3.0, None)


def test_settings_that_the_plan_has_started_with(emulator: Emulator) -> None:
    assert answers(emulator, "plan_settings") == [{"at": at(1), "settings": '{"sku": "EP1"}'}]


def test_allocated_seconds_by_class(emulator: Emulator) -> None:
    assert answers(emulator, "allocation", interval=timedelta(seconds=30)) == [
        {"interval_start": at(3), "class": "idle", "allocated_s": 1.5, "n_instances": 0.05}
    ]


def test_observed_seconds_where_no_plan_tells(emulator: Emulator) -> None:
    assert answers(emulator, "allocation_observed", interval=timedelta(minutes=1)) == [
        {"interval_start": at(3), "instance": "instance-1", "observed_s": 60.0, "busy_s": 15.0}
    ]


def test_cold_start_impact_and_budget(emulator: Emulator) -> None:
    assert answers(emulator, "cold_start_impact", interval=HOUR) == [
        {
            "interval_start": START,
            "n_requests": 107,
            "n_cold_starts": 1,
            "n_triggered": 1,
            "n_impacted": 2,
            "wait_ms": 840.0,
            "n_impacted_over": 2,
            "n_bad": 8,
        }
    ]


def test_cold_start_phases_summed_up(emulator: Emulator) -> None:
    assert answers(emulator, "cold_start_phase_summary", cause_name="deployment") == [
        {"phase": "interpreter", "n_starts": 1, "median_after_ms": 0.0, "median_ms": 100.0, "p95_ms": 100.0}
    ]
    assert answers(emulator, "cold_start_phase_summary", cause_name="first") == []


def test_latency_against_in_flight(emulator: Emulator) -> None:
    [row] = answers(emulator, "in_flight_latency", interval=HOUR)

    assert (row["instance"], row["n_requests"], row["mean_in_flight"], row["limit"]) == (
        "instance-1",
        105,
        3,
        64,
    )
    assert (row["p50_ms"], row["p99_ms"]) == (pytest.approx(10, rel=0.05), pytest.approx(325, rel=0.05))


def test_batches_and_why(emulator: Emulator) -> None:
    [row] = answers(emulator, "batches")

    assert (row["variant"], row["dispatch"], row["batch_size"], row["n_requests"]) == (
        "blend",
        "idle",
        4,
        105,
    )
    assert row["mean_infer_ms"] == pytest.approx(4)


def test_refusals_and_their_reasons(emulator: Emulator) -> None:
    rows = answers(emulator, "refusals")

    assert [(row["outcome"], row["reason"], row["n_requests"]) for row in rows] == [
        ("failed", "RuntimeError", 1),
        ("shed", "concurrency", 1),
    ]


def test_work_of_a_variant_counts_its_share_of_the_batch(emulator: Emulator) -> None:
    first, second = answers(emulator, "variant_work")

    assert (first["version"], first["n_requests"], first["compute_ms"]) == ("v1", 104, 104 * (4 / 4 + 1 + 1))
    assert (second["version"], second["infer_ms"]) == ("v2", 4)


def test_feedback_on_lists(emulator: Emulator) -> None:
    rows = answers(emulator, "feedback", variant="blend")

    assert [
        (row["version"], row["event_kind"], row["followed"], row["n_events"], row["gain"]) for row in rows
    ] == [
        ("v1", "click", "listed", 2, 1.5),
        ("v1", "click", "not_listed", 6, 0.0),
    ]


def test_shadow_overlap(emulator: Emulator) -> None:
    [row] = answers(emulator, "shadow")

    assert (row["variant"], row["n_compared"], row["mean_overlap"]) == ("teacher", 4, 0.4)


def test_trace_holds_the_host_and_the_app(emulator: Emulator) -> None:
    rows = answers(emulator, "trace", operation_id="slow store")

    assert {(row["span_kind"], row["name"]) for row in rows} == {
        ("host", "POST /api/recommend"),
        ("request", "recommend"),
    }
    [app] = [row for row in rows if row["span_kind"] == "request"]
    assert (app["process"], app["outcome"]) == ("p1", "ok")
    assert '"state_ms":67' in app["measurements"].replace(" ", "")
