"""The synthetic telemetry of instances: their lives as the plan tells them, and what they sample of themselves."""

import json
from dataclasses import dataclass
from typing import Any

from emulator.premium_plan import names as plan
from planner.allocation import AllocationClass
from recserve.telemetry import names

BURST_S = 1200.0
N_ALWAYS_READY = 2
OLD, YOUNG = "2026-11-06", "2026-11-20"
"Versions of the models, before and after the deployment."
MIB = 2**20
SETUP = {"sku": {"name": "EP1"}, "always_ready": N_ALWAYS_READY, "pre_warmed": 1, "max_burst": 20}


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """One instance, with one process, from allocation to end; seconds since the store's beginning."""

    instance: str
    started_s: float
    ended_s: float
    ready_s: float
    "From allocation to readiness."
    cause: str
    driver: str
    version: str
    role: str = "active"
    is_always_ready: bool = False

    def takes_requests_at(self, at_s: float) -> bool:
        return self.role == "active" and self.started_s <= at_s < self.ended_s

    def class_at(self, at_s: float) -> AllocationClass:
        if at_s < self.started_s + self.ready_s:
            return "starting"
        if self.role == "pre_warmed":
            return "pre_warmed"
        return "active" if self.is_always_ready else "burst"


def lives_of(total_s: float) -> list[Life]:
    """The instances of a store: two that are always ready, replaced by a deployment, one pre-warmed, and bursts."""
    deployed_s = _minute(0.65 * total_s)
    overload_s, incident_s = _minute(0.55 * total_s), _minute(0.88 * total_s)
    bursts_s = [_minute(total_s * (k + 0.4) / 12) for k in range(12)]
    # Cause, start, end, seconds to readiness.
    spans = [
        *[("first", 0.0, deployed_s, 0.9)] * N_ALWAYS_READY,
        *[("deployment", deployed_s, total_s, 1.0)] * N_ALWAYS_READY,
        *[("scale_out", begun_s, begun_s + BURST_S, 2.4 - 0.1 * k) for k, begun_s in enumerate(bursts_s)],
        ("scale_out", overload_s, overload_s + BURST_S, 1.8),
        *[("scale_out", incident_s, incident_s + BURST_S, 6.0)] * 3,
    ]
    lives = [
        Life(
            instance=f"I{number}",
            started_s=started_s,
            ended_s=min(ended_s, total_s),
            ready_s=ready_s,
            cause=cause,
            driver="request" if number % 3 or ready_s > 5 else "warmup",
            version=OLD if started_s < deployed_s else YOUNG,
            is_always_ready=cause != "scale_out",
        )
        for number, (cause, started_s, ended_s, ready_s) in enumerate(spans, 1)
    ]
    pre_warmed = Life(
        instance=f"I{len(lives) + 1}",
        started_s=_minute(0.1 * total_s),
        ended_s=_minute(0.9 * total_s),
        ready_s=1.1,
        cause="scale_out",
        driver="warmup",
        version=OLD,
        role="pre_warmed",
    )
    return [*lives, pre_warmed]


def _minute(at_s: float) -> float:
    return at_s // 60 * 60.0


def metric_rows(n_hours: int) -> list[str]:
    """SQL of what processes count and sample, a row a minute; over the requests that they had."""
    weight = "CASE WHEN kept = 'rate' THEN 4 ELSE 1 END"
    counted = f"""
        SELECT minute * 60.0 + 59 AS at_s, '{names.INVOKE_DURATION}' AS Name, instance AS AppRoleInstance,
            sum(duration_ms * {weight}) / 1e3 AS Sum, min(duration_ms) / 1e3 AS Min, max(duration_ms) / 1e3 AS Max,
            CAST(sum({weight}) AS INTEGER) AS ItemCount, 520.0 AS _BilledSize,
            json_object('faas.name', 'recserve/' || name, 'recserve.outcome', outcome, 'recserve.variant', variant)
                AS Properties
        FROM requests GROUP BY minute, instance, name, outcome, variant"""
    # One event in five comes to a process that has not shown its user a list.
    fed_back = f"""
        SELECT minute * 60.0 + 59 AS at_s, '{names.FEEDBACK_GAIN}' AS Name, instance AS AppRoleInstance,
            CASE followed WHEN 'listed' THEN sum({weight} / log2(2 + i % 10)) ELSE 0.0 END AS Sum,
            0.0 AS Min, 1.0 AS Max, CAST(sum({weight}) AS INTEGER) AS ItemCount, 520.0 AS _BilledSize,
            json_object('recserve.variant', rung, 'recserve.model_version',
                CASE WHEN rung = '' THEN '' WHEN is_second THEN '{YOUNG}' ELSE '{OLD}' END,
                'recserve.event_kind', CASE WHEN i % 5 = 0 THEN 'click' ELSE 'view' END,
                'recserve.followed', followed) AS Properties
        FROM (
            SELECT * REPLACE (CASE WHEN followed = 'unknown' THEN '' ELSE rung END AS rung) FROM (
                SELECT *, CASE WHEN v < 0.2 THEN 'unknown'
                    WHEN z < CASE rung WHEN 'student' THEN 0.16 WHEN 'int8' THEN 0.15 WHEN 'counts' THEN 0.13
                        ELSE 0.06 END THEN 'listed' ELSE 'not_listed' END AS followed
                FROM requests WHERE is_events AND outcome = 'ok'))
        GROUP BY minute, instance, rung, is_second, i % 5 = 0, followed"""
    return [counted, fed_back, *(_samples(*sample, n_hours=n_hours) for sample in _sampled(n_hours))]


def _sampled(n_hours: int) -> list[tuple[str, str, str, str]]:
    """Metric, and SQL of the mean, the least and the most of its samples in a minute of one instance."""
    stall_minute = int(0.97 * n_hours * 60)
    is_stall = f"(minute = {stall_minute} AND max(stall_ms) > 0)"
    flown, load = "avg(in_flight)", "least(0.95, 0.12 + avg(in_flight) / 40.0)"
    return [
        (names.IN_FLIGHT_NOW, f"{flown} / 4", "0", "max(in_flight)"),
        (names.LIMIT_NOW, "64 - 24 * max(is_overload::INTEGER)", "40", "64"),
        (names.QUEUE_LENGTH, f"{flown} / 8", "0", "max(in_flight) // 2"),
        (names.SHED_SHARE, "avg((outcome = 'shed')::INTEGER)", "0", "max((outcome = 'shed')::INTEGER)"),
        (names.CPU_USAGE, load, f"{load} * 0.3", f"least(1.0, {load} * 1.8)"),
        (names.CGROUP_CPU, f"{load} * 1.05", f"{load} * 0.3", f"least(1.0, {load} * 1.9)"),
        (names.CORES, "1", "1", "1"),
        (names.INFERENCE_THREADS, "1", "1", "1"),
        (names.THREADS, "24", "22", "26"),
        (names.THROTTLED, f"greatest(0, {load} - 0.6) / 4", "0", f"greatest(0, {load} - 0.4)"),
        (names.PRESSURE_CPU, f"{load} * 0.2", "0", load),
        (names.PRESSURE_MEMORY, "0", "0", "0"),
        (names.PRESSURE_IO, "0.01", "0", "0.1"),
        (names.PREEMPTIONS, f"120 * {load}", "4", f"900 * {load}"),
        (names.MEM_USAGE, f"{190 * MIB} + {40 * MIB} * {load}", str(180 * MIB), f"{260 * MIB}"),
        (names.MEM_LIMIT, str(3584 * MIB), str(3584 * MIB), str(3584 * MIB)),
        (
            names.LOOP_LAG,
            f"0.0008 + 0.004 * {load} + CASE WHEN {is_stall} THEN 4.0 / 60 ELSE 0 END",
            "0.0002",
            f"CASE WHEN {is_stall} THEN 4.0 ELSE 0.006 + 0.03 * {load} END",
        ),
    ]


def _samples(name: str, mean: str, least: str, most: str, *, n_hours: int) -> str:
    return f"""
        SELECT minute * 60.0 + 59 AS at_s, '{name}' AS Name, instance AS AppRoleInstance,
            60.0 * ({mean}) AS Sum, ({least})::DOUBLE AS Min, ({most})::DOUBLE AS Max, 60 AS ItemCount,
            420.0 AS _BilledSize, '{{}}'::JSON AS Properties
        FROM requests GROUP BY minute, instance"""


def platform_metrics(lives: list[Life], hour: int) -> list[str]:
    """SQL of the seconds that each instance was allocated, second by second."""
    selects = []
    for life in lives:
        first_s, last_s = max(life.started_s, hour * 3600.0), min(life.ended_s, hour * 3600.0 + 3600)
        if first_s >= last_s:
            continue
        ready_s = life.started_s + life.ready_s
        kind = life.class_at(ready_s)
        # Half of an always-ready instance's seconds are without a request at night, one in ten by day.
        idle = "second % 10 < 3" if life.is_always_ready else "false"
        selects.append(f"""
            SELECT second::DOUBLE AS at_s, '{plan.ALLOCATED_S}' AS Name, 1.0 AS Sum, 1.0 AS Min, 1.0 AS Max,
                1 AS ItemCount, '{life.instance}' AS AppRoleInstance, 380.0 AS _BilledSize,
                json_object('{plan.PREFIX}{plan.CLASS}', CASE WHEN second < {ready_s} THEN 'starting'
                    WHEN {idle} THEN 'idle' ELSE '{kind}' END) AS Properties
            FROM range({int(first_s)}, {int(last_s)}) AS seconds(second)""")
    return selects


def platform_traces(lives: list[Life], hour: int) -> list[str]:
    """SQL of what the plan tells of its instances and of its rules' decisions in this hour."""
    started = {plan.EVENT: plan.STARTED, "plan": json.dumps(SETUP)}
    told: list[tuple[float, str, str, dict[str, Any]]] = [
        (0.0, plan.PLATFORM, "the plan has started", started)
    ]
    for life in lives:
        n_active = sum(other.takes_requests_at(life.started_s) for other in lives)
        decision = {
            plan.EVENT: plan.DECISION, plan.INSTANCE: life.instance, plan.ACTION: "add", plan.ROLE: life.role,
            plan.REASON: "demand", plan.DEMAND: f"{12.0 + n_active:.1f}", plan.N_WANTED: str(n_active),
            plan.N_ACTIVE: str(n_active - 1), plan.N_PRE_WARMED: "1", plan.N_HELD: "0",
        }  # fmt: skip
        state = {
            plan.EVENT: plan.STATE,
            plan.INSTANCE: life.instance,
            plan.ROLE: life.role,
            plan.CAUSE: life.cause,
        }
        up = "pre_warmed" if life.role == "pre_warmed" else "active"
        if life.cause == "scale_out":
            message = f"add an instance: {n_active} are wanted, {n_active - 1} are there"
            told.append((life.started_s, plan.PLATFORM, message, decision))
            removal = decision | {plan.ACTION: "remove", plan.REASON: "low_demand"}
            message = f"remove {life.instance}: fewer than {n_active} instances are needed"
            told.append((life.ended_s - 6, life.instance, message, removal))
        told += [
            (life.started_s, life.instance, f"{life.instance} starts ({life.cause}) as {life.role}",
             state | {plan.TO: "starting"}),
            (life.started_s + life.ready_s, life.instance, f"{life.instance} is ready after {life.ready_s:.2f} s: {up}",
             state | {plan.FROM: "starting", plan.TO: up, plan.READY_S: f"{life.ready_s}",
                      plan.IN_STATE_S: f"{life.ready_s}"}),
            (life.ended_s - 5, life.instance, f"{life.instance} drains", state | {plan.FROM: up, plan.TO: "draining"}),
            (life.ended_s - 1, life.instance, f"{life.instance} has ended: stopped",
             {plan.EVENT: plan.ENDED, plan.INSTANCE: life.instance, plan.FROM: "draining", plan.REASON: "stopped",
              plan.LIFETIME_S: f"{life.ended_s - life.started_s}"}),
        ]  # fmt: skip
    return [
        _told(at_s, instance, message, properties)
        for at_s, instance, message, properties in told
        if hour * 3600 <= at_s < (hour + 1) * 3600
    ]


def _told(at_s: float, instance: str, message: str, properties: dict[str, str]) -> str:
    pairs = ", ".join(f"'{plan.PREFIX}{name}', '{value}'" for name, value in properties.items())
    return (
        f"SELECT {at_s}::DOUBLE AS at_s, '{message}' AS Message, 1 AS SeverityLevel, 1 AS ItemCount, "
        f"'{instance}' AS AppRoleInstance, 500.0 AS _BilledSize, json_object({pairs}) AS Properties"
    )
