"""Plans as the view takes them: what was simulated of each, as plain values."""

import math
from collections.abc import Sequence

import msgspec
import numpy as np

from console.analysis.plan_question import Figure, PlanQuestion, Point, Setup
from planner.advice import app_settings, bicep_parameters
from planner.choice import pareto
from planner.evaluation import Candidate, Evaluation, Promise
from planner.model import InstanceModel
from planner.planning import Seeds
from planner.plans import PremiumPlan, sku_named
from planner.search import Question
from planner.simulator import Estimate

MOST_FRONTIER, MOST_OTHERS = 10, 300
MOST_REFUSED = 0.01


def frontier_of(evaluations: Sequence[Evaluation]) -> list[Evaluation]:
    """The frontier, thinned out where it is long, cheapest first.

    Refusing makes the answers that remain fast: plans that refuse more than 1 % are on it only where all do.
    """
    answering = [each for each in evaluations if each.shed_share <= MOST_REFUSED] or evaluations
    kept = sorted(
        (each for each in pareto(answering) if math.isfinite(each.p99_s)),
        key=lambda each: each.usd_per_month,
    )
    if len(kept) <= MOST_FRONTIER:
        return kept
    places = np.unique(np.linspace(0, len(kept) - 1, MOST_FRONTIER).round().astype(int))
    return [kept[place] for place in places.tolist()]


def candidate_of(setup: Setup, instance: InstanceModel) -> Candidate:
    """An operator's setup as the planner's candidate, with the whole ladder."""
    plan = PremiumPlan(
        sku=sku_named(setup.sku),
        always_ready=setup.always_ready,
        pre_warmed=setup.pre_warmed,
        max_burst=setup.max_burst,
    )
    return Candidate(plan=plan, ladder=tuple(variant.name for variant in instance.variants))


def with_intervals(each: Evaluation, asked: Question, seeds: Seeds) -> Point:
    """A plan with its figures' 95 % intervals over seeds."""
    figures = seeds.intervals(each.candidate)
    return msgspec.structs.replace(
        point_of(each, asked.promise),
        p99_interval=_figure(figures["p99_s"], 1e3),
        usd_interval=_figure(figures["usd_per_month"]),
        slo_interval=_figure(figures["slo_share"]),
    )


def _figure(estimate: Estimate, scale: float = 1.0) -> Figure:
    mean, low, high = (value * scale for value in (estimate.mean, estimate.low, estimate.high))
    return Figure(mean=_finite(mean), low=_finite(max(low, 0.0)), high=_finite(high))


def point_of(each: Evaluation, promise: Promise) -> Point:
    """A plan as the view takes it, of the first seed."""
    plan = each.candidate.plan
    return Point(
        setup=Setup(
            sku=plan.sku.name,
            always_ready=plan.always_ready,
            pre_warmed=plan.pre_warmed,
            max_burst=plan.max_burst,
        ),
        ladder=each.candidate.ladder,
        p50_ms=_finite(each.p50_s * 1e3),
        p99_ms=_finite(each.p99_s * 1e3),
        slo_share=each.slo_share,
        cold_share=each.cold_share,
        shed_share=each.shed_share,
        quality=each.quality,
        usd_month=each.usd_per_month,
        n_instances=each.n_instances,
        allocated_s={name: float(spent_s) for name, spent_s in each.allocated_s.items()},
        keeps=each.keeps(promise),
    )


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def parameters_of(candidate: Candidate, instance: InstanceModel, question: PlanQuestion) -> str:
    """Parameters for Bicep, as JSON."""
    settings = app_settings(candidate, instance, slo_s=question.slo_ms / 1e3)
    encoded = msgspec.json.encode(bicep_parameters(candidate, settings))
    return msgspec.json.format(encoded, indent=2).decode() + "\n"
