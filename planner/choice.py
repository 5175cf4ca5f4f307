"""Which of the evaluated plans: the cheapest that keeps the promise, its neighbours, the frontier of all."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from planner.evaluation import Evaluation, Promise

NOTICEABLE = 0.95
"A neighbour is faster if its p99 is at most this share."
MOST_TRIALS = 12
"Plans that are confirmed with other seeds before the search gives up."


class NoPlan(ValueError):
    """No plan keeps the promise; the message says what comes near."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The answer, and what stands around it."""

    cheapest: Evaluation
    "Of those that keep the promise, with every seed it was confirmed with."
    up: Evaluation | None
    "The next dearer one that is noticeably faster."
    down: Evaluation | None
    "The fastest of those that are cheaper; it does not keep the promise."
    frontier: tuple[Evaluation, ...]


def choose(
    evaluations: Sequence[Evaluation],
    promise: Promise,
    *,
    budget_usd: float | None = None,
    confirm: Callable[[Evaluation], bool] = lambda _: True,
) -> Choice:
    """Choose the cheapest plan that keeps the promise.

    Args:
        evaluations: cheapest first.
        promise: what it has to keep.
        budget_usd: most that it may cost a month.
        confirm: whether a plan keeps the promise with other seeds too.

    Raises:
        NoPlan: none does, or none within the budget.
    """
    keeping = [each for each in evaluations if each.keeps(promise)]
    trials = keeping[:MOST_TRIALS]
    cheapest = next((each for each in trials if confirm(each)), None)
    if cheapest is None or (budget_usd is not None and cheapest.usd_per_month > budget_usd):
        raise NoPlan(_why_none(evaluations, promise, budget_usd, cheapest, n_tried=len(trials)))
    good = [each for each in evaluations if each.quality >= promise.quality]
    return Choice(
        cheapest=cheapest,
        up=next(
            (
                each
                for each in keeping
                if each.rounded_usd > cheapest.rounded_usd and each.p99_s <= NOTICEABLE * cheapest.p99_s
            ),
            None,
        ),
        down=max(
            (each for each in good if each.rounded_usd < cheapest.rounded_usd and not each.keeps(promise)),
            key=lambda each: (each.slo_share, -each.p99_s),
            default=None,
        ),
        frontier=pareto(evaluations),
    )


def pareto(evaluations: Sequence[Evaluation]) -> tuple[Evaluation, ...]:
    """Those that no other beats in cost, p99, quality and share of refusals at once.

    Of those that are as good the first stays.
    """
    kept: list[Evaluation] = []
    for each in evaluations:
        if not any(_is_as_good(other, each) for other in kept):
            kept = [other for other in kept if not _is_as_good(each, other)] + [each]
    return tuple(kept)


def _is_as_good(one: Evaluation, other: Evaluation) -> bool:
    return (
        one.rounded_usd <= other.rounded_usd
        and one.rounded_p99_s <= other.rounded_p99_s
        and round(one.quality, 4) >= round(other.quality, 4)
        and round(one.shed_share, 4) <= round(other.shed_share, 4)
    )


def _why_none(
    evaluations: Sequence[Evaluation],
    promise: Promise,
    budget_usd: float | None,
    cheapest: Evaluation | None,
    *,
    n_tried: int,
) -> str:
    asked = f"{promise.share:.0%} of the requests within {promise.slo_s * 1e3:g} ms"
    if cheapest is not None and budget_usd is not None:
        return (
            f"a budget of {budget_usd:,.0f} USD a month does not pay for {asked}; the cheapest plan that does costs "
            f"{cheapest.usd_per_month:,.0f} ({cheapest.candidate}); raise --budget, or relax --slo-p99-ms"
        )
    if n_tried:
        return (
            f"{n_tried} plans kept {asked} with one seed and not with the others; relax --slo-p99-ms a little, "
            "or allow more instances (--max-burst)"
        )
    if not evaluations:
        return (
            f"a budget of {budget_usd or 0:,.0f} USD a month pays for no plan that carries it; raise --budget"
        )
    good = [each for each in evaluations if each.quality >= promise.quality]
    best = max(good or evaluations, key=lambda each: (each.slo_share, -each.usd_per_month))
    within = f" within {budget_usd:,.0f} USD a month" if budget_usd is not None else ""
    if not good:
        return (
            f"no plan{within} serves a quality of {promise.quality:.4f}; the best serves {best.quality:.4f}; "
            "lower --quality, or name a better --ladder"
        )
    remedy = "raise --budget, " if budget_usd is not None else ""
    return (
        f"no plan{within} keeps {asked}; the best keeps {best.slo_share:.2%} ({best.candidate}, p99 "
        f"{best.p99_s * 1e3:.1f} ms, {best.usd_per_month:,.0f} USD a month); {remedy}relax --slo-p99-ms, "
        "lower --quality, or raise --max-burst"
    )
