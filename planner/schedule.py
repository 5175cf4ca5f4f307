"""Always-ready instances by hour of day, for traffic that repeats itself.

Each hour is simulated by itself, on its own arrivals, from a plan whose always-ready instances are there; the
fewest that keep the promise in this hour of every day are kept ready. The promise so holds in each hour, not only
over the day, and hours that a fixed plan sacrifices cost more here. Azure has no schedule of its own: somebody
has to run the commands, from a pipeline or a timer, a few minutes before the hour.
"""

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from planner.evaluation import Candidate, Evaluation, evaluate
from planner.search import Question

HOUR_S = 3600.0
N_HOURS = 24
MOST_DAYS = 3
"Of which each hour is simulated, the busiest first."


class Slot(NamedTuple):
    """Hours with one setting."""

    begins_h: int
    "Hour of the day, UTC."
    ends_h: int
    always_ready: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    slots: tuple[Slot, ...]
    usd_per_month: float
    keeps: bool
    "Whether every hour keeps the promise with the instances allowed."


def schedule(question: Question, candidate: Candidate, *, begins_s: float) -> Schedule:
    """Plan each hour of the day.

    Args:
        question: with the arrivals of at least a day.
        candidate: the plan whose always-ready instances are to change.
        begins_s: time of day at which the arrivals begin, seconds after midnight.
    """
    wanted, costs, keeps = [], [], True
    for hour in range(N_HOURS):
        evaluations = [_least(question, candidate, part) for part in _parts(question, hour, begins_s)]
        if not evaluations:
            wanted.append(1)
            costs.append(0.0)
            continue
        keeps = keeps and all(each.keeps(question.promise) for each in evaluations)
        wanted.append(max(each.candidate.plan.always_ready for each in evaluations))
        costs.append(float(np.mean([each.usd_per_month for each in evaluations])))
    known = [cost for cost in costs if cost]
    return Schedule(slots=_merge(wanted), usd_per_month=float(np.mean(known)) if known else 0.0, keeps=keeps)


def _parts(question: Question, hour: int, begins_s: float) -> list[Question]:
    """The traffic of this hour, of the days on which there was most of it."""
    parts = []
    start_s = (hour * HOUR_S - begins_s) % (N_HOURS * HOUR_S)
    while start_s + HOUR_S <= question.duration_s + 1:
        first, end = np.searchsorted(question.arrivals_s, (start_s, start_s + HOUR_S))
        if end > first:
            arrivals_s = question.arrivals_s[first:end] - start_s
            parts.append(replace(question, arrivals_s=arrivals_s, duration_s=HOUR_S))
        start_s += N_HOURS * HOUR_S
    parts.sort(key=lambda part: -len(part.arrivals_s))
    return parts[:MOST_DAYS]


def _least(question: Question, candidate: Candidate, part: Question) -> Evaluation:
    """The fewest always-ready instances that keep the promise in a part; the most allowed where none do."""
    low, high = 1, min(question.space.most_always_ready, candidate.plan.max_burst - candidate.plan.pre_warmed)
    best: Evaluation | None = None
    while low < high:
        middle = (low + high) // 2
        evaluation = _evaluate(part, candidate, middle)
        if evaluation.keeps(question.promise):
            best, high = evaluation, middle
        else:
            low = middle + 1
    if best is not None and best.candidate.plan.always_ready == high:
        return best
    return _evaluate(part, candidate, high)


def _evaluate(part: Question, candidate: Candidate, always_ready: int) -> Evaluation:
    changed = replace(candidate, plan=replace(candidate.plan, always_ready=always_ready))
    return evaluate(
        changed,
        part.arrivals_s,
        instance=part.instances[candidate.plan.sku.name],
        slo_s=part.promise.slo_s,
        duration_s=part.duration_s,
        prices=part.prices,
        seed=part.seed,
    )


def _merge(wanted: list[int]) -> tuple[Slot, ...]:
    slots: list[Slot] = []
    for hour, always_ready in enumerate(wanted):
        if slots and slots[-1].always_ready == always_ready:
            slots[-1] = slots[-1]._replace(ends_h=hour + 1)
        else:
            slots.append(Slot(hour, hour + 1, always_ready))
    return tuple(slots)
