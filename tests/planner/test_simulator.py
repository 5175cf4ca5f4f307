"""What a simulated plan does; `test_oracles` says whether its figures are right."""

import math
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from planner.allocation import AllocationLedger
from planner.model import ColdStartModel, IdleSlowdown, InstanceModel, VariantModel
from planner.plans import SKUS, PremiumPlan
from planner.scale_rules import ScaleSettings
from planner.simulation.chance import keys_of, uniform
from planner.simulator import (
    Estimate,
    PerRequestPlan,
    ServiceSettings,
    Simulated,
    Simulation,
    estimate,
    replicate,
    simulate,
)

STUDENT = VariantModel(
    name="student",
    ndcg_10=0.09,
    batch_sizes=(1, 8, 32),
    run_s=((0.003, 0.004, 0.006), (0.007, 0.008, 0.012), (0.02, 0.022, 0.03)),
)
COUNTS = VariantModel(name="counts", ndcg_10=0.07, batch_sizes=(1, 32), run_s=((0.0001,), (0.0005,)))
INSTANCE = InstanceModel(
    sku="EP1",
    overhead_s=(0.00015, 0.0002, 0.0004),
    variants=(STUDENT, COUNTS),
    cold_start=ColdStartModel(ready_s=(1.0, 1.5, 3.0)),
    concurrency_limit=64,
    max_batch=32,
    network_s=(0.0005,),
)
QUICK_SCALE = ScaleSettings(idle_s=8, scale_in_after_s=5, scale_in_every_s=1)
"Everything that the rules can do, within a minute."


def plan(**limits: int) -> PremiumPlan:
    return PremiumPlan(sku=SKUS["EP1"], **({"pre_warmed": 1, "max_burst": 8} | limits))  # type: ignore[arg-type]


def arrivals(*phases: tuple[float, float], seed: int = 1) -> NDArray[np.float64]:
    """Poisson arrivals in phases of (requests a second, seconds)."""
    rng, start_s, parts = np.random.default_rng(seed), 0.0, []
    for rate_per_s, length_s in phases:
        parts.append(start_s + np.sort(rng.random(rng.poisson(rate_per_s * length_s))) * length_s)
        start_s += length_s
    return np.concatenate(parts)


BURSTS = arrivals((20, 10), (900, 10), (5, 25), (600, 5), (0, 20), (50, 10))


def figures(simulated: Simulated) -> dict[str, object]:
    return {
        name: getattr(simulated, name)
        for name in Simulated.__slots__
        if name not in ("latency_s", "service_s")
    }


def test_same_seed_gives_the_same_figures_and_another_one_others() -> None:
    first, again, other = (simulate(BURSTS, plan=plan(), instance=INSTANCE, seed=seed) for seed in (3, 3, 4))

    assert figures(first) == figures(again)
    assert first.p99_s != other.p99_s


@pytest.mark.parametrize("limits", [
    {}, {"pre_warmed": 0}, {"pre_warmed": 2, "always_ready": 2}, {"max_burst": 3}, {"scale_limit": 2},
])  # fmt: skip
def test_rules_in_machine_code_decide_as_the_rules_themselves_do(limits: dict[str, int]) -> None:
    skipping, asking = (
        Simulation(BURSTS, plan=plan(**limits), instance=INSTANCE, scale=QUICK_SCALE, duration_s=90)
        for _ in range(2)
    )
    skipping.run()
    asking.run(asks_rules=True)

    assert skipping.fleet is not None
    assert asking.fleet is not None
    assert skipping.fleet.decisions == asking.fleet.decisions
    assert {"add", "remove"} <= {decision.action for _, decision in skipping.fleet.decisions}
    assert skipping.fleet.rules.memory == asking.fleet.rules.memory
    assert figures(skipping.result()) == figures(asking.result())


@pytest.mark.parametrize("limits", [{}, {"pre_warmed": 0}, {"always_ready": 3, "pre_warmed": 2}])
def test_allocated_seconds_are_those_of_the_ledger(limits: dict[str, int]) -> None:
    always_ready = limits.get("always_ready", 1)
    simulation = Simulation(BURSTS, plan=plan(**limits), instance=INSTANCE, scale=QUICK_SCALE, duration_s=80)
    fleet, ledger = simulation.fleet, AllocationLedger(always_ready)
    assert fleet is not None
    ledger.observe(0.0, fleet.observe())

    simulation.run(on_event=lambda now_s: ledger.observe(now_s, fleet.observe()) if now_s <= 80 else None)
    ledger.observe(80.0, [])

    allocated_s = simulation.result().allocated_s
    assert {kind: seconds for kind, seconds in allocated_s.items() if seconds} == pytest.approx(
        {kind: seconds for kind, seconds in ledger.total_s.items() if seconds}, abs=1e-6
    )
    assert set(allocated_s) == {"starting", "pre_warmed", "active", "idle", "burst", "draining"}


def test_every_request_is_answered_or_shed() -> None:
    found = simulate(BURSTS, plan=plan(), instance=INSTANCE, keeps_latency=True)
    assert found.latency_s is not None

    assert found.n == len(BURSTS)
    assert found.shed_share == pytest.approx(np.isnan(found.latency_s).mean())
    assert sum(found.served_share.values()) == pytest.approx(1)
    assert found.goodput_per_s * found.duration_s == pytest.approx(found.slo_share * found.n)


def test_no_answer_is_faster_than_the_fastest() -> None:
    found = simulate(BURSTS, plan=plan(), instance=INSTANCE, keeps_latency=True)

    assert np.nanmin(found.latency_s) >= INSTANCE.fastest_s  # type: ignore[arg-type]


def test_lone_requests_take_overhead_run_and_network() -> None:
    instance = replace(
        INSTANCE, overhead_s=(0.0002,), variants=(replace(STUDENT, batch_sizes=(1,), run_s=((0.004,),)),)
    )
    found = simulate(np.arange(10.0), plan=plan(), instance=instance)

    assert found.p50_s == pytest.approx(0.0002 + 0.004 + 0.0005)
    assert found.batch_size == 1


def test_request_takes_longer_the_longer_its_instance_was_idle() -> None:
    instance = replace(
        INSTANCE,
        overhead_s=(0.0002,),
        variants=(replace(STUDENT, batch_sizes=(1,), run_s=((0.004,),)),),
        idle_slowdown=(
            IdleSlowdown(gap_s=0.01),
            IdleSlowdown(gap_s=0.11, overhead=3, run=2, network=4),
        ),
    )
    long_s, way_s = 3 * 0.0002 + 2 * 0.004, 4 * 0.0005
    found = simulate(
        [1.0, 2.0, 2.0 + long_s + 0.06],
        plan=plan(always_ready=1, pre_warmed=0, max_burst=1),
        instance=instance,
        keeps_latency=True,
    )

    halfway_s = 2 * 0.0002 + 1.5 * 0.004 + 2.5 * 0.0005
    assert found.latency_s == pytest.approx([long_s + way_s, long_s + way_s, halfway_s])


def test_request_that_finds_another_is_slowed_down_by_waiting_only() -> None:
    changes = {"overhead_s": (0.0,), "variants": (replace(STUDENT, batch_sizes=(1,), run_s=((0.004,),)),)}
    slowdown = (IdleSlowdown(gap_s=0.0), IdleSlowdown(gap_s=0.1, run=2))
    found = simulate(
        [1.0, 1.001],
        plan=plan(always_ready=1, pre_warmed=0, max_burst=1),
        instance=replace(INSTANCE, **changes, network_s=(0.0,), idle_slowdown=slowdown),  # type: ignore[arg-type]
        keeps_latency=True,
    )

    assert found.latency_s == pytest.approx([0.008, 0.007 + 0.004])


def test_instance_that_has_just_started_was_not_idle() -> None:
    slow_after_pauses = (IdleSlowdown(gap_s=0.0), IdleSlowdown(gap_s=1.0, run=10))
    changes = {
        "cold_start": ColdStartModel(ready_s=(1.0,)),
        "variants": (replace(STUDENT, run_s=((0.1,),) * 3),),
    }
    with_slowdown, without = (
        simulate(
            [5.0],
            plan=PerRequestPlan(),
            instance=replace(INSTANCE, **changes, idle_slowdown=slowdown),  # type: ignore[arg-type]
        )
        for slowdown in (slow_after_pauses, ())
    )

    assert with_slowdown.p50_s == without.p50_s


def test_slowdown_of_one_changes_nothing() -> None:
    plain, with_ones = (
        simulate(BURSTS, plan=plan(), instance=replace(INSTANCE, idle_slowdown=slowdown))
        for slowdown in ((), (IdleSlowdown(gap_s=0.0), IdleSlowdown(gap_s=1.0)))
    )

    assert figures(plain) == figures(with_ones)


def test_quiet_plan_is_allocated_for_all_the_time() -> None:
    found = simulate([0.0], plan=plan(always_ready=2, pre_warmed=0), instance=INSTANCE, duration_s=100)

    assert found.total_allocated_s == pytest.approx(200)
    assert found.allocated_s["idle"] > 199.9


def test_burst_without_a_buffer_waits_for_cold_starts_and_with_one_for_none() -> None:
    calm_then_burst = arrivals((20, 10), (900, 2))
    without, with_buffer = (
        simulate(calm_then_burst, plan=plan(pre_warmed=n), instance=INSTANCE, brownout=False) for n in (0, 2)
    )

    assert without.cold_starts >= 1
    assert without.impacted_share > without.cold_share > 0
    assert with_buffer.cold_starts < without.cold_starts
    assert with_buffer.p99_s < without.p99_s


def test_requests_that_wait_for_an_instance_wait_as_long_as_it_starts() -> None:
    instance = replace(INSTANCE, cold_start=ColdStartModel(ready_s=(2.5,)))
    found = simulate(
        arrivals((20, 5), (900, 2)),
        plan=plan(pre_warmed=0, max_burst=2),
        instance=instance,
        brownout=False,
        keeps_latency=True,
    )

    assert found.n_starts == found.cold_starts == 1
    assert 2.0 < np.nanmax(found.latency_s) < 3.0  # type: ignore[arg-type]


def test_busy_model_batches_those_who_wait() -> None:
    calm, busy = (
        simulate(
            arrivals((rate, 20)), plan=plan(max_burst=1, pre_warmed=0), instance=INSTANCE, brownout=False
        )
        for rate in (10, 600)
    )

    assert calm.batch_size < 1.2
    assert busy.batch_size > 2


def test_no_batch_is_larger_than_allowed() -> None:
    found = simulate(
        arrivals((200, 20)), plan=plan(max_burst=1, pre_warmed=0), instance=replace(INSTANCE, max_batch=1)
    )

    assert found.batch_size == 1


def test_refusing_keeps_what_is_admitted_fast() -> None:
    alone = replace(INSTANCE, variants=(STUDENT,))
    load, one = arrivals((2500, 10)), plan(max_burst=1, pre_warmed=0)
    refusing = simulate(load, plan=one, instance=alone)
    patient = simulate(
        load, plan=one, instance=replace(alone, concurrency_limit=10**6), service=ServiceSettings.plain()
    )

    assert refusing.shed_share > 0.3
    assert patient.shed_share == 0
    assert refusing.p99_s < patient.p99_s / 10


def test_pressure_brings_cheaper_rungs_and_more_goodput() -> None:
    load = arrivals((1500, 20))
    with_rungs, without = (
        simulate(load, plan=plan(max_burst=1, pre_warmed=0), instance=INSTANCE, brownout=brownout)
        for brownout in (True, False)
    )

    assert without.served_share == {"student": 1, "counts": 0}
    assert with_rungs.served_share["counts"] > 0.2
    assert with_rungs.shed_share < without.shed_share
    assert with_rungs.goodput_per_s > without.goodput_per_s
    assert with_rungs.ndcg_10 == pytest.approx(
        0.09 * with_rungs.served_share["student"] + 0.07 * with_rungs.served_share["counts"]
    )


def test_calm_load_gets_the_best_rung() -> None:
    assert simulate(arrivals((50, 30)), plan=plan(), instance=INSTANCE).served_share["student"] == 1


def test_unknown_quality_stays_unknown() -> None:
    instance = replace(INSTANCE, variants=(replace(STUDENT, ndcg_10=None), COUNTS))

    assert math.isnan(simulate([0.0], plan=plan(), instance=instance).ndcg_10)


def test_instances_beyond_the_minimum_go_once_they_are_not_needed() -> None:
    found = Simulation(
        arrivals((20, 5), (700, 10)), plan=plan(), instance=INSTANCE, scale=QUICK_SCALE, duration_s=120
    )
    found.run()
    assert found.fleet is not None

    assert max(found.fleet.rules.limits.always_ready, 1) == len(found.fleet.instances)
    assert found.result().n_starts > 1


def test_requests_of_an_instance_that_is_removed_while_it_starts_go_elsewhere() -> None:
    slow = replace(STUDENT, batch_sizes=(1,), run_s=((1.0,),))
    instance = replace(
        INSTANCE, variants=(slow,), max_batch=1, cold_start=ColdStartModel(ready_s=(60.0,)), network_s=(0.0,)
    )
    found = simulate(
        [0.0] * 6 + [3.5, 3.6],
        plan=plan(pre_warmed=0, max_burst=2),
        instance=instance,
        scale=QUICK_SCALE,
        service=ServiceSettings.plain(),
        keeps_latency=True,
    )
    assert found.latency_s is not None

    assert found.n_starts == 1
    assert found.cold_starts == 0
    assert found.impacted_share == 2 / 8
    assert 5 < found.latency_s[6] < found.latency_s[7] < 15


def test_larger_size_runs_a_process_for_each_core_and_says_so() -> None:
    load = arrivals((500, 20))
    small, large = (
        simulate(
            load,
            plan=PremiumPlan(sku=SKUS[sku], pre_warmed=0, max_burst=1),
            instance=INSTANCE,
            brownout=False,
        )
        for sku in ("EP1", "EP3")
    )

    assert small.extrapolated == ()
    assert "EP3 was not measured: 4 worker processes" in large.extrapolated[0]
    assert large.p99_s < small.p99_s


def test_smaller_size_than_the_measured_one_is_refused() -> None:
    with pytest.raises(ValueError, match="measured on EP2, which says nothing about the smaller EP1"):
        simulate([0.0], plan=plan(), instance=replace(INSTANCE, sku="EP2"))


def test_batches_beyond_the_measured_ones_are_said_to_be_extrapolated() -> None:
    found = simulate([0.0], plan=plan(), instance=replace(INSTANCE, max_batch=64))

    assert found.extrapolated == ("runs of more than 32 up to 64 were not measured",)


def test_what_comes_after_the_duration_is_left_out() -> None:
    found = simulate([0.0, 1.0, 2.0, 3.0], plan=plan(), instance=INSTANCE, duration_s=2.0)

    assert found.n == 3
    assert found.duration_s == 2.0


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"arrivals_s": []}, "no arrivals to simulate"),
        ({"arrivals_s": [1.0, 0.5]}, "arrival 1 at 0.5 s is before the one at 1 s; sort them"),
        ({"arrivals_s": [-1.0]}, "from 0 s on"),
        ({"arrivals_s": [0.0, float("nan")]}, "finite"),
        ({"slo_s": 0.0}, "an SLO of 0 s"),
        ({"duration_s": -1.0}, "a duration of -1 s"),
    ],
)
def test_bad_input_is_refused(changes: dict[str, object], said: str) -> None:
    settings = {"arrivals_s": [0.0], "plan": plan(), "instance": INSTANCE} | changes
    with pytest.raises(ValueError, match=said):
        simulate(settings.pop("arrivals_s"), **settings)  # type: ignore[arg-type]


def test_plan_by_the_request_starts_an_instance_where_none_is_idle() -> None:
    instance = replace(INSTANCE, cold_start=ColdStartModel(ready_s=(1.0,)))
    found = simulate(
        [0.0, 0.1, 5.0, 5.001, 700.0],
        plan=PerRequestPlan(expiry_s=600),
        instance=instance,
        keeps_latency=True,
    )
    assert found.latency_s is not None

    assert found.cold_starts == found.n_starts == 3
    assert list(found.latency_s > 1) == [True, True, False, False, True]


def test_instances_by_the_request_end_after_their_expiry() -> None:
    instance = replace(INSTANCE, cold_start=ColdStartModel(ready_s=(1.0,)))
    found = simulate([0.0], plan=PerRequestPlan(expiry_s=60), instance=instance, duration_s=1000)

    assert found.allocated_s["starting"] == 1
    assert found.allocated_s["idle"] == pytest.approx(60)
    assert found.total_allocated_s == pytest.approx(61, abs=0.02)


def test_kept_instances_are_there_for_good_and_come_first() -> None:
    found = simulate([1.0, 800.0], plan=PerRequestPlan(kept=1), instance=INSTANCE, duration_s=1000)

    assert found.cold_starts == 0
    assert found.total_allocated_s == pytest.approx(1000)


@pytest.mark.parametrize(("holds", "shed"), [(False, 0.5), (True, 0.0)])
def test_requests_beyond_the_most_instances_wait_or_are_refused(holds: bool, shed: float) -> None:
    limited = PerRequestPlan(kept=1, max_instances=1, holds=holds)

    assert simulate([1.0, 1.001], plan=limited, instance=INSTANCE).shed_share == shed


def test_concurrency_shares_an_instance() -> None:
    at_once = [1.0, 1.0001, 1.0002]
    alone, shared = (simulate(at_once, plan=PerRequestPlan(concurrency=n), instance=INSTANCE) for n in (1, 3))

    assert (alone.n_starts, shared.n_starts) == (3, 1)


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        ({"concurrency": 0}, "a concurrency of 0"),
        ({"max_instances": 0}, "at most 0 instances"),
        ({"kept": 5, "max_instances": 2}, "5 instances kept of at most 2"),
        ({"expiry_s": -1.0}, "an expiry after -1 s"),
    ],
)
def test_impossible_plans_by_the_request_are_refused(limits: dict[str, int], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        PerRequestPlan(**limits)


@pytest.mark.parametrize("settings", [{"deadline_s": 0.0}, {"answer_share": 1.5}, {"max_held": -1}])
def test_impossible_service_settings_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(settings))):
        ServiceSettings(**settings)  # type: ignore[arg-type]


def test_replication_gives_an_interval_of_every_figure() -> None:
    told: list[tuple[int, int]] = []
    found = replicate(
        lambda rng: np.cumsum(rng.exponential(0.01, 2000)),
        n_seeds=4,
        plan=plan(),
        instance=INSTANCE,
        on_done=lambda n_done, n_seeds: told.append((n_done, n_seeds)),
    )

    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert found["p99_s"].low < found["p99_s"].mean < found["p99_s"].high
    assert found.served_share["student"].mean == pytest.approx(1)
    assert found.allocated_s["active"].margin > 0


def test_one_seed_promises_nothing() -> None:
    assert replicate(BURSTS, n_seeds=1, plan=plan(), instance=INSTANCE)["p99_s"].margin == math.inf


def test_no_seed_is_refused() -> None:
    with pytest.raises(ValueError, match="0 seeds"):
        replicate(BURSTS, n_seeds=0, plan=plan(), instance=INSTANCE)


def test_interval_is_that_of_student() -> None:
    assert estimate([1.0, 2.0, 3.0]) == Estimate(2.0, pytest.approx(4.3027 / math.sqrt(3)))  # type: ignore[arg-type]
    assert estimate(list(range(61))).margin == pytest.approx(2.000298 * 17.75 / math.sqrt(61), rel=1e-3)


def test_requests_have_the_same_luck_in_every_plan() -> None:
    alone = replace(INSTANCE, variants=(replace(STUDENT, batch_sizes=(1,), run_s=((0.004,),)),))
    few, many = (
        simulate(np.arange(50.0), plan=plan(always_ready=n), instance=alone, keeps_latency=True).latency_s
        for n in (1, 4)
    )

    assert few == pytest.approx(many)


def test_chance_is_uniform_and_streams_are_strangers() -> None:
    keys = keys_of(np.random.default_rng(0))
    first, second = (np.array([uniform(keys, stream, i) for i in range(20_000)]) for stream in (0, 1))

    assert 0 <= first.min() < first.max() < 1
    assert np.histogram(first, 10)[0] == pytest.approx(2000, abs=180)
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.03
    assert abs(np.corrcoef(first[1:], first[:-1])[0, 1]) < 0.03
