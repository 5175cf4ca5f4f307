"""What devices make of a plan: the same promise for all requests beside it, as users see both, and the bills.

The plan is chosen by the promise to the cloud's answers, round trip left out: of them 99 % are in time, however many
devices answer. Judged by all answers, a cloud that is always late would keep a promise to 99 % as soon as devices
answered 99 % of the requests. The mixture is judged as well, as users see it, and the report says both.
"""

import math
from dataclasses import dataclass, replace

import numpy as np

from planner.billing import Bill
from planner.bounds import Unattainable
from planner.choice import NoPlan
from planner.edge import Edge, Seen, as_users_see, downloads_bill
from planner.evaluation import Evaluation, with_ladder
from planner.planning import Say, choose_plan
from planner.sampling import sample_of
from planner.search import Question
from planner.simulator import simulate
from planner.traffic import Traffic


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """A plan with devices or without them."""

    plan: Evaluation
    seen: Seen
    downloads_usd: float
    "A month."

    @property
    def usd_per_month(self) -> float:
        return self.plan.usd_per_month + self.downloads_usd


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgePlanned:
    """What devices make of it."""

    edge: Edge
    all_per_s: float
    "Requests of users, whoever answers."
    cloud_per_s: float
    "Requests that the cloud gets, comparisons among them."
    with_devices: Side
    without: Side | None
    why_none: str
    "Why there is no plan without devices; empty where there is one."
    downloads: Bill | None
    keeps_slo: bool
    "Whether the mixture keeps the promised share within the SLO, as users see it."
    keeps_quality: bool | None
    "Whether the mixture keeps the least quality; None: not known."


def plan_edge(
    edge: Edge,
    best: Evaluation,
    question: Question,
    *,
    whole: Traffic,
    n_seeds: int,
    n_processes: int = 2,
    say: Say = lambda what, done, of: None,
) -> EdgePlanned:
    """Look at a plan as users see it, and beside it at the plan for the whole traffic.

    Args:
        edge: the devices.
        best: the plan for what they leave.
        question: that it answers.
        whole: all requests.
        n_seeds: with which the plan beside it has to keep the promise.
        n_processes: that search.
        say: told of progress.
    """
    downloads = downloads_bill(edge.downloads, question.prices) if edge.downloads else None
    side = Side(
        plan=best,
        seen=_seen(best, question, edge=edge, round_trip_s=edge.round_trip_s),
        downloads_usd=float(downloads.total) if downloads else 0.0,
    )
    whole = sample_of(whole, seed=question.seed)
    alone = replace(
        question,
        arrivals_s=whole.arrivals_s(seed=question.seed),
        duration_s=whole.duration_s,
        budget_usd=None,
    )
    without, why_none = None, ""
    try:
        chosen = choose_plan(
            whole,
            alone,
            n_seeds=n_seeds,
            n_processes=n_processes,
            say=lambda _, done, of: say("planning without devices", done, of),
        )
        cheapest = chosen.choice.cheapest
        seen = _seen(cheapest, alone, edge=None, round_trip_s=edge.round_trip_s)
        without = Side(plan=cheapest, seen=seen, downloads_usd=0.0)
    except (Unattainable, NoPlan) as err:
        why_none = str(err)
    promise, quality = question.promise, side.seen.quality
    return EdgePlanned(
        edge=edge,
        all_per_s=alone.rate_per_s,
        cloud_per_s=question.rate_per_s,
        with_devices=side,
        without=without,
        why_none=why_none,
        downloads=downloads,
        keeps_slo=side.seen.slo_share >= promise.share,
        keeps_quality=None if quality is None else quality >= promise.quality,
    )


def _seen(plan: Evaluation, question: Question, *, edge: Edge | None, round_trip_s: float) -> Seen:
    """Answers of the plan with the question's seed, as users see them."""
    candidate = plan.candidate
    simulated = simulate(
        question.arrivals_s,
        plan=candidate.plan,
        instance=with_ladder(question.instances[candidate.plan.sku.name], candidate.ladder),
        brownout=len(candidate.ladder) > 1,
        slo_s=question.promise.slo_s,
        seed=question.seed,
        duration_s=question.duration_s,
        keeps_latency=True,
    )
    assert simulated.latency_s is not None
    return as_users_see(
        np.asarray(simulated.latency_s),
        slo_s=question.promise.slo_s,
        quality=None if math.isnan(simulated.ndcg_10) else simulated.ndcg_10,
        edge=edge,
        round_trip_s=round_trip_s,
    )
