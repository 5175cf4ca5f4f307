"""What is known exactly, or was published, as settings of the simulator: queueing theory and SimFaaS.

An instance without overhead, whose run is the service time and whose batches hold one, is a server of queueing theory.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from planner.model import ColdStartModel, InstanceModel, Quantiles, VariantModel, quantiles_at
from planner.plans import SKUS, PremiumPlan
from planner.simulator import Estimate, PerRequestPlan, Replicated, ServiceSettings, replicate

N_QUANTILES = 100_001
UNLIMITED = 10**9
PATIENT = ServiceSettings(sheds=False, deadline_s=math.inf, max_held=UNLIMITED)
SIMFAAS_COLD_SHARE = 1213 / 898_469
"Of the run in SimFaaS' README, which prints it as 0.0014."
SIMFAAS_INSTANCES = 7.6795
"Of the run in its documentation; 7.6612 in its README."


@dataclass(frozen=True, slots=True)
class Check:
    """A figure beside what it has to be."""

    figure: str
    found: Estimate
    expected: float

    @property
    def error(self) -> float:
        """Relative."""
        return self.found.mean / self.expected - 1

    @property
    def margin(self) -> float:
        """Half the width of the 95 % interval, relative."""
        return self.found.margin / self.expected


Oracle = Callable[[int, int], list[Check]]
"Takes requests and seeds."


def exponential(mean_s: float) -> Quantiles:
    return quantiles_at(lambda p: -mean_s * np.log1p(-p), n=N_QUANTILES)


def hyperexponential(mean_s: float, *, squared_cv: float) -> Quantiles:
    """Two phases of the same weight in the mean."""
    first = (1 + math.sqrt((squared_cv - 1) / (squared_cv + 1))) / 2
    rates = 2 * first / mean_s, 2 * (1 - first) / mean_s
    times_s = np.linspace(0, 20 / rates[1], 1_000_001)
    above = first * np.exp(-rates[0] * times_s) + (1 - first) * np.exp(-rates[1] * times_s)
    return quantiles_at(lambda p: np.interp(p, 1 - above, times_s), n=N_QUANTILES)


def server(service_s: Quantiles, *, limit: int = UNLIMITED, cold_s: Quantiles = (0.0,)) -> InstanceModel:
    return InstanceModel(
        sku="EP1",
        overhead_s=(0.0,),
        variants=(VariantModel(name="only", ndcg_10=None, batch_sizes=(1,), run_s=(service_s,)),),
        cold_start=ColdStartModel(ready_s=cold_s),
        concurrency_limit=limit,
        max_batch=1,
    )


def poisson(rate_per_s: float, n: int) -> Callable[[np.random.Generator], NDArray[np.float64]]:
    return lambda rng: np.cumsum(rng.exponential(1 / rate_per_s, n))


def premium(n_instances: int) -> PremiumPlan:
    """Servers that stay as many as they are."""
    return PremiumPlan(sku=SKUS["EP1"], always_ready=n_instances, pre_warmed=0, max_burst=n_instances)


def blocked_share(n_servers: int, offered: float) -> float:
    """Erlang B."""
    blocked = 1.0
    for n in range(1, n_servers + 1):
        blocked = offered * blocked / (n + offered * blocked)
    return blocked


def waiting_share(n_servers: int, offered: float) -> float:
    """Erlang C."""
    blocked = blocked_share(n_servers, offered)
    return blocked / (1 - offered / n_servers * (1 - blocked))


def erlang_b(service_s: Quantiles) -> Oracle:
    """Premium instances that refuse whoever would wait."""

    def check(n: int, n_seeds: int) -> list[Check]:
        found = replicate(
            poisson(4.0, n),
            n_seeds=n_seeds,
            plan=premium(5),
            instance=server(service_s, limit=1),
            service=PATIENT,
        )
        return [Check("share refused", found["shed_share"], blocked_share(5, 4.0))]

    return check


def erlang_c(n: int, n_seeds: int) -> list[Check]:
    """Instances by the request, at their most, with requests that wait for them."""
    n_servers, offered = 5, 3.0
    found = replicate(
        poisson(offered, n),
        n_seeds=n_seeds,
        plan=PerRequestPlan(kept=n_servers, max_instances=n_servers, holds=True),
        instance=server(exponential(1.0)),
        service=PATIENT,
    )
    waiting = waiting_share(n_servers, offered)
    return [
        Check("share that waits", found["impacted_share"], waiting),
        Check("mean time, s", found["mean_s"], 1 + waiting / (n_servers - offered)),
    ]


def pollaczek_khinchine(service_s: Quantiles, *, squared_cv: float) -> Oracle:
    """One Premium instance."""

    def check(n: int, n_seeds: int) -> list[Check]:
        load = 0.5
        found = _one_instance(load, service_s, n, n_seeds)
        wait_s = Estimate(found["mean_s"].mean - 1.0, found["mean_s"].margin)
        return [Check("mean wait, s", wait_s, load * (1 + squared_cv) / (2 * (1 - load)))]

    return check


def sojourn(n: int, n_seeds: int) -> list[Check]:
    """One Premium instance with exponential service: latency is exponential, with a longer mean."""
    load = 0.5
    found = _one_instance(load, exponential(1.0), n, n_seeds)
    return [
        Check(f"{name[:3]}, s", found[name], math.log(1 / share) / (1 - load))
        for name, share in (("p50_s", 0.5), ("p95_s", 0.05), ("p99_s", 0.01))
    ]


def simfaas(n: int, n_seeds: int) -> list[Check]:
    """Instances by the request that end after 600 s without one.

    0.9 requests a second, 1.991 s warm and 2.244 s cold. Source: Mahmoudi and Khazaei, "SimFaaS: A performance
    simulator for serverless computing platforms" (CLOSER 2021), and its README.
    """
    found = replicate(
        poisson(0.9, n),
        n_seeds=n_seeds,
        plan=PerRequestPlan(expiry_s=600.0),
        instance=server(exponential(1.991), cold_s=exponential(2.244 - 1.991)),
        service=PATIENT,
    )
    duration_s = found["duration_s"].mean
    allocated = found["total_allocated_s"]
    return [
        Check("cold share", found["cold_share"], SIMFAAS_COLD_SHARE),
        Check(
            "instances",
            Estimate(allocated.mean / duration_s, allocated.margin / duration_s),
            SIMFAAS_INSTANCES,
        ),
    ]


def _one_instance(load: float, service_s: Quantiles, n: int, n_seeds: int) -> Replicated:
    return replicate(
        poisson(load, n), n_seeds=n_seeds, plan=premium(1), instance=server(service_s), service=PATIENT
    )


ORACLES: dict[str, Oracle] = {
    "Erlang B, exponential service": erlang_b(exponential(1.0)),
    "Erlang B, deterministic service": erlang_b((1.0,)),
    "Erlang C": erlang_c,
    "M/D/1": pollaczek_khinchine((1.0,), squared_cv=0.0),
    "M/M/1": pollaczek_khinchine(exponential(1.0), squared_cv=1.0),
    "M/H2/1": pollaczek_khinchine(hyperexponential(1.0, squared_cv=4.0), squared_cv=4.0),
    "M/M/1, percentiles": sojourn,
    "SimFaaS": simfaas,
}
