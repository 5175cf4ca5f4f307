"""The planner against the emulated plan: the same arrivals, predicted and observed, every miss shown.

Each run of `plan_cases` is a plan of real processes. Some of them measurements are taken from; the others are
predicted from these. So that both sides mean the same:

    beginning    the always-ready instances are ready, and no request has come yet
    latency      from the scheduled send to the last byte, of requests that were answered
    cold starts  instances that requests waited for while they started
    allocated    seconds of all instances from a moment before the first request to one after the last answer
"""

import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import msgspec
import numpy as np

from benchmarks.observed import Observed as Outcomes
from benchmarks.observed import observe
from benchmarks.plan import running_plan
from benchmarks.plan_calibration import bare_runs_ms, calibrate
from benchmarks.plan_cases import CALIBRATION, HELD_OUT, Case
from benchmarks.results import describe_result
from benchmarks.traffic import ask
from emulator.premium_plan import names
from planner.backtest import (
    Comparison,
    Observed,
    Run,
    backtest_json,
    backtest_lines,
    backtest_runs,
    summary_of,
    write_runs,
)
from planner.measurements import Measurements, write_measurements

REFUSED = 429
SETTINGS = {"RECSERVE_RELOAD_S": "0", "RECSERVE_BROWNOUT_AT": "1"}
"One rung: how answers get cheaper under pressure is not what is tested here."
RUNS, MEASUREMENTS, ERRORS = "plan_runs", "plan_measurements", "backtest"
"Files that are written."


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanRunsBench:
    n_items: int = 50_000
    "Of the synthetic catalogue."
    only: tuple[str, ...] = ()
    "Names of held-out cases; empty: all."
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One run, and what the planner's file does not hold of it."""

    run: Run
    outcomes: Outcomes
    ready_ms: tuple[float, ...]
    "Of every start that ended beside load."

    def describe(self) -> dict[str, Any]:
        """Whether the run is one to believe: what callers got, and how late the sender was."""
        outcomes = self.outcomes
        return {
            "n": len(outcomes.status),
            "statuses": dict(sorted(Counter(map(str, outcomes.status.tolist())).items())),
            "sender_late_p99_ms": round(float(np.percentile(outcomes.late_s, 99)) * 1e3, 3),
            "ready_ms": [round(each) for each in self.ready_ms],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanRuns:
    """All runs, what was measured of some of them, and how wrong the others were predicted from that."""

    seen: tuple[Seen, ...]
    measurements: Measurements
    comparisons: tuple[Comparison, ...]


def run(bench: PlanRunsBench, *, on_stage: Callable[[str], None] = lambda _: None) -> PlanRuns:
    """Run every case, one after the other, and predict those that are held out.

    Raises:
        ValueError: there is no case of a name.
    """
    cases = (*CALIBRATION, *_chosen(bench.only))
    from benchmarks.synthetic_models import SyntheticModels, write_synthetic_models

    with tempfile.TemporaryDirectory(prefix="recserve-plan-runs-") as folder:
        models = Path(folder) / "models"
        histories = write_synthetic_models(models, SyntheticModels(n_items=bench.n_items, seed=bench.seed))
        requests = [ask(history.tolist()) for history in histories]
        bare_ms = bare_runs_ms(models, histories, Path(folder) / "bare.db")
        on_stage("bare runs: " + ", ".join(f"{spent:.2f} ms at {size}" for size, spent in bare_ms.items()))
        settings = SETTINGS | {"RECSERVE_MODELS_DIR": str(models)}
        seen = []
        for number, case in enumerate(cases):
            on_stage(f"{number + 1} of {len(cases)}: {case.name}, {case.traffic}")
            data = Path(folder) / f"plan-{number}"
            seen.append(run_case(case, data, settings, requests, seed=bench.seed + seed_of(case)))
    fitted = [each for each in seen if each.run.is_fitted]
    measurements = calibrate(
        [each.outcomes for each in fitted],
        [ready for each in fitted for ready in each.ready_ms],
        bare_ms=bare_ms,
    )
    runs = [(each.run, np.array(each.run.arrivals_s)) for each in seen]
    return PlanRuns(
        seen=tuple(seen),
        measurements=measurements,
        comparisons=tuple(backtest_runs(runs, measurements)),
    )


def run_case(
    case: Case, data: Path, settings: dict[str, str], requests: Sequence[bytes], *, seed: int
) -> Seen:
    """Run a plan under a traffic, and take down what the planner is to predict.

    Args:
        data: the plan's folder.
        settings: app settings.
        requests: taken in turn.
        seed: of the arrivals.
    """
    arrivals_s = case.arrivals_s(seed=seed)
    settings = settings | {"RECSERVE_STATE_PATH": str(data.with_suffix(".db"))}
    with running_plan(data, settings, options=case.options, n_ready=case.always_ready) as plan:
        before_s = plan.status()[names.SECONDS]
        began_s = perf_counter()
        outcomes = observe(plan.port, arrivals_s=arrivals_s, requests=requests)
        after_s = plan.status()[names.SECONDS]
        lasted_s = perf_counter() - began_s
        ready_ms = [
            1e3 * event[names.READY_S]
            for event in plan.events(names.STATE, **{names.CAUSE: "scale_out"})
            if names.READY_S in event
        ]
    allocated_s = {kind: spent - before_s.get(kind, 0.0) for kind, spent in after_s.items()}
    return Seen(
        run=Run(
            name=case.name,
            plan=case.plan,
            scale=case.scale,
            arrivals_s=tuple(np.round(arrivals_s + (outcomes.started_s - began_s), 4).tolist()),
            duration_s=round(lasted_s, 4),
            brownout=False,
            is_fitted=case.is_fitted,
            observed=summarise(outcomes, allocated_s),
        ),
        outcomes=outcomes,
        ready_ms=tuple(ready_ms),
    )


def summarise(outcomes: Outcomes, allocated_s: dict[str, float]) -> Observed:
    """The figures that the planner predicts."""
    is_answered, is_impacted = outcomes.status == 200, outcomes.held_ms > 0
    p50_ms, p95_ms, p99_ms = (
        np.percentile(outcomes.latency_s[is_answered] * 1e3, [50, 95, 99]).round(4).tolist()
    )
    cold = {outcomes.instance[number] for number in np.flatnonzero(is_impacted).tolist()} - {""}
    n = len(outcomes.status)
    return Observed(
        p50_ms=p50_ms,
        p95_ms=p95_ms,
        p99_ms=p99_ms,
        cold_starts=len(cold),
        cold_share=round(len(cold) / n, 6),
        impacted_share=round(float(is_impacted.mean()), 6),
        shed_share=round(float((outcomes.status == REFUSED).mean()), 6),
        allocated_s={kind: round(spent, 3) for kind, spent in allocated_s.items() if spent > 0},
    )


def write(bench: PlanRunsBench, done: PlanRuns, folder: Path) -> list[Path]:
    """Write the runs, the measurements, and the errors; gives the files."""
    runs, measurements, errors = (folder / f"{name}.json" for name in (RUNS, MEASUREMENTS, ERRORS))
    folder.mkdir(parents=True, exist_ok=True)
    about = describe_result(RUNS, settings=asdict(bench), figures={})
    del about["figures"]
    write_runs([each.run for each in done.seen], runs, source="the emulated plan", about=about)
    write_measurements(done.measurements, measurements)
    figures = {
        "summary": summary_of(done.comparisons),
        "comparisons": msgspec.json.decode(backtest_json(done.comparisons)),
        "runs": {each.run.name: each.describe() for each in done.seen},
    }
    result = describe_result(ERRORS, settings=asdict(bench), figures=figures)
    errors.write_bytes(msgspec.json.format(msgspec.json.encode(result), indent=2) + b"\n")
    return [runs, measurements, errors]


def format_table(done: PlanRuns) -> str:
    """Predicted against observed, figure by figure, and what the runs were like."""
    n_fitted = sum(each.run.is_fitted for each in done.seen)
    lines = list(backtest_lines(done.comparisons, n_fitted=n_fitted))
    lines += [
        f"{each.run.name}: {about['n']} requests {about['statuses']}, sender late p99 {about['sender_late_p99_ms']} ms"
        for each in done.seen
        for about in (each.describe(),)
    ]
    return "\n".join(lines)


def seed_of(case: Case) -> int:
    """The same whichever others are run."""
    return [each.name for each in (*CALIBRATION, *HELD_OUT)].index(case.name)


def _chosen(only: Sequence[str]) -> tuple[Case, ...]:
    known = {case.name: case for case in HELD_OUT}
    for name in only:
        if name not in known:
            raise ValueError(f"no case {name!r}; there are {', '.join(known)}")
    return tuple(known[name] for name in only) or HELD_OUT
