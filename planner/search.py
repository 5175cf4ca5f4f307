"""Which plan: sizes x always-ready x pre-warmed x burst x ladders, simulated where a bound does not decide.

Candidates that differ in nothing but always-ready instances and burst are one chain, simulated in one go:

    reuse       a plan that never had as many instances as a smaller burst allows does the same with that burst
    enough      once nearly nothing is queued or refused, at no more than one instance beyond the always-ready
                ones, a further one only costs more
    capacity    a burst whose instances have not the time for the mean rate is not simulated
    price       always-ready instances cost what they cost: a chain ends above the budget, or where a known plan
                that keeps the promise is much cheaper

Every candidate is simulated with the same arrivals and the same seed, so that differences are theirs.
"""

import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field, replace
from itertools import product

import numpy as np
from numpy.typing import NDArray

from planner.billing import instance_hour
from planner.bounds import Unattainable, most_per_s, unloaded_s
from planner.evaluation import Candidate, Evaluation, Promise, evaluate, with_ladder
from planner.model import InstanceModel
from planner.plans import MOST_ALWAYS_READY, MOST_INSTANCES, MOST_PRE_WARMED, SKUS, PremiumPlan
from planner.price_list import PriceList

N_PROCESSES = 2
ENOUGH = 1.02
"A p99 this near to that without any queue is not worth another instance."
HOURS_PER_MONTH = 730.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchSpace:
    """What may be chosen.

    Raises:
        ValueError: a limit makes no sense; the message names it.
    """

    skus: tuple[str, ...] = ("EP1",)
    ladders: tuple[tuple[str, ...], ...]
    most_always_ready: int = MOST_ALWAYS_READY
    pre_warmed: tuple[int, ...] = (0, 1, 2, 3)
    bursts: tuple[int, ...] = (5, 10, 20)
    "Maximum bursts, beside one that allows no more than the always-ready instances."

    def __post_init__(self) -> None:
        if not 1 <= self.most_always_ready <= MOST_ALWAYS_READY:
            raise ValueError(
                f"up to {self.most_always_ready} always-ready instances; a plan has 1 to {MOST_ALWAYS_READY}"
            )
        if not self.bursts or not all(1 <= burst <= MOST_INSTANCES for burst in self.bursts):
            raise ValueError(f"maximum bursts {self.bursts}; a plan has 1 to {MOST_INSTANCES}")
        if not self.pre_warmed or not all(0 <= n <= MOST_PRE_WARMED for n in self.pre_warmed):
            raise ValueError(f"pre-warmed instances {self.pre_warmed}; a plan has 0 to {MOST_PRE_WARMED}")

    def chains(self) -> Iterator["Chain"]:
        for sku, ladder, n_pre_warmed in product(self.skus, self.ladders, self.pre_warmed):
            yield Chain(sku=sku, ladder=ladder, pre_warmed=n_pre_warmed)

    def bursts_of(self, always_ready: int, pre_warmed: int) -> list[int]:
        """Maximum bursts that go with these, the largest first."""
        largest = max(self.bursts)
        fixed = {always_ready} if pre_warmed == 0 else set()
        allowed = {burst for burst in self.bursts if burst >= always_ready + pre_warmed} | fixed
        return sorted((burst for burst in allowed if burst <= max(largest, always_ready)), reverse=True)

    @property
    def n_candidates(self) -> int:
        return sum(
            len(self.bursts_of(always_ready, chain.pre_warmed))
            for chain in self.chains()
            for always_ready in range(1, self.most_always_ready + 1)
        )

    @property
    def most_instances(self) -> int:
        return max(*self.bursts, self.most_always_ready)


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """Candidates that differ in always-ready instances and burst alone."""

    sku: str
    ladder: tuple[str, ...]
    pre_warmed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What every worker process knows."""

    arrivals_s: NDArray[np.float64]
    duration_s: float
    instances: Mapping[str, InstanceModel]
    "By size."
    prices: PriceList
    promise: Promise
    space: SearchSpace
    budget_usd: float | None = None
    "A month."
    ceiling_usd: float | None = None
    "A month; what costs more is of no interest, though it may be allowed."
    seed: int = 0

    @property
    def rate_per_s(self) -> float:
        return len(self.arrivals_s) / self.duration_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a search came to.

    Attributes:
        n_candidates: plans that were considered.
        n_simulated: of which so many were simulated; the others a bound or an equal one decided.
    """

    evaluations: tuple[Evaluation, ...]
    n_candidates: int
    n_simulated: int


@dataclass(slots=True)
class _ChainResult:
    evaluations: list[Evaluation] = field(default_factory=list)
    n_simulated: int = 0


def check_attainable(question: Question) -> None:
    """Refuse what no candidate can do.

    Raises:
        Unattainable: the SLO is below the fastest answer, or the rate above what all allowed instances carry.
    """
    promise, space = question.promise, question.space
    bound_s = min(unloaded_s(instance, 100 * promise.share) for instance in question.instances.values())
    if promise.slo_s < bound_s:
        raise Unattainable(
            f"an SLO of {promise.slo_s * 1e3:g} ms is below the fastest service: without any queue "
            f"{promise.share:.0%} of the answers take up to {bound_s * 1e3:.3g} ms; "
            f"promise at least that, or serve a faster variant"
        )
    each_per_s = max(most_per_s(instance, sku) for sku, instance in question.instances.items())
    most = space.most_instances * each_per_s
    if question.rate_per_s * promise.share > most:
        raise Unattainable(
            f"{question.rate_per_s:,.0f} requests a second are more than any allowed plan can carry: "
            f"{space.most_instances} instances answer at most {most:,.0f}; lower the rate, raise --max-burst "
            f"(up to {MOST_INSTANCES}), or serve a faster variant"
        )


def search(
    question: Question,
    *,
    on_progress: Callable[[int, int], None] = lambda done, of: None,
    n_processes: int = N_PROCESSES,
) -> Found:
    """Evaluate all candidates.

    Args:
        question: traffic, measurements, prices and what is allowed.
        on_progress: told the number of chains that are done, and of all.
        n_processes: that work; 1 works in this one.

    Returns:
        Evaluations, cheapest first.

    Raises:
        Unattainable: no candidate can do it, whatever it costs.
    """
    check_attainable(question)
    chains = list(question.space.chains())
    results: list[_ChainResult] = []
    if n_processes == 1 or len(chains) == 1:
        for chain in chains:
            results.append(_walk(chain, question))
            on_progress(len(results), len(chains))
    else:
        n_processes = min(n_processes, os.cpu_count() or 1, len(chains))
        with ProcessPoolExecutor(n_processes, initializer=_begin, initargs=(question,)) as pool:
            futures = [pool.submit(_walk_here, chain) for chain in chains]
            for done in as_completed(futures):
                results.append(done.result())
                on_progress(len(results), len(chains))
    evaluations = [each for result in results for each in result.evaluations]
    evaluations.sort(key=_order)
    return Found(
        evaluations=tuple(evaluations),
        n_candidates=question.space.n_candidates,
        n_simulated=sum(result.n_simulated for result in results),
    )


def _order(evaluation: Evaluation) -> tuple[float | str, ...]:
    """Cheapest first; of those that cost about the same the better, the faster, the one with more in reserve."""
    plan, ladder = evaluation.candidate.plan, evaluation.candidate.ladder
    return (
        evaluation.rounded_usd,
        -round(evaluation.quality, 3),
        evaluation.rounded_p99_s,
        -plan.max_burst,
        -len(ladder),
        str(evaluation.candidate),
    )


_question: Question | None = None
"Of this worker process."


def _begin(question: Question) -> None:
    global _question
    _question = question


def _walk_here(chain: Chain) -> _ChainResult:
    assert _question is not None
    return _walk(chain, _question)


def _walk(chain: Chain, question: Question) -> _ChainResult:
    """Evaluate a chain, from one always-ready instance up."""
    result = _ChainResult()
    instance = with_ladder(question.instances[chain.sku], chain.ladder)
    sku, space = SKUS[chain.sku], question.space
    hourly_usd = instance_hour(sku, question.prices)
    most_usd = min(
        math.inf if limit is None else limit for limit in (question.budget_usd, question.ceiling_usd)
    )
    least = math.ceil(question.rate_per_s * question.promise.share / most_per_s(instance, chain.sku))
    enough_s = unloaded_s(replace(instance, variants=instance.variants[:1]), 99) * ENOUGH
    for always_ready in range(1, space.most_always_ready + 1):
        if always_ready > 1 and always_ready * hourly_usd * HOURS_PER_MONTH > most_usd:
            break
        larger: Evaluation | None = None
        is_enough = False
        for burst in space.bursts_of(always_ready, chain.pre_warmed):
            if burst < least:
                continue
            plan = PremiumPlan(
                sku=sku, always_ready=always_ready, pre_warmed=chain.pre_warmed, max_burst=burst
            )
            candidate = Candidate(plan=plan, ladder=chain.ladder)
            if larger is not None and larger.most_instances < burst:
                evaluation = replace(larger, candidate=candidate)
            else:
                evaluation = evaluate(
                    candidate,
                    question.arrivals_s,
                    instance=instance,
                    slo_s=question.promise.slo_s,
                    duration_s=question.duration_s,
                    prices=question.prices,
                    seed=question.seed,
                )
                result.n_simulated += 1
            result.evaluations.append(evaluation)
            larger = evaluation
            is_enough = is_enough or (
                evaluation.p99_s <= enough_s
                and evaluation.shed_share == 0
                and evaluation.n_instances <= always_ready + 1
            )
        if is_enough:
            break
    return result


def ladders_of(names: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    """Every ladder of neighbouring rungs: each begins with any of them and goes down as far as it likes."""
    return tuple(
        tuple(names[first:end]) for first in range(len(names)) for end in range(first + 1, len(names) + 1)
    )
