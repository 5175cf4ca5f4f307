"""From a traffic and a promise to a plan: search, choose, confirm, compare, vary, schedule."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from planner import billing
from planner.billing import Bill
from planner.bounds import Unattainable, run_mean_s, unloaded_s
from planner.choice import Choice, NoPlan, choose
from planner.evaluation import Candidate, Evaluation, Promise, evaluate, with_ladder
from planner.model import InstanceModel, mean_of
from planner.naive import busiest_per_s, sized_for_peak, without_pre_warm
from planner.schedule import HOUR_S, N_HOURS, Schedule, schedule
from planner.search import Found, Question, SearchSpace, check_attainable, search
from planner.simulator import Estimate, estimate
from planner.traffic import Traffic

FACTORS = (0.8, 1.25, 1.5)
N_SEEDS = 5
CEILING = 1.5
MOST_AT_ONCE = 16
"Requests that one instance of another plan is given."
CONFIRMED = (
    *("p50_s", "p95_s", "p99_s", "slo_share", "cold_share", "impacted_share", "shed_share"),
    *("quality", "n_instances", "usd_per_month"),
)
Say = Callable[[str, int, int], None]
"What is done, how much of it, of how much."


@dataclass(frozen=True, slots=True, kw_only=True)
class Varied:
    """What other traffic makes of the answer."""

    factor: float
    kept: Evaluation
    "The recommended plan under it."
    keeps: bool
    cheapest: Evaluation | None
    "The cheapest plan of the same size and ladder that keeps the promise there; None: there is none."


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """Everything that the report tells."""

    traffic: str
    rate_per_s: float
    busiest_per_s: float
    duration_s: float
    promise: Promise
    bound_s: float
    "The promised percentile of the latency without any queue."
    found: Found
    choice: Choice
    confirmed: dict[str, Estimate]
    "Figures of the recommended plan over seeds."
    n_seeds: int
    without_pre_warm: Evaluation | None
    sized_for_peak: Evaluation | None
    varied: tuple[Varied, ...]
    schedule: Schedule | None
    elsewhere: tuple[Bill, ...]
    "A month of the same requests on other plans, by their time alone: nobody waits there, nothing starts cold."
    guesses: tuple[str, ...]
    "What was not measured but derived, and what of the traffic was left out."


def plan_traffic(
    traffic: Traffic,
    question: Question,
    *,
    n_seeds: int = N_SEEDS,
    n_processes: int = 2,
    memory_mb: int = 512,
    say: Say = lambda what, done, of: None,
) -> Planned:
    """Plan.

    Args:
        traffic: that the question's arrivals were drawn from.
        question: arrivals, measurements, prices, promise and what is allowed.
        n_seeds: with which the recommendation has to keep the promise on average.
        n_processes: that search.
        memory_mb: of a process, for plans that bill by it.
        say: told of progress.

    Raises:
        Unattainable: nothing can do it.
        NoPlan: nothing that is allowed does it.
    """
    chosen = choose_plan(traffic, question, n_seeds=n_seeds, n_processes=n_processes, say=say)
    question, found, seeds, choice = chosen.question, chosen.found, chosen.seeds, chosen.choice
    best = choice.cheapest.candidate
    confirmed = seeds.intervals(best)
    say("comparing", 0, 1)
    size, ladder = best.plan.sku.name, best.ladder
    compared = without_pre_warm(question, sku=size, ladder=ladder)
    peak = sized_for_peak(question, sku=size, ladder=ladder)
    varied = tuple(
        _vary(traffic, question, best, factor, say=say, number=number, n_processes=n_processes)
        for number, factor in enumerate(FACTORS)
    )
    by_hour = None
    if traffic.period_s == N_HOURS * HOUR_S and question.duration_s >= traffic.period_s:
        say("planning hours", 0, 1)
        by_hour = schedule(question, best, begins_s=traffic.begins_s)
    instance = with_ladder(question.instances[size], ladder)
    return Planned(
        traffic=traffic.name,
        rate_per_s=question.rate_per_s,
        busiest_per_s=busiest_per_s(question.arrivals_s),
        duration_s=question.duration_s,
        promise=question.promise,
        bound_s=unloaded_s(instance, 100 * question.promise.share),
        found=found,
        choice=choice,
        confirmed=confirmed,
        n_seeds=n_seeds,
        without_pre_warm=compared,
        sized_for_peak=peak,
        varied=varied,
        schedule=by_hour,
        elsewhere=_elsewhere(question, instance, memory_mb),
        guesses=(*((f"a sample: {traffic.left_out}",) if traffic.left_out else ()), *instance.extrapolated),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """The outcome of a search."""

    question: Question
    "With the price beyond which nothing was looked at."
    found: Found
    seeds: "Seeds"
    choice: Choice


def choose_plan(
    traffic: Traffic,
    question: Question,
    *,
    n_seeds: int,
    n_processes: int = 2,
    say: Say = lambda what, done, of: None,
) -> Chosen:
    """Search, and take the cheapest plan that keeps the promise with every seed's mean; arguments as of `plan_traffic`.

    Raises:
        Unattainable: nothing can do it.
        NoPlan: nothing that is allowed does it.
    """
    question = replace(question, ceiling_usd=_ceiling_usd(question))
    found = search(question, on_progress=lambda done, of: say("searching", done, of), n_processes=n_processes)
    seeds = Seeds(traffic, question, n_seeds)
    choice = choose(
        found.evaluations, question.promise, budget_usd=question.budget_usd, confirm=seeds.confirms
    )
    return Chosen(question=question, found=found, seeds=seeds, choice=choice)


def _elsewhere(question: Question, instance: InstanceModel, memory_mb: int) -> tuple[Bill, ...]:
    """Bills of the plans beside Premium, for requests that take what one of them takes alone."""
    alone_s = mean_of(instance.overhead_s) + run_mean_s(instance.variants[0], 1)
    requests = billing.Traffic(
        arrivals_s=question.arrivals_s,
        durations_s=np.full(len(question.arrivals_s), alone_s),
        elapsed_s=question.duration_s,
        memory_mb=memory_mb,
        concurrency=min(MOST_AT_ONCE, instance.concurrency_limit),
    )
    bills = billing.compare(requests, question.prices)
    return tuple(bill for bill in bills if not bill.title.startswith("Premium"))


def _ceiling_usd(question: Question) -> float | None:
    """A price beyond which no plan is of interest: half as much again as always-ready instances for the peak cost.

    None: there is no such plan among what is allowed.
    """
    check_attainable(question)
    longest = max(question.space.ladders, key=len)
    plans = (sized_for_peak(question, sku=sku, ladder=longest) for sku in question.space.skus)
    costs = [plan.usd_per_month for plan in plans if plan is not None]
    return CEILING * min(costs) if costs else None


class Seeds:
    """The same candidate with other seeds: other service times, and other arrivals where they are drawn."""

    def __init__(self, traffic: Traffic, question: Question, n_seeds: int) -> None:
        self._question = question
        self._evaluations: dict[Candidate, list[Evaluation]] = {}
        self._arrivals_s: list[NDArray[np.float64]] = []
        for number in range(n_seeds):
            is_same = number == 0 or not traffic.is_drawn
            self._arrivals_s.append(
                question.arrivals_s if is_same else traffic.arrivals_s(seed=question.seed + number)
            )

    def confirms(self, evaluation: Evaluation) -> bool:
        """Whether a plan keeps the promise on average over the seeds."""
        figures = self._of(evaluation.candidate)
        promise = self._question.promise
        return (
            float(np.mean([each.slo_share for each in figures])) >= promise.share
            and float(np.mean([each.quality for each in figures])) >= promise.quality
        )

    def intervals(self, candidate: Candidate) -> dict[str, Estimate]:
        """Mean and 95 % interval of each figure over the seeds."""
        figures = self._of(candidate)
        return {name: estimate([float(getattr(each, name)) for each in figures]) for name in CONFIRMED}

    def _of(self, candidate: Candidate) -> Sequence[Evaluation]:
        if candidate not in self._evaluations:
            question = self._question
            self._evaluations[candidate] = [
                evaluate(
                    candidate,
                    arrivals_s,
                    instance=question.instances[candidate.plan.sku.name],
                    slo_s=question.promise.slo_s,
                    duration_s=question.duration_s,
                    prices=question.prices,
                    seed=question.seed + number,
                )
                for number, arrivals_s in enumerate(self._arrivals_s)
            ]
        return self._evaluations[candidate]


def _vary(
    traffic: Traffic,
    question: Question,
    best: Candidate,
    factor: float,
    *,
    say: Say,
    number: int,
    n_processes: int,
) -> Varied:
    """The recommended plan, and the cheapest one, under more or less traffic."""
    say("varying the traffic", number, len(FACTORS))
    space = SearchSpace(
        skus=(best.plan.sku.name,),
        ladders=(best.ladder,),
        most_always_ready=question.space.most_always_ready,
        pre_warmed=question.space.pre_warmed,
        bursts=(max(question.space.bursts),),
    )
    varied = replace(
        question,
        arrivals_s=traffic.arrivals_s(seed=question.seed, factor=factor),
        space=space,
        budget_usd=None,
        ceiling_usd=None,
    )
    kept = evaluate(
        best,
        varied.arrivals_s,
        instance=question.instances[best.plan.sku.name],
        slo_s=question.promise.slo_s,
        duration_s=question.duration_s,
        prices=question.prices,
        seed=question.seed,
    )
    try:
        found = search(varied, n_processes=n_processes)
        cheapest = choose(found.evaluations, question.promise).cheapest
    except (Unattainable, NoPlan):
        cheapest = None
    return Varied(factor=factor, kept=kept, keeps=kept.keeps(question.promise), cheapest=cheapest)
