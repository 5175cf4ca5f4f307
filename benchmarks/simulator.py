"""The simulator: whether it is right, and how many requests it simulates in a second."""

import math
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from itertools import product
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.oracles import ORACLES
from planner.arrivals import replay
from planner.model import ColdStartModel, InstanceModel, VariantModel
from planner.plans import SKUS, PremiumPlan
from planner.simulator import PerRequestPlan, Simulated, simulate
from planner.traces import read_trace

N_CONFIGURATIONS = 1000
N_CORES = 2
REPEATS = 5

INSTANCE = InstanceModel(
    sku="EP1",
    overhead_s=(0.00014, 0.00017, 0.0002, 0.00025, 0.0006),
    variants=(
        VariantModel(
            name="student",
            ndcg_10=0.09,
            batch_sizes=(1, 8, 32),
            run_s=((0.003, 0.0033, 0.006), (0.0055, 0.006, 0.009), (0.015, 0.017, 0.024)),
        ),
        VariantModel(
            name="counts", ndcg_10=0.074, batch_sizes=(1, 32), run_s=((0.0002, 0.0003), (0.0009, 0.0012))
        ),
    ),
    cold_start=ColdStartModel(ready_s=(1.1, 1.4, 2.6)),
    concurrency_limit=64,
    max_batch=32,
    network_s=(0.0005,),
)
"An instance with about the times of a large catalogue on the build machine: what is measured here is the simulator."


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatorBench:
    trace: str = "../shared/traces/azure-llm-conv.csv"
    n_requests: int = 4_000_000
    "Of each oracle and seed; three times as many of SimFaaS."
    n_seeds: int = 8
    seed: int = 0


def run(bench: SimulatorBench, *, on_stage: Callable[[str], None]) -> dict[str, Any]:
    """Measure."""
    trace = read_trace(Path(bench.trace)).arrivals_s
    tenfold = _tenfold(trace, bench.seed)
    on_stage("speed in one process")
    speed = _speed(trace, tenfold)
    on_stage(f"a search of {N_CONFIGURATIONS} configurations on {N_CORES} cores")
    search = {"trace": _search(trace), "trace x 10": _search(tenfold)}
    oracles = {}
    for name, oracle in ORACLES.items():
        on_stage(name)
        n_requests = 3 * bench.n_requests if name == "SimFaaS" else bench.n_requests
        for check in oracle(n_requests, bench.n_seeds):
            oracles[f"{name}: {check.figure}"] = {
                "found": check.found.mean,
                "expected": check.expected,
                "error": round(check.error, 6),
                "margin": round(check.margin, 6),
            }
    return {"speed": speed, "search": search, "oracles": oracles}


def format_table(figures: dict[str, Any]) -> str:
    lines = [
        f"{name:44} {each['requests_per_s']:12,.0f} requests/s  {each['ms']:8.2f} ms  p99 {each['p99_ms']:7.2f} ms"
        for name, each in figures["speed"].items()
    ]
    lines += [
        f"{N_CONFIGURATIONS} configurations, {name}: {each['s']:.1f} s on {N_CORES} cores"
        for name, each in figures["search"].items()
    ]
    lines += [
        f"{name:44} {each['found']:12.6g} expected {each['expected']:.6g}, error {each['error']:+.2%} "
        f"(interval +-{each['margin']:.2%})"
        for name, each in figures["oracles"].items()
    ]
    return "\n".join(lines)


def _tenfold(trace: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
    """The trace at ten times its rate, for as long."""
    duration_s = float(trace[-1])
    rate_per_s = 10 * len(trace) / duration_s
    return replay(trace, rate_per_s=rate_per_s, duration_s=duration_s, rng=np.random.default_rng(seed))


def _speed(trace: NDArray[np.float64], tenfold: NDArray[np.float64]) -> dict[str, Any]:
    """Simulations as a search makes them, whole: from arrivals to figures."""
    one, some = (PremiumPlan(sku=SKUS["EP1"], always_ready=n, pre_warmed=n, max_burst=10 * n) for n in (1, 2))
    large = replace(some, sku=SKUS["EP3"])
    cases: dict[str, tuple[NDArray[np.float64], PremiumPlan | PerRequestPlan]] = {
        "trace, EP1, 1 always ready": (trace, one),
        "trace x 10, EP1, 1 always ready": (tenfold, one),
        "trace x 10, EP1, 2 always ready, burst 20": (tenfold, some),
        "trace x 10, EP3, 2 always ready, burst 20": (tenfold, large),
        "trace x 10, an instance by the request": (tenfold, PerRequestPlan()),
    }
    figures = {}
    for name, (arrivals_s, plan) in cases.items():
        simulate(arrivals_s[:1000], plan=plan, instance=INSTANCE)
        spent_s, found = math.inf, None
        for _ in range(REPEATS):
            started_s = time.perf_counter()
            found = simulate(arrivals_s, plan=plan, instance=INSTANCE)
            spent_s = min(spent_s, time.perf_counter() - started_s)
        assert found is not None
        figures[name] = {
            "n": found.n,
            "ms": round(1e3 * spent_s, 3),
            "requests_per_s": round(found.n / spent_s),
            "p99_ms": round(1e3 * found.p99_s, 3),
        }
    return figures


def configurations() -> list[tuple[PremiumPlan, InstanceModel]]:
    """Sizes x always-ready x pre-warmed x burst x ladders."""
    ladders = (INSTANCE.variants, INSTANCE.variants[:1])
    grid = product(SKUS.values(), range(1, 11), range(3), (10, 12, 15, 20, 30, 40), ladders)
    return [
        (
            PremiumPlan(sku=sku, always_ready=always_ready, pre_warmed=pre_warmed, max_burst=max_burst),
            replace(INSTANCE, variants=ladder),
        )
        for sku, always_ready, pre_warmed, max_burst, ladder in grid
    ][:N_CONFIGURATIONS]


def _search(arrivals_s: NDArray[np.float64]) -> dict[str, Any]:
    """Every configuration simulated, none left out for a bound: processes, import and compiled code included."""
    started_s = time.perf_counter()
    context = get_context("spawn")
    with ProcessPoolExecutor(N_CORES, context, initializer=_take, initargs=(arrivals_s,)) as pool:
        found: Iterable[Simulated] = pool.map(_simulate, configurations(), chunksize=20)
        n_met = sum(each.p99_s <= 0.025 and each.shed_share == 0 for each in found)
    spent_s = time.perf_counter() - started_s
    return {
        "n": len(arrivals_s),
        "s": round(spent_s, 2),
        "n_inside_slo": n_met,
        "requests_per_s_and_core": round(N_CONFIGURATIONS * len(arrivals_s) / spent_s / N_CORES),
    }


_arrivals_s: NDArray[np.float64]
"Of this process of the pool, so that they travel once."


def _take(arrivals_s: NDArray[np.float64]) -> None:
    global _arrivals_s
    _arrivals_s = arrivals_s


def _simulate(configuration: tuple[PremiumPlan, InstanceModel]) -> Simulated:
    plan, instance = configuration
    return simulate(_arrivals_s, plan=plan, instance=instance)
