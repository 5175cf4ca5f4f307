"""Real arrivals, several times as many: what the recommended plan costs, against two set up without a planner.

All three keep the same promise. The naive ones are those of `planner.naive`: as many always-ready instances as it
takes without a buffer, and always-ready instances for the peak without any burst. The service is the one that
`python -m benchmarks plan-runs` measured on the emulated plan.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.results import RESULTS_DIR
from planner.bounds import Unattainable
from planner.choice import NoPlan
from planner.evaluation import Evaluation, Promise
from planner.measurements import instance_model, read_measurements
from planner.planning import Planned, plan_traffic
from planner.price_list import read_prices
from planner.search import Question, SearchSpace
from planner.traffic import parse_traffic

CONVERSATIONS = "../shared/traces/azure-llm-conv.csv"
FUNCTIONS = "../shared/traces/azure-functions-2021-200.csv"


@dataclass(frozen=True, slots=True, kw_only=True)
class SavingsBench:
    traces: tuple[str, ...] = (CONVERSATIONS, FUNCTIONS)
    rates_per_s: tuple[float, ...] = (100.0, 300.0, 900.0)
    duration_s: float = 600.0
    "Of each trace, from its beginning; it is repeated where it is shorter."
    measurements: str = str(RESULTS_DIR.relative_to(RESULTS_DIR.parents[1]) / "plan_measurements.json")
    slo_ms: float = 25.0
    max_burst: int = 20
    region: str = "eastus"
    n_seeds: int = 5
    seed: int = 0


def run(bench: SavingsBench, *, on_stage: Callable[[str], None] = lambda _: None) -> dict[str, Any]:
    """Plan for every trace at every rate."""
    planned, refused = [], []
    for trace in bench.traces:
        for rate_per_s in bench.rates_per_s:
            on_stage(f"{Path(trace).stem} at {rate_per_s:g}/s")
            try:
                planned.append(describe(plan_trace(bench, trace, rate_per_s), trace=Path(trace).stem))
            except (NoPlan, Unattainable) as err:
                refused.append({"trace": Path(trace).stem, "rate_per_s": rate_per_s, "said": str(err)})
    return {"plans": planned, "refused": refused}


def plan_trace(bench: SavingsBench, trace: str, rate_per_s: float) -> Planned:
    """The plan for a trace whose mean rate is brought to this one."""
    instance = instance_model(read_measurements(Path(bench.measurements)), "EP1")
    traffic = parse_traffic(f"trace:{trace},rate={rate_per_s:g}/s", duration_s=bench.duration_s)
    question = Question(
        arrivals_s=traffic.arrivals_s(seed=bench.seed),
        duration_s=traffic.duration_s,
        instances={"EP1": instance},
        prices=read_prices(bench.region),
        promise=Promise(slo_s=bench.slo_ms / 1e3),
        space=SearchSpace(
            ladders=(tuple(variant.name for variant in instance.variants),),
            bursts=(5, 10, bench.max_burst),
        ),
        seed=bench.seed,
    )
    return plan_traffic(traffic, question, n_seeds=bench.n_seeds)


def describe(planned: Planned, *, trace: str) -> dict[str, Any]:
    """The three plans, their cost a month, and what the recommended one saves."""
    best = planned.choice.cheapest
    naive = {"without_pre_warm": planned.without_pre_warm, "sized_for_peak": planned.sized_for_peak}
    return {
        "trace": trace,
        "rate_per_s": round(planned.rate_per_s, 2),
        "busiest_per_s": round(planned.busiest_per_s, 1),
        "duration_s": round(planned.duration_s, 1),
        "recommended": _figures(best),
        **{name: None if each is None else _figures(each) for name, each in naive.items()},
        "saved": {
            name: None if each is None else round(1 - best.usd_per_month / each.usd_per_month, 4)
            for name, each in naive.items()
        },
    }


def _figures(each: Evaluation) -> dict[str, Any]:
    plan = each.candidate.plan
    return {
        "sku": plan.sku.name,
        "always_ready": plan.always_ready,
        "pre_warmed": plan.pre_warmed,
        "max_burst": plan.max_burst,
        "ladder": list(each.candidate.ladder),
        "usd_per_month": round(each.usd_per_month, 2),
        "p99_ms": round(each.p99_s * 1e3, 3),
        "slo_share": round(each.slo_share, 5),
        "n_instances": round(each.n_instances, 3),
    }


def format_table(figures: dict[str, Any]) -> str:
    """A line for each trace and rate."""
    lines = []
    for each in figures["plans"]:
        against = ", ".join(
            f"{name.replace('_', ' ')} "
            + (
                "never keeps it"
                if each[name] is None
                else f"{each[name]['usd_per_month']:,.2f} (saves {saved:.0%})"
            )
            for name, saved in each["saved"].items()
        )
        best = each["recommended"]
        lines.append(
            f"{each['trace']} at {each['rate_per_s']:g}/s: {best['always_ready']} always ready, "
            f"{best['pre_warmed']} pre-warmed, at most {best['max_burst']}: {best['usd_per_month']:,.2f} USD a month, "
            f"p99 {best['p99_ms']:.1f} ms; {against}"
        )
    lines += [
        f"{each['trace']} at {each['rate_per_s']:g}/s: no plan: {each['said']}" for each in figures["refused"]
    ]
    return "\n".join(lines)
