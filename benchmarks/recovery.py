"""Instances killed and replaced under load: which requests fail, and how long until all is as before.

A plan with two always-ready instances answers an open-loop Poisson load. One of them is killed, as by a crash,
several times over; then all are replaced by a deployment, new ones ready before old ones drain.

    failed      requests without an answer with status 200 or 429, by what they were answered
    in flight   requests that the front end had at the killed instance in the moment before
    recovery    from the kill until as many instances are ready as before
"""

import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np

from benchmarks.observed import Observed, observe
from benchmarks.plan import Plan, running_plan
from benchmarks.results import percentiles
from benchmarks.traffic import real_traffic
from planner.arrivals import Phase, poisson

N_INSTANCES = 2
SETTLE_S = 8.0
"Before the first fault, and after each."
REFUSED = 429
"Load shedding: an answer in time, not a failure of the plan."


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryBench:
    source: str = "../shared/data/ml-latest-small"
    "Dataset whose test users ask."
    rate_per_s: float = 300.0
    n_kills: int = 5
    n_deployments: int = 2
    seed: int = 0


class Fault(NamedTuple):
    """Something that was done to the plan."""

    kind: str
    "kill or deploy."
    began_s: float
    "On the clock of `perf_counter`."
    over_s: float
    "When as many instances were ready as before."
    instances: set[str]
    "Those it was done to."
    n_in_flight: int
    "Requests there, a moment before."


def run(bench: RecoveryBench, *, on_stage: Callable[[str], None] = lambda _: None) -> dict[str, Any]:
    """Load the plan, do the faults, and tell what callers saw."""
    rng = np.random.default_rng(bench.seed)
    traffic = real_traffic(bench.source, max_history=50, rng=rng)
    n_faults = bench.n_kills + bench.n_deployments
    arrivals_s = poisson([Phase(bench.rate_per_s, SETTLE_S * (n_faults + 2) + 3 * n_faults)], rng)
    faults: list[Fault] = []
    with tempfile.TemporaryDirectory(prefix="recserve-recovery-") as folder:
        data = Path(folder) / "plan"
        settings = {"RECSERVE_STATE_PATH": str(Path(folder) / "state.db"), "RECSERVE_RELOAD_S": "0"}
        options = ["--always-ready", str(N_INSTANCES), "--pre-warmed", "0", "--max-burst", "5"]
        options += ["--idle-s", "600", "--target", "32"]
        with running_plan(data, settings, options=options, n_ready=N_INSTANCES) as plan:

            def do_faults() -> None:
                time.sleep(SETTLE_S)
                for number in range(n_faults):
                    kind = "kill" if number < bench.n_kills else "deploy"
                    on_stage(f"{kind} {number + 1} of {n_faults}")
                    faults.append(_do(plan, kind))
                    time.sleep(SETTLE_S)

            observed = observe(plan.port, arrivals_s=arrivals_s, requests=traffic.requests, beside=do_faults)
    return _figures(observed, faults)


def _do(plan: Plan, kind: str) -> Fault:
    load = plan.status()
    victim = next(each for each in load["instances"] if each["state"] == "active")
    began_s = perf_counter()
    if kind == "kill":
        replaced = {str(victim["instance"])}
        plan.command(f"kill {victim['instance']}")
    else:
        replaced = {str(each["instance"]) for each in load["instances"]}
        plan.command("deploy")
    while not _is_whole(plan, without=replaced):
        if perf_counter() - began_s > 60:
            raise RuntimeError(f"the plan did not recover from {kind}")
        time.sleep(0.01)
    return Fault(kind, began_s, perf_counter(), replaced, int(victim["in_flight"]))


def _is_whole(plan: Plan, *, without: set[str]) -> bool:
    """As many instances are active as before, none of them one of those that went."""
    active = {each["instance"] for each in plan.status()["instances"] if each["state"] == "active"}
    return len(active) >= N_INSTANCES and not active & without


def _figures(observed: Observed, faults: list[Fault]) -> dict[str, Any]:
    is_failed = ~np.isin(observed.status, (200, REFUSED))
    told: dict[str, list[dict[str, Any]]] = {"kill": [], "deploy": []}
    for fault in faults:
        start_s, end_s = fault.began_s - observed.started_s, fault.over_s - observed.started_s
        near = observed.within(start_s - 1, end_s + 1)
        answered = near & (observed.status == 200)
        failed = np.flatnonzero(near & is_failed).tolist()
        told[fault.kind].append(
            {
                "n_failed": int((near & is_failed).sum()),
                "failed": dict(Counter(_outcome(observed, number) for number in failed)),
                "n_failed_at_others": sum(
                    observed.instance[number] not in fault.instances for number in failed
                ),
                "n_in_flight_before": fault.n_in_flight,
                "recovery_s": round(fault.over_s - fault.began_s, 2),
                "latencies_ms": percentiles((observed.latency_s[answered] * 1e3).tolist()),
            }
        )
    quiet = np.ones(len(observed.status), bool)
    for fault in faults:
        quiet &= ~observed.within(
            fault.began_s - observed.started_s - 1, fault.over_s - observed.started_s + 1
        )
    answered = quiet & (observed.status == 200)
    return {
        "n": len(observed.status),
        "statuses": dict(sorted(Counter(map(str, observed.status.tolist())).items())),
        "kills": told["kill"],
        "deployments": told["deploy"],
        "n_failed_elsewhere": int((quiet & is_failed).sum()),
        "quiet_latencies_ms": percentiles((observed.latency_s[answered] * 1e3).tolist()),
        "sender_late_ms": percentiles((observed.late_s * 1e3).tolist()),
    }


def _outcome(observed: Observed, number: int) -> str:
    return observed.errors[number] or str(observed.status[number])


def format_table(figures: dict[str, Any]) -> str:
    """A line for each fault."""
    lines = [
        f"{figures['n']:,} requests, {figures['statuses']}; failed away from faults {figures['n_failed_elsewhere']}"
    ]
    for kind in ("kills", "deployments"):
        lines += [
            f"{kind:12} failed {each['n_failed']} {each['failed'] or ''}, at other instances "
            f"{each['n_failed_at_others']}; in flight there before {each['n_in_flight_before']}  "
            f"recovered in {each['recovery_s']} s  p99 {each['latencies_ms']['p99_ms']:.1f} ms"
            for each in figures[kind]
        ]
    lines.append(f"otherwise p99 {figures['quiet_latencies_ms']['p99_ms']:.1f} ms")
    return "\n".join(lines)
