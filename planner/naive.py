"""The two plans that people set up without a planner, for comparison.

no pre-warm    no buffer; as many always-ready instances as it then takes
peak           always-ready instances for the busiest ten seconds, 70 % busy, and no burst; more where
               these do not keep the promise
"""

import math

import numpy as np
from numpy.typing import NDArray

from planner.bounds import most_per_s
from planner.evaluation import Candidate, Evaluation, evaluate
from planner.plans import MOST_ALWAYS_READY, SKUS, PremiumPlan
from planner.search import Question

WINDOW_S = 10.0
BUSY = 0.7


def without_pre_warm(question: Question, *, sku: str, ladder: tuple[str, ...]) -> Evaluation | None:
    """The fewest always-ready instances that keep the promise without a buffer; None: no number does."""
    burst = max(question.space.bursts)
    for always_ready in range(1, min(burst, MOST_ALWAYS_READY) + 1):
        plan = PremiumPlan(sku=SKUS[sku], always_ready=always_ready, pre_warmed=0, max_burst=burst)
        evaluation = _evaluate(question, Candidate(plan=plan, ladder=ladder))
        if evaluation.keeps(question.promise):
            return evaluation
    return None


def sized_for_peak(question: Question, *, sku: str, ladder: tuple[str, ...]) -> Evaluation | None:
    """Always-ready instances alone, for the peak; None: the most that a plan may have are too few."""
    each_per_s = most_per_s(question.instances[sku], sku) * BUSY
    least = max(1, math.ceil(busiest_per_s(question.arrivals_s) / each_per_s))
    for always_ready in range(least, MOST_ALWAYS_READY + 1):
        plan = PremiumPlan(sku=SKUS[sku], always_ready=always_ready, pre_warmed=0, max_burst=always_ready)
        evaluation = _evaluate(question, Candidate(plan=plan, ladder=ladder))
        if evaluation.keeps(question.promise):
            return evaluation
    return None


def busiest_per_s(arrivals_s: NDArray[np.float64]) -> float:
    """Rate of the busiest window that begins with an arrival."""
    ends = np.searchsorted(arrivals_s, arrivals_s + WINDOW_S)
    return float((ends - np.arange(len(arrivals_s))).max()) / WINDOW_S


def _evaluate(question: Question, candidate: Candidate) -> Evaluation:
    return evaluate(
        candidate,
        question.arrivals_s,
        instance=question.instances[candidate.plan.sku.name],
        slo_s=question.promise.slo_s,
        duration_s=question.duration_s,
        prices=question.prices,
        seed=question.seed,
    )
