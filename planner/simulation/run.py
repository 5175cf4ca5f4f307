"""One simulation, from its arrivals to its figures."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from planner.model import InstanceModel
from planner.plans import PremiumPlan, Sku, sku_named
from planner.scale_rules import Memory, ScaleSettings, limits_of
from planner.simulation.engine import (
    BECAME_READY,
    DECIDE,
    DONE,
    DRAINED,
    EVERY_EVENT,
    EVERY_TICK,
    HORIZON,
    WHERE_NEEDED,
    advance,
)
from planner.simulation.figures import Simulated
from planner.simulation.fleet import Fleet
from planner.simulation.policies import PerRequestPlan, ServiceSettings
from planner.simulation.routing import start
from planner.simulation.world import (
    ANSWERED,
    CLASSES,
    COLD,
    EMPTY,
    GAP_S,
    OF_NETWORK,
    SHED,
    UNTOUCHED,
    World,
    build_world,
)

TICK_S = 0.1
"How often the scale rules are asked, at least; as in the emulated plan."
NETWORK = 2
"Its stream of chance."


class Simulation:
    """One simulation, from its beginning to its end.

    Args: as of `simulate`.

    Attributes:
        world: what there is.
        fleet: of a Premium plan.
    """

    def __init__(
        self,
        arrivals_s: NDArray[np.float64] | Sequence[float],
        *,
        plan: PremiumPlan | PerRequestPlan,
        instance: InstanceModel,
        scale: ScaleSettings | None = None,
        brownout: bool = True,
        slo_s: float = 0.025,
        seed: int = 0,
        duration_s: float | None = None,
        service: ServiceSettings | None = None,
    ) -> None:
        arrivals = _check_arrivals(arrivals_s)
        if not (math.isfinite(slo_s) and slo_s > 0):
            raise ValueError(f"an SLO of {slo_s:g} s; give more than 0")
        if duration_s is None:
            duration_s = float(arrivals[-1])
        if not (math.isfinite(duration_s) and duration_s >= 0):
            raise ValueError(f"a duration of {duration_s:g} s; give 0 or more")
        arrivals = arrivals[: np.searchsorted(arrivals, duration_s, "right")]
        n_workers, extrapolated = _workers_of(plan, instance)
        self._instance = instance
        self._slo_s = slo_s
        self._seed = seed
        self._duration_s = duration_s
        self._extrapolated = extrapolated
        self.world: World = build_world(
            arrivals,
            plan=plan,
            instance=instance,
            service=service or ServiceSettings(),
            n_workers=n_workers,
            brownout=brownout,
            slo_s=slo_s,
            duration_s=math.nextafter(duration_s, math.inf),
            tick_s=TICK_S,
            rng=np.random.default_rng(seed),
        )
        self.fleet: Fleet | None = None
        if isinstance(plan, PremiumPlan):
            self.fleet = Fleet(self.world, plan, scale or ScaleSettings())
            self._n_first = plan.always_ready
        else:
            for slot in range(plan.kept):
                start(self.world, slot, 0.0, 0.0)
            self.world.clock[0]["n_slots"] = self._n_first = plan.kept
        self._allocated_s: dict[Any, float] = {}

    def run(self, *, on_event: Callable[[float], None] | None = None, asks_rules: bool = False) -> None:
        """Simulate to the end.

        Args:
            on_event: told the time after every event, which is slow.
            asks_rules: ask `ScaleRules` at every tick, not just where something is due; gives the same, slowly.
        """
        pauses = EVERY_EVENT if on_event else EVERY_TICK if asks_rules else WHERE_NEEDED
        fleet = self.fleet
        rules = fleet.rules if fleet else None
        limits = rules.limits if rules else NO_LIMITS
        memory = rules.memory if rules else Memory()
        while True:
            why, slot, memory = advance(self.world, memory, limits, pauses)
            if fleet is not None and rules is not None:
                rules.memory = Memory(*memory)
                if why == DECIDE:
                    fleet.decide()
                elif why == BECAME_READY:
                    fleet.became_ready(slot)
                elif why == DRAINED:
                    fleet.drained(slot)
                memory = rules.memory
            if why == HORIZON:
                self._close_accounts()
            if why == DONE:
                return
            if on_event is not None:
                on_event(float(self.world.clock[0]["now_s"]))

    def result(self, *, keeps_latency: bool = False) -> Simulated:
        """The figures, once it has run."""
        world, variants = self.world, self._instance.variants
        requests, clock = world.requests[world.first_request :], world.clock[0]
        n = len(requests)
        is_answered = requests["phase"] == ANSWERED
        answered = requests[is_answered]
        latency_s = (
            answered["left_s"] - answered["arrived_s"] + self._network_s(requests["gap_s"])[is_answered]
        )
        n_good = int(np.count_nonzero(latency_s <= self._slo_s))
        p50_s, p95_s, p99_s = np.percentile(latency_s, [50, 95, 99]) if len(answered) else [math.nan] * 3
        counts = np.bincount(answered["rung"], minlength=len(variants))
        qualities = [
            math.nan if variant.ndcg_10 is None else variant.ndcg_10
            for variant, count in zip(variants, counts, strict=True)
            if count
        ]
        n_runs = int(clock["n_runs"])
        return Simulated(
            n=n,
            duration_s=self._duration_s,
            p50_s=float(p50_s),
            p95_s=float(p95_s),
            p99_s=float(p99_s),
            mean_s=float(latency_s.mean()) if len(answered) else math.nan,
            n_starts=int(clock["n_started"]) - self._n_first,
            cold_starts=int(clock["n_cold"]),
            cold_share=_share(np.count_nonzero(requests["waited"] == COLD), n),
            impacted_share=_share(np.count_nonzero(requests["waited"] != UNTOUCHED), n),
            shed_share=_share(np.count_nonzero(requests["phase"] == SHED), n),
            goodput_per_s=n_good / self._duration_s if self._duration_s else math.nan,
            slo_share=_share(n_good, n),
            ndcg_10=float(np.dot(qualities, counts[counts > 0]) / len(answered)) if qualities else math.nan,
            batch_size=int(clock["n_in_runs"]) / n_runs if n_runs else math.nan,
            served_share={
                variant.name: _share(int(count), len(answered))
                for variant, count in zip(variants, counts, strict=True)
            },
            allocated_s=self._allocated_s,
            extrapolated=self._extrapolated,
            latency_s=_of_all(is_answered, latency_s) if keeps_latency else None,
            service_s=_of_all(is_answered, answered["left_s"] - answered["sent_s"])
            if keeps_latency
            else None,
        )

    def _network_s(self, gap_s: NDArray[np.float64]) -> NDArray[np.float64]:
        """What the way adds to each request, by the pause of its worker before it, (n,)."""
        n, quantiles, slowdowns = len(gap_s), self._instance.network_s, self.world.slowdowns
        if len(quantiles) == 1:
            network_s = np.full(n, quantiles[0])
        else:
            u = np.random.default_rng((self._seed, NETWORK)).random(n)
            network_s = np.interp(u, np.linspace(0, 1, len(quantiles)), quantiles)
        if slowdowns.size:
            network_s *= np.interp(gap_s, slowdowns[GAP_S], slowdowns[OF_NETWORK])
        return network_s

    def _close_accounts(self) -> None:
        world, clock = self.world, self.world.clock[0]
        allocated_s = world.allocated_s.copy()
        for slot in world.slots[: int(clock["n_slots"])]:
            if slot["state"] != EMPTY:
                allocated_s[slot["kind"]] += self._duration_s - slot["since_s"]
        self._allocated_s = {kind: float(s) for kind, s in zip(CLASSES, allocated_s, strict=True)}
        clock["horizon_s"] = math.inf


NO_LIMITS = limits_of(PremiumPlan(sku=Sku(name="none", vcpu=1, memory_gib=1.0)), ScaleSettings())
"Of plans without scale rules."


def _check_arrivals(arrivals_s: NDArray[np.float64] | Sequence[float]) -> NDArray[np.float64]:
    arrivals = np.asarray(arrivals_s, np.float64)
    if arrivals.ndim != 1 or arrivals.size == 0:
        raise ValueError("no arrivals to simulate; give at least one")
    if not (np.isfinite(arrivals).all() and arrivals[0] >= 0):
        raise ValueError(f"arrivals begin at {arrivals[0]:g} s; they are finite, from 0 s on")
    steps = np.diff(arrivals)
    if (steps < 0).any():
        place = int(np.argmax(steps < 0)) + 1
        raise ValueError(
            f"arrival {place} at {arrivals[place]:g} s is before the one at {arrivals[place - 1]:g} s; sort them"
        )
    return arrivals


def _workers_of(plan: PremiumPlan | PerRequestPlan, instance: InstanceModel) -> tuple[int, tuple[str, ...]]:
    """Worker processes of an instance, and what is extrapolated by that."""
    extrapolated = list(instance.extrapolated)
    largest = min(variant.batch_sizes[-1] for variant in instance.variants)
    if largest < instance.max_batch:
        extrapolated.append(f"runs of more than {largest} up to {instance.max_batch} were not measured")
    if not isinstance(plan, PremiumPlan) or plan.sku.name == instance.sku:
        return 1, tuple(extrapolated)
    measured = sku_named(instance.sku)
    if plan.sku.vcpu < measured.vcpu:
        raise ValueError(
            f"measured on {measured.name}, which says nothing about the smaller {plan.sku.name}; measure there"
        )
    n_workers = plan.sku.vcpu // measured.vcpu
    extrapolated.append(
        f"{plan.sku.name} was not measured: {n_workers} worker processes, each as the one of {measured.name}"
    )
    return n_workers, tuple(extrapolated)


def _share(count: int | np.integer[Any], n: int) -> float:
    return float(count / n) if n else math.nan


def _of_all(is_answered: NDArray[np.bool_], values_s: NDArray[np.float64]) -> NDArray[np.float64]:
    of_all = np.full(len(is_answered), math.nan)
    of_all[is_answered] = values_s
    return of_all
