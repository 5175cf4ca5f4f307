"""How wrong the planner was: runs that were observed, predicted again, figure by figure.

A file holds runs as `benchmarks` observed them on the emulated plan, or as anybody observed his own:

    {"format": 1, "runs": [{"name": "bursts, 1 pre-warmed", "arrivals_s": [0.0, 0.013], "duration_s": 60,
      "plan": {"sku": "EP1", "always_ready": 1, "pre_warmed": 1, "max_burst": 4},
      "observed": {"p50_ms": 1.9, "p95_ms": 8.2, "p99_ms": 31, "cold_starts": 2, "cold_share": 0.01,
                   "allocated_s": {"active": 55.1, "idle": 4.9, "pre_warmed": 58.2}}}]}

Arrivals stand in the file, or in a trace that it names. A run that measurements were taken from is no test of
them: it says so with `is_fitted`, and counts for nothing here.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from planner.evaluation import with_ladder
from planner.measurements import Measurements, instance_model
from planner.plan_report import table
from planner.plans import PremiumPlan, sku_named
from planner.scale_rules import ScaleSettings
from planner.simulator import Simulated, simulate
from planner.traces import read_trace

Figure = Literal[
    "p50", "p95", "p99", "cold_starts", "cold_share", "impacted_share", "shed_share", "allocated"
]
LIMITS: dict[Figure, float | None] = {
    "p50": None,
    "p95": 0.15,
    "p99": None,
    "cold_starts": 0.10,
    "cold_share": None,
    "impacted_share": None,
    "shed_share": None,
    "allocated": 0.05,
}
"What an error may be, in shares of what was observed; None: it is told and not judged."
N_SEEDS = 5
NO_SHARE = 0.001
"What is as good as no share."

Time = Annotated[float, Meta(ge=0)]
Share = Annotated[float, Meta(ge=0, le=1)]


class BacktestError(ValueError):
    """Observed runs that cannot be read; the message names value and remedy."""


class PlanOfRun(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an operator had set."""

    sku: str
    always_ready: int = 1
    pre_warmed: int = 1
    max_burst: int = 20
    scale_limit: int | None = None


class Observed(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What was seen; latencies of answered requests."""

    p50_ms: Time
    p95_ms: Time
    p99_ms: Time
    cold_share: Share | None = None
    "Of all requests, those that were the first to wait for a start."
    cold_starts: Annotated[int, Meta(ge=0)] | None = None
    "Instances that a request waited for while they started."
    impacted_share: Share | None = None
    "Of all requests, those that waited for an instance."
    shed_share: Share | None = None
    allocated_s: dict[str, Time]
    "Seconds of all instances, by class as `planner.allocation` names them."


class Run(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One observed run."""

    name: str
    plan: PlanOfRun
    scale: ScaleSettings = msgspec.field(default_factory=ScaleSettings)
    arrivals_s: tuple[Time, ...] = ()
    trace: str = ""
    "Path of a file of `planner.traces`, from the folder of this file, where no arrivals stand here."
    duration_s: Annotated[float, Meta(gt=0)]
    ladder: tuple[str, ...] = ()
    "Variants, best first; empty: those of the measurements."
    brownout: bool = True
    slo_ms: Annotated[float, Meta(gt=0)] = 25.0
    is_fitted: bool = False
    "Whether the measurements were taken from this run."
    observed: Observed


class Runs(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    format: Literal[1] = 1
    source: str = ""
    about: dict[str, Any] = {}
    "Commit, machine and settings, where they are known."
    runs: tuple[Run, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One figure of one run; times in seconds."""

    run: str
    figure: Figure
    observed: float
    predicted: float

    @property
    def error(self) -> float:
        """In shares of what was observed; of nothing observed, endless unless nothing was predicted."""
        if self.observed:
            return (self.predicted - self.observed) / self.observed
        return 0.0 if self.predicted < (NO_SHARE if self.figure.endswith("share") else 0.5) else math.inf

    @property
    def is_miss(self) -> bool:
        limit = LIMITS[self.figure]
        return limit is not None and abs(self.error) > limit


def read_runs(path: Path) -> list[tuple[Run, NDArray[np.float64]]]:
    """Runs of a file, each with its arrivals.

    Raises:
        BacktestError: it cannot be read, or a run makes no sense.
        TraceError: a trace cannot be read.
    """
    remedy = "write runs as the docstring of planner/backtest.py shows"
    try:
        runs = msgspec.json.decode(path.read_bytes(), type=Runs).runs
    except OSError as err:
        raise BacktestError(f"cannot read runs {str(path)!r}: {err.strerror}; name a file with runs") from err
    except msgspec.DecodeError as err:
        raise BacktestError(f"{path} holds no runs: {err}; {remedy}") from err
    if not runs:
        raise BacktestError(f"{path} has no runs; {remedy}")
    return [(run, _arrivals_s(run, path)) for run in runs]


def write_runs(
    runs: Sequence[Run], path: Path, *, source: str = "", about: Mapping[str, Any] | None = None
) -> None:
    """Write observed runs for the backtest to read."""
    content = Runs(runs=tuple(runs), source=source, about=dict(about or {}))
    path.write_bytes(msgspec.json.encode(content) + b"\n")


def backtest_runs(
    runs: Sequence[tuple[Run, NDArray[np.float64]]],
    measurements: Measurements,
    *,
    extrapolates: bool = False,
    n_seeds: int = N_SEEDS,
    seed: int = 0,
) -> list[Comparison]:
    """Predict each run that was not fitted, and compare.

    A prediction is the mean over seeds.

    Raises:
        MeasurementsError: a size or a variant was never measured.
    """
    comparisons: list[Comparison] = []
    for run, arrivals_s in runs:
        if run.is_fitted:
            continue
        predicted = _predict(
            run, arrivals_s, measurements, extrapolates=extrapolates, n_seeds=n_seeds, seed=seed
        )
        comparisons += _compare(run, predicted)
    return comparisons


def backtest_lines(comparisons: Sequence[Comparison], *, n_fitted: int = 0) -> Iterator[str]:
    """Predicted against observed, and how many were missed."""
    rows = [
        (
            each.run,
            each.figure,
            _told(each.figure, each.observed),
            _told(each.figure, each.predicted),
            f"{each.error:+.1%}",
            _verdict(each),
        )
        for each in comparisons
    ]
    yield from table(("run", "figure", "observed", "predicted", "error", "limit"), rows)
    yield ""
    for figure, of in summary_of(comparisons).items():
        told = f"{figure:<14} {of['n']} runs, median error {of['median_error']:.1%}, worst {of['worst_error']:.1%}"
        if of["limit"] is not None:
            told += f"; {of['n_missed']} beyond {of['limit']:.0%}"
        yield told
    if n_fitted:
        yield f"{n_fitted} runs were fitted and are left out"


def summary_of(comparisons: Sequence[Comparison]) -> dict[Figure, dict[str, Any]]:
    """Of each figure, how many runs have it, the size of its errors, and how many are beyond its limit."""
    summary: dict[Figure, dict[str, Any]] = {}
    for figure, limit in LIMITS.items():
        of_figure = [each for each in comparisons if each.figure == figure]
        if not of_figure:
            continue
        errors = sorted(abs(each.error) for each in of_figure)
        summary[figure] = {
            "n": len(of_figure),
            "median_error": float(np.median(errors)),
            "worst_error": errors[-1],
            "limit": limit,
            "n_missed": sum(each.is_miss for each in of_figure),
        }
    return summary


def backtest_json(comparisons: Sequence[Comparison]) -> str:
    """The same for machines; times in seconds, errors in shares, null where nothing was observed."""
    rows = [
        {
            "run": each.run,
            "figure": each.figure,
            "observed": each.observed,
            "predicted": each.predicted,
            "error": each.error if math.isfinite(each.error) else None,
            "limit": LIMITS[each.figure],
            "is_miss": each.is_miss,
        }
        for each in comparisons
    ]
    return msgspec.json.format(msgspec.json.encode(rows), indent=2).decode()


def _arrivals_s(run: Run, path: Path) -> NDArray[np.float64]:
    if bool(run.arrivals_s) == bool(run.trace):
        raise BacktestError(f"{path}: run {run.name!r} needs either arrivals_s or a trace; send one of them")
    arrivals_s = (
        np.array(run.arrivals_s) if run.arrivals_s else read_trace(path.parent / run.trace).arrivals_s
    )
    if (np.diff(arrivals_s) < 0).any():
        number = int(np.argmax(np.diff(arrivals_s) < 0))
        raise BacktestError(
            f"{path}: run {run.name!r}: arrival {arrivals_s[number + 1]:g} comes after {arrivals_s[number]:g}; "
            "sort the arrivals"
        )
    if arrivals_s[-1] > run.duration_s:
        raise BacktestError(
            f"{path}: run {run.name!r} has an arrival at {arrivals_s[-1]:g} s, after its {run.duration_s:g} s; "
            "lengthen the run"
        )
    return arrivals_s


def _predict(
    run: Run,
    arrivals_s: NDArray[np.float64],
    measurements: Measurements,
    *,
    extrapolates: bool,
    n_seeds: int,
    seed: int,
) -> list[Simulated]:
    instance = instance_model(measurements, run.plan.sku, ladder=run.ladder, extrapolates=extrapolates)
    ladder = run.ladder or tuple(variant.name for variant in instance.variants)
    try:
        plan = PremiumPlan(
            sku=sku_named(run.plan.sku),
            always_ready=run.plan.always_ready,
            pre_warmed=run.plan.pre_warmed,
            max_burst=run.plan.max_burst,
            scale_limit=run.plan.scale_limit,
        )
    except ValueError as err:
        raise BacktestError(f"run {run.name!r}: {err}") from err
    return [
        simulate(
            arrivals_s,
            plan=plan,
            instance=with_ladder(instance, ladder),
            scale=run.scale,
            brownout=run.brownout,
            slo_s=run.slo_ms / 1e3,
            seed=seed + number,
            duration_s=run.duration_s,
        )
        for number in range(n_seeds)
    ]


def _compare(run: Run, predicted: Sequence[Simulated]) -> Iterator[Comparison]:
    observed = run.observed
    pairs: list[tuple[Figure, float | None, list[float]]] = [
        ("p50", observed.p50_ms / 1e3, [each.p50_s for each in predicted]),
        ("p95", observed.p95_ms / 1e3, [each.p95_s for each in predicted]),
        ("p99", observed.p99_ms / 1e3, [each.p99_s for each in predicted]),
        ("cold_starts", observed.cold_starts, [each.cold_starts for each in predicted]),
        ("cold_share", observed.cold_share, [each.cold_share for each in predicted]),
        ("impacted_share", observed.impacted_share, [each.impacted_share for each in predicted]),
        ("shed_share", observed.shed_share, [each.shed_share for each in predicted]),
        (
            "allocated",
            sum(observed.allocated_s.values()),
            [sum(each.allocated_s.values()) for each in predicted],
        ),
    ]
    for figure, seen, values in pairs:
        if seen is not None:
            yield Comparison(
                run=run.name, figure=figure, observed=float(seen), predicted=float(np.mean(values))
            )


def _told(figure: Figure, value: float) -> str:
    if figure in ("p50", "p95", "p99"):
        return f"{value * 1e3:.2f} ms"
    if figure.endswith("share"):
        return f"{value:.3%}"
    return f"{value:.1f} s" if figure == "allocated" else f"{value:.1f}"


def _verdict(comparison: Comparison) -> str:
    limit = LIMITS[comparison.figure]
    if limit is None:
        return ""
    return f"MISS, {limit:.0%}" if comparison.is_miss else f"{limit:.0%}"
