"""One plan under one traffic: what it does, and what it costs."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from planner.allocation import AllocationClass
from planner.billing import premium_bill
from planner.model import InstanceModel
from planner.plans import PremiumPlan
from planner.price_list import PriceList
from planner.simulator import Simulated, simulate

MONTH_S = 730 * 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A plan that could be chosen, and the ladder that it serves."""

    plan: PremiumPlan
    ladder: tuple[str, ...]
    "Variants, best first."

    def __str__(self) -> str:
        plan = self.plan
        return (
            f"{plan.sku.name}, {plan.always_ready} always ready, {plan.pre_warmed} pre-warmed, "
            f"at most {plan.max_burst}, {' > '.join(self.ladder)}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """What a plan has to keep.

    A refused request is late however fast the refusal was: the share counts all requests.
    """

    slo_s: float
    share: float = 0.99
    "Of all requests, that have to be answered within the SLO."
    quality: float = 0.0
    "Least mean NDCG@10 of the answers, or, where no quality is known, least share of the first rung."


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """Figures of a candidate; shares are of all requests."""

    candidate: Candidate
    n: int
    p50_s: float
    p95_s: float
    p99_s: float
    slo_share: float
    n_starts: int
    "Instances that were started after the beginning."
    cold_share: float
    impacted_share: float
    shed_share: float
    quality: float
    "Mean NDCG@10 of the answers, or the share of the first rung where it is unknown."
    served_share: Mapping[str, float]
    allocated_s: Mapping[AllocationClass, float]
    duration_s: float
    usd_per_month: float

    @property
    def n_instances(self) -> float:
        """Mean number of allocated instances."""
        return sum(self.allocated_s.values()) / self.duration_s

    @property
    def most_instances(self) -> int:
        """There were never more than these."""
        return self.candidate.plan.always_ready + self.n_starts

    @property
    def rounded_usd(self) -> float:
        """To three digits: what is nearer costs the same."""
        return float(f"{self.usd_per_month:.3g}")

    @property
    def rounded_p99_s(self) -> float:
        """To two digits: what is nearer is as fast."""
        return float(f"{self.p99_s:.2g}")

    def keeps(self, promise: Promise) -> bool:
        return self.slo_share >= promise.share and self.quality >= promise.quality


def evaluate(
    candidate: Candidate,
    arrivals_s: NDArray[np.float64],
    *,
    instance: InstanceModel,
    slo_s: float,
    duration_s: float,
    prices: PriceList,
    seed: int,
) -> Evaluation:
    """Simulate a candidate and price it.

    Args:
        candidate: the plan, and variants that `instance` has.
        arrivals_s: from the beginning, ascending, (n_arrivals,).
        instance: of the plan's size, with any ladder that holds the candidate's.
        slo_s: that brownout keeps to and that answers are counted by.
        duration_s: of the traffic; a month costs as many times more as it is longer.
        prices: of the region.
        seed: of service times and cold starts.
    """
    simulated = simulate(
        arrivals_s,
        plan=candidate.plan,
        instance=with_ladder(instance, candidate.ladder),
        brownout=len(candidate.ladder) > 1,
        slo_s=slo_s,
        seed=seed,
        duration_s=duration_s,
    )
    return priced(candidate, simulated, duration_s=duration_s, prices=prices)


def with_ladder(instance: InstanceModel, ladder: Sequence[str]) -> InstanceModel:
    """The same instance with these of its variants."""
    by_name = {variant.name: variant for variant in instance.variants}
    return replace(instance, variants=tuple(by_name[name] for name in ladder))


def priced(candidate: Candidate, simulated: Simulated, *, duration_s: float, prices: PriceList) -> Evaluation:
    """What was simulated, with the bill of a month that goes on like that."""
    allocated_s = dict(simulated.allocated_s)
    cost = premium_bill(
        candidate.plan.sku,
        allocated_s=sum(allocated_s.values()),
        elapsed_s=simulated.duration_s,
        prices=prices,
    )
    served = dict(simulated.served_share)
    knows_quality = not math.isnan(simulated.ndcg_10)
    return Evaluation(
        candidate=candidate,
        n=simulated.n,
        p50_s=_late(simulated.p50_s),
        p95_s=_late(simulated.p95_s),
        p99_s=_late(simulated.p99_s),
        slo_share=simulated.slo_share,
        n_starts=simulated.n_starts,
        cold_share=simulated.cold_share,
        impacted_share=simulated.impacted_share,
        shed_share=simulated.shed_share,
        quality=simulated.ndcg_10 if knows_quality else served.get(candidate.ladder[0], 0.0),
        served_share=served,
        allocated_s=allocated_s,
        duration_s=simulated.duration_s,
        usd_per_month=cost * MONTH_S / simulated.duration_s,
    )


def _late(latency_s: float) -> float:
    """A percentile; endless where nothing was answered."""
    return math.inf if math.isnan(latency_s) else latency_s
