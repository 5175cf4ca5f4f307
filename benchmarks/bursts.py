"""The same burst against 0, 1 and 2 pre-warmed instances: who waits, and what the reserve costs.

A plan with one always-ready instance meets a calm rate, then twenty times that for half a minute, which is more
than one instance carries. Its catalogue is large enough for an answer to cost milliseconds, so that instances and
not the sender are the limit. The plans come in turns, each with the same arrivals.

    cold        instances that requests were sent to before they were ready
    impacted    requests that the front end held for one of these
    allocated   seconds that instances existed, from the plan's start to its end, by what they were for

This machine has fewer cores than a burst has instances: they share them, and a further instance adds less capacity
here than on a plan, where each has its own.
"""

import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import uvloop
from numpy.typing import NDArray

from benchmarks.closed_loop import closed_loop
from benchmarks.observed import Observed, observe
from benchmarks.plan import running_plan
from benchmarks.server import ROOT, serving
from benchmarks.traffic import ask
from planner.arrivals import Phase, poisson

N_ALWAYS_READY = 1
PRE_WARMED = (0, 1, 2)
SLO_S = 0.025
CALM_S, BURST_S = 15.0, 30.0
BURST_OVER_CALM = 20.0
ONSET_S = 5.0
"The first part of a burst, in which instances start."
CAPACITY_S = 4.0
PICTURE = ROOT / "docs" / "bursts.svg"


@dataclass(frozen=True, slots=True, kw_only=True)
class BurstsBench:
    n_items: int = 200_000
    "Of the synthetic catalogue."
    over_capacity: float = 1.0
    "Rate of the burst in shares of what one instance can answer."
    max_burst: int = 3
    rounds: int = 3
    seed: int = 0


def run(bench: BurstsBench, *, on_stage: Callable[[str], None] = lambda _: None) -> dict[str, Any]:
    """Find the capacity of an instance, then send the burst to every plan."""
    from benchmarks.synthetic_models import SyntheticModels, write_synthetic_models

    rng = np.random.default_rng(bench.seed)
    with tempfile.TemporaryDirectory(prefix="recserve-bursts-") as folder:
        models = Path(folder) / "models"
        size = SyntheticModels(n_items=bench.n_items, seed=bench.seed)
        requests = [ask(history.tolist()) for history in write_synthetic_models(models, size)]
        settings = {"RECSERVE_MODELS_DIR": str(models), "RECSERVE_RELOAD_S": "0"}
        capacity_per_s = _capacity(Path(folder), settings, requests)
        on_stage(f"one instance answers {capacity_per_s:.0f} requests a second")
        burst = Phase(bench.over_capacity * capacity_per_s, BURST_S)
        calm = Phase(burst.rate_per_s / BURST_OVER_CALM, CALM_S)
        runs: dict[int, list[dict[str, Any]]] = {n: [] for n in PRE_WARMED}
        courses: dict[str, Any] = {}
        for turn in range(bench.rounds):
            arrivals_s = poisson([calm, burst, calm], rng)
            for n_pre_warmed in PRE_WARMED[turn % 3 :] + PRE_WARMED[: turn % 3]:
                on_stage(f"round {turn + 1}: {n_pre_warmed} pre-warmed")
                data = Path(folder) / f"plan-{turn}-{n_pre_warmed}"
                observed, figures = _send_burst(bench, data, settings, n_pre_warmed, arrivals_s, requests)
                runs[n_pre_warmed].append(figures)
                courses[str(n_pre_warmed)] = _course(observed)
    return {
        "capacity_per_s": round(capacity_per_s, 1),
        "calm_per_s": round(calm.rate_per_s, 1),
        "burst_per_s": round(burst.rate_per_s, 1),
        "plans": {str(n): {"median": _median(of_plan), "rounds": of_plan} for n, of_plan in runs.items()},
        "course_of_last_round": courses,
    }


def _capacity(folder: Path, settings: dict[str, str], requests: list[bytes]) -> float:
    state = {"RECSERVE_STATE_PATH": str(folder / "capacity.db")}
    with serving(settings | state, core=0, log=folder / "capacity.log") as server:
        return uvloop.run(
            closed_loop(server.port, requests, n_callers=32, duration_s=CAPACITY_S, burn_in_s=2.0)
        ).per_s


def _send_burst(
    bench: BurstsBench,
    data: Path,
    settings: dict[str, str],
    n_pre_warmed: int,
    arrivals_s: NDArray[np.float64],
    requests: list[bytes],
) -> tuple[Observed, dict[str, Any]]:
    options = [
        *(
            "--always-ready",
            str(N_ALWAYS_READY),
            "--pre-warmed",
            str(n_pre_warmed),
            "--max-burst",
            str(bench.max_burst),
        ),
        *("--idle-s", "600"),
    ]
    state = {"RECSERVE_STATE_PATH": str(data.with_suffix(".db"))}
    with running_plan(data, settings | state, options=options) as plan:
        began_s = time.monotonic()
        observed = observe(plan.port, arrivals_s=arrivals_s, requests=requests)
        lasted_s = time.monotonic() - began_s
        plan.stop()
        allocated_s = plan.allocated_s()
        active = plan.events("state", to="active")
        n_instances = len({event["instance"] for event in active})
        n_cold = sum(event["from"] == "starting" for event in active) - N_ALWAYS_READY
    burst = observed.within(CALM_S, CALM_S + BURST_S)
    onset = observed.within(CALM_S, CALM_S + ONSET_S)
    answered = observed.status == 200
    return observed, {
        "n": len(arrivals_s),
        "statuses": dict(sorted(Counter(map(str, observed.status.tolist())).items())),
        "n_cold": n_cold,
        "n_impacted": int((observed.held_ms > 0).sum()),
        "longest_held_ms": round(float(observed.held_ms.max()), 1),
        "p99_ms": _p99_ms(observed, answered),
        "burst_p99_ms": _p99_ms(observed, answered & burst),
        "onset_p99_ms": _p99_ms(observed, answered & onset),
        "burst_within_slo": round(
            float((answered & burst & (observed.latency_s <= SLO_S)).sum() / burst.sum()), 4
        ),
        "n_instances": n_instances,
        "allocated_s": round(sum(allocated_s.values()), 1),
        "allocated_s_by_class": allocated_s,
        "lasted_s": round(lasted_s, 1),
        "sender_late_p99_ms": round(float(np.percentile(observed.late_s, 99)) * 1e3, 3),
    }


def _p99_ms(observed: Observed, chosen: NDArray[np.bool_]) -> float:
    return round(float(np.percentile(observed.latency_s[chosen], 99)) * 1e3, 1)


def _median(rounds: list[dict[str, Any]]) -> dict[str, float]:
    numeric = [name for name, value in rounds[0].items() if isinstance(value, int | float)]
    return {name: round(float(np.median([each[name] for each in rounds])), 4) for name in numeric}


def _course(observed: Observed) -> list[dict[str, float]]:
    """p99 and impacted requests of every second."""
    course = []
    for second in range(int(2 * CALM_S + BURST_S)):
        within = observed.within(second, second + 1)
        answered = within & (observed.status == 200)
        course.append(
            {
                "second": second,
                "p99_ms": _p99_ms(observed, answered) if answered.any() else 0.0,
                "n": int(within.sum()),
                "n_impacted": int((observed.held_ms[within] > 0).sum()),
                "n_instances": len({observed.instance[i] for i in np.flatnonzero(answered)}),
            }
        )
    return course


def draw(figures: dict[str, Any], path: Path = PICTURE) -> None:
    """p99 of every second around the burst, a line for each plan."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    colours = {"0": "#a4262c", "1": "#0078d4", "2": "#107c10"}
    with mpl.rc_context({"svg.hashsalt": "bursts", "font.size": 9, "svg.fonttype": "none"}):
        figure = Figure(figsize=(9, 4.5))
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
        for n, course in figures["course_of_last_round"].items():
            seconds = [each["second"] + 0.5 for each in course]
            upper.plot(
                seconds, [each["p99_ms"] for each in course], color=colours[n], label=f"{n} pre-warmed"
            )
            lower.step(
                seconds, [each["n_instances"] for each in course], where="mid", color=colours[n], linewidth=1
            )
        upper.set_yscale("log")
        upper.axhline(SLO_S * 1e3, color="#605e5c", linestyle=":", linewidth=1)
        upper.set_ylabel("p99 of a second, ms (dotted: SLO)")
        upper.legend(frameon=False)
        lower.set_ylabel("instances\nthat answered")
        lower.set_xlabel("seconds; the burst lasts from 15 to 45")
        for axes in (upper, lower):
            axes.axvspan(CALM_S, CALM_S + BURST_S, color="#f3f2f1", zorder=0)
            for side in ("top", "right"):
                axes.spines[side].set_visible(False)
        figure.savefig(path, bbox_inches="tight", metadata={"Date": None})


def format_table(figures: dict[str, Any]) -> str:
    """A line for each plan."""
    lines = [
        f"one instance {figures['capacity_per_s']}/s; calm {figures['calm_per_s']}/s, burst {figures['burst_per_s']}/s"
    ]
    for n, plan in figures["plans"].items():
        of = plan["median"]
        lines.append(
            f"{n} pre-warmed: cold {of['n_cold']:.0f}  impacted {of['n_impacted']:.0f} "
            f"(longest {of['longest_held_ms']:.0f} ms)  p99 onset {of['onset_p99_ms']:.0f}, "
            f"burst {of['burst_p99_ms']:.0f} ms  in SLO {of['burst_within_slo']:.1%}  "
            f"instances {of['n_instances']:.0f}  allocated {of['allocated_s']:.0f} s in {of['lasted_s']:.0f} s"
        )
    return "\n".join(lines)
