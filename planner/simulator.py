"""Predicts a plan: the same arrivals, the same scale rules, and instances that are distributions.

    arrivals -> front end -> instances: event loop, micro-batches, limits, brownout -> answers
                    ^ scale rules ten times a second, or an instance by the request

`planner/simulation/` has the parts: `engine` the loop, `routing` the front end, `workers` the process, `fleet` the
rules' decisions, `world` the arrays that all of them share, `run` a simulation from arrivals to figures.

What is assumed: the always-ready instances are there and ready at the beginning; instances never fail; an instance
with several vCPUs runs one worker process for each, as the one that was measured, all ready at once, and requests take
turns among them; requests are alike. `workers` says what is simpler than in the service.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from planner.model import InstanceModel
from planner.plans import PremiumPlan
from planner.scale_rules import ScaleSettings
from planner.simulation.figures import Estimate, Replicated, Simulated, estimate, summarise
from planner.simulation.policies import PerRequestPlan, ServiceSettings
from planner.simulation.run import Simulation

__all__ = [
    "Estimate",
    "PerRequestPlan",
    "Replicated",
    "ServiceSettings",
    "Simulated",
    "Simulation",
    "estimate",
    "replicate",
    "simulate",
]


def simulate(
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
    keeps_latency: bool = False,
) -> Simulated:
    """Simulate a plan under arrivals.

    Args:
        arrivals_s: when requests come, ascending, from 0 s on.
        plan: Premium with its scale rules, or a plan whose instances come with the requests.
        instance: as measured; on another size than the plan's, that is extrapolated, and said.
        scale: of the Premium rules.
        brownout: whether requests go down the ladder under pressure; else all get its first rung.
        slo_s: latency that is promised.
        seed: of all chance; requests draw the same numbers in every plan.
        duration_s: how long the plan is accounted for; what comes later is left out. None: to the last arrival.
        service: what is assumed of the service.
        keeps_latency: whether to give the latency of every request.

    Raises:
        ValueError: arrivals are out of order, or a number is out of range.
    """
    simulation = Simulation(
        arrivals_s,
        plan=plan,
        instance=instance,
        scale=scale,
        brownout=brownout,
        slo_s=slo_s,
        seed=seed,
        duration_s=duration_s,
        service=service,
    )
    simulation.run()
    return simulation.result(keeps_latency=keeps_latency)


def replicate(
    arrivals_s: NDArray[np.float64] | Sequence[float] | Callable[[np.random.Generator], NDArray[np.float64]],
    *,
    n_seeds: int = 5,
    seed: int = 0,
    on_done: Callable[[int, int], None] = lambda n_done, n_seeds: None,
    **settings: Any,
) -> Replicated:
    """Simulate with several seeds; every figure with its 95 % t-interval.

    Args:
        arrivals_s: as of `simulate`; or what draws them, so that the interval holds their chance too.
        n_seeds: how many.
        seed: the first.
        on_done: told after each how many are done, of how many.
        settings: as of `simulate`.

    Raises:
        ValueError: as of `simulate`, or there is no seed.
    """
    if n_seeds < 1:
        raise ValueError(f"{n_seeds} seeds; simulate with at least 1")
    runs = []
    for each in range(seed, seed + n_seeds):
        arrivals = arrivals_s(np.random.default_rng((each, 1))) if callable(arrivals_s) else arrivals_s
        runs.append(simulate(arrivals, seed=each, **settings))
        on_done(len(runs), n_seeds)
    return summarise(runs)
