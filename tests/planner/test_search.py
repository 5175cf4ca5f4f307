"""Search and choice on a slow service, so that a few requests a second need several instances."""

from dataclasses import replace

import numpy as np
import pytest

from planner.bounds import Unattainable, most_per_s, unloaded_s
from planner.choice import NoPlan, choose, pareto
from planner.evaluation import Candidate, Evaluation, Promise, evaluate
from planner.model import ColdStartModel, InstanceModel, VariantModel
from planner.naive import busiest_per_s, sized_for_peak, without_pre_warm
from planner.planning import plan_traffic
from planner.plans import SKUS, PremiumPlan
from planner.price_list import read_prices
from planner.schedule import schedule
from planner.search import Question, SearchSpace, ladders_of, search
from planner.simulator import simulate
from planner.traffic import parse_traffic

INSTANCE = InstanceModel(
    sku="EP1",
    overhead_s=(0.002,),
    variants=(
        VariantModel(name="student", ndcg_10=0.09, batch_sizes=(1,), run_s=((0.02, 0.025, 0.03),)),
        VariantModel(name="counts", ndcg_10=0.075, batch_sizes=(1,), run_s=((0.004, 0.006),)),
    ),
    cold_start=ColdStartModel(ready_s=(1.0, 2.0)),
    concurrency_limit=16,
    max_batch=1,
)
LADDER = ("student", "counts")
PRICES = read_prices("eastus")
ONE = PremiumPlan(sku=SKUS["EP1"], pre_warmed=0, max_burst=1)
TRAFFIC = parse_traffic("bursty:50/s,burst=4,calm=20s,spell=10s", duration_s=120)


def ask(*, slo_s: float = 0.1, quality: float = 0.0, factor: float = 1.0, **space: object) -> Question:
    defaults = {"ladders": ladders_of(LADDER), "most_always_ready": 6, "pre_warmed": (0, 1), "bursts": (4, 8)}
    return Question(
        arrivals_s=TRAFFIC.arrivals_s(seed=0, factor=factor),
        duration_s=TRAFFIC.duration_s,
        instances={"EP1": INSTANCE},
        prices=PRICES,
        promise=Promise(slo_s=slo_s, quality=quality),
        space=SearchSpace(**(defaults | space)),  # type: ignore[arg-type]
    )


@pytest.fixture(scope="module")
def evaluations() -> tuple[Evaluation, ...]:
    return search(ask(), n_processes=1).evaluations


def test_ladders_are_neighbouring_rungs() -> None:
    assert ladders_of("abc") == (("a",), ("a", "b"), ("a", "b", "c"), ("b",), ("b", "c"), ("c",))


def test_unloaded_latency_is_a_bound_of_the_simulation() -> None:
    alone_s = np.arange(0, 60, 0.5)
    bound_s = unloaded_s(replace(INSTANCE, variants=INSTANCE.variants[:1]), 99)
    simulated = simulate(alone_s, plan=ONE, instance=INSTANCE, slo_s=1.0, brownout=False)

    assert simulated.p99_s == pytest.approx(bound_s, rel=0.05)


def test_no_plan_answers_more_than_the_capacity_bound() -> None:
    bound_per_s = most_per_s(INSTANCE, "EP1")
    flood_s = np.linspace(0, 20, int(3 * bound_per_s * 20))
    simulated = simulate(flood_s, plan=ONE, instance=INSTANCE, slo_s=0.1, duration_s=20.0)

    assert (1 - simulated.shed_share) * simulated.n / 20 <= bound_per_s * 1.02
    assert most_per_s(INSTANCE, "EP2") == 2 * bound_per_s


def test_search_is_the_same_with_any_number_of_processes(evaluations: tuple[Evaluation, ...]) -> None:
    assert search(ask(), n_processes=2).evaluations == evaluations


def test_evaluations_come_cheapest_first(evaluations: tuple[Evaluation, ...]) -> None:
    costs = [each.rounded_usd for each in evaluations]

    assert costs == sorted(costs)


def test_plans_decided_without_a_simulation_are_what_a_simulation_says() -> None:
    question = ask(pre_warmed=(0, 1), bursts=(4, 8, 12))
    found = search(question, n_processes=1)

    assert found.n_simulated < len(found.evaluations)
    for each in found.evaluations[::3]:
        simulated = evaluate(
            each.candidate,
            question.arrivals_s,
            instance=INSTANCE,
            slo_s=question.promise.slo_s,
            duration_s=question.duration_s,
            prices=PRICES,
            seed=0,
        )
        assert simulated == each


def test_what_a_ceiling_leaves_out_is_dearer_than_the_ceiling(evaluations: tuple[Evaluation, ...]) -> None:
    ceiling_usd = 400.0
    within = search(replace(ask(), ceiling_usd=ceiling_usd), n_processes=1).evaluations

    left_out = {each.candidate for each in evaluations} - {each.candidate for each in within}
    assert left_out
    assert all(each.usd_per_month > ceiling_usd for each in evaluations if each.candidate in left_out)


def test_frontier_is_beaten_by_nothing(evaluations: tuple[Evaluation, ...]) -> None:
    frontier = pareto(evaluations)

    assert len(frontier) < len(evaluations)
    for kept in frontier:
        assert not any(
            other.rounded_usd < kept.rounded_usd
            and other.rounded_p99_s < kept.rounded_p99_s
            and other.quality > kept.quality
            and other.shed_share < kept.shed_share
            for other in evaluations
        )


def test_cheapest_keeps_the_promise_and_nothing_cheaper_does(evaluations: tuple[Evaluation, ...]) -> None:
    promise = Promise(slo_s=0.1, quality=0.085)
    choice = choose(evaluations, promise)

    assert choice.cheapest.keeps(promise)
    assert not any(
        each.keeps(promise) for each in evaluations if each.rounded_usd < choice.cheapest.rounded_usd
    )
    assert choice.down is not None
    assert not choice.down.keeps(promise)
    assert choice.up is None or choice.up.p99_s < choice.cheapest.p99_s


def test_plan_that_other_seeds_do_not_confirm_is_passed_over(evaluations: tuple[Evaluation, ...]) -> None:
    promise = Promise(slo_s=0.1, quality=0.085)
    first = choose(evaluations, promise).cheapest

    second = choose(evaluations, promise, confirm=lambda each: each is not first).cheapest

    assert second is not first
    assert second.keeps(promise)


def test_budget_that_pays_for_no_plan_names_the_price(evaluations: tuple[Evaluation, ...]) -> None:
    with pytest.raises(NoPlan, match=r"a budget of 160 USD a month does not pay for 99% .* raise --budget"):
        choose(evaluations, Promise(slo_s=0.1, quality=0.085), budget_usd=160)


def test_promise_that_nothing_keeps_names_what_comes_near(evaluations: tuple[Evaluation, ...]) -> None:
    with pytest.raises(NoPlan, match="the best keeps"):
        choose(evaluations, Promise(slo_s=0.1, share=1.1))
    with pytest.raises(NoPlan, match=r"no plan serves a quality of 0\.2000; the best serves"):
        choose(evaluations, Promise(slo_s=0.1, quality=0.2))


def test_slo_below_the_fastest_service_is_refused_with_the_bound() -> None:
    with pytest.raises(Unattainable, match=r"an SLO of 3 ms is below the fastest service: .* up to 7\.98 ms"):
        search(ask(slo_s=0.003), n_processes=1)


def test_rate_that_no_plan_carries_is_refused_with_the_highest() -> None:
    with pytest.raises(
        Unattainable, match="8 instances answer at most 1,143; lower the rate, raise --max-burst"
    ):
        search(ask(factor=40.0), n_processes=1)


def test_refused_requests_break_the_promise(evaluations: tuple[Evaluation, ...]) -> None:
    shedding = [each for each in evaluations if each.shed_share > 0.01]

    assert shedding
    assert not any(each.keeps(Promise(slo_s=0.1)) for each in shedding)


def test_naive_plans_keep_the_promise_at_no_lower_price() -> None:
    question = ask(quality=0.085)
    best = choose(search(question, n_processes=1).evaluations, question.promise).cheapest
    plain = without_pre_warm(question, sku="EP1", ladder=LADDER)
    peak = sized_for_peak(question, sku="EP1", ladder=LADDER)

    assert plain is not None
    assert peak is not None
    assert plain.candidate.plan.pre_warmed == 0
    assert peak.candidate.plan.max_burst == peak.candidate.plan.always_ready
    assert best.rounded_usd <= min(plain.rounded_usd, peak.rounded_usd)


def test_busiest_window_is_found() -> None:
    assert busiest_per_s(np.array([0.0, 50, 51, 52, 59.9, 61, 100])) == pytest.approx(0.4)


def test_hours_have_the_instances_that_they_need() -> None:
    traffic = parse_traffic("diurnal:4/s,peak=30")
    question = replace(
        ask(slo_s=0.06),
        arrivals_s=traffic.arrivals_s(seed=0),
        duration_s=traffic.duration_s,
        instances={"EP1": replace(INSTANCE, variants=INSTANCE.variants[:1])},
    )
    slow = replace(question.instances["EP1"], overhead_s=(0.1,))
    question = replace(question, instances={"EP1": slow}, promise=Promise(slo_s=0.5))
    plan = PremiumPlan(sku=SKUS["EP1"], pre_warmed=0, max_burst=8)
    by_hour = schedule(question, Candidate(plan=plan, ladder=("student",)), begins_s=0.0)

    wanted = [slot.always_ready for slot in by_hour.slots for _ in range(slot.begins_h, slot.ends_h)]
    assert len(wanted) == 24
    assert wanted[0] == wanted[23] == 1
    assert wanted[12] > wanted[6] >= 1


def test_planning_says_how_sure_it_is_and_what_other_traffic_does() -> None:
    question = ask(quality=0.085, pre_warmed=(0,), bursts=(6,))

    planned = plan_traffic(TRAFFIC, question, n_seeds=3, n_processes=1)

    assert planned.confirmed["slo_share"].mean >= 0.99
    assert (
        planned.confirmed["p99_s"].low <= planned.confirmed["p99_s"].mean <= planned.confirmed["p99_s"].high
    )
    assert [each.factor for each in planned.varied] == [0.8, 1.25, 1.5]
    costs = [each.cheapest.usd_per_month for each in planned.varied if each.cheapest]
    assert costs == sorted(costs)
