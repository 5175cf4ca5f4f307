"""Runs whose figures are known because the simulator itself made them, told with and without errors."""

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from planner.backtest import (
    BacktestError,
    Comparison,
    Observed,
    PlanOfRun,
    Run,
    backtest_lines,
    backtest_runs,
    read_runs,
    summary_of,
    write_runs,
)
from planner.measurements import (
    MeasuredInstance,
    MeasuredVariant,
    Measurements,
    MeasurementsError,
    Runs,
    instance_model,
    write_measurements,
)
from planner.plans import SKUS, PremiumPlan
from planner.simulator import simulate

MEASURED = Measurements(
    measured="2026-11-22",
    source="by hand",
    instances=(
        MeasuredInstance(
            sku="EP1",
            overhead_ms=(2.0,),
            variants=(MeasuredVariant(name="student", runs=(Runs(batch_size=1, run_ms=(18.0, 30.0)),)),),
            ready_ms=(1000.0, 2000.0),
            concurrency_limit=16,
            max_batch=1,
        ),
    ),
)
DURATION_S = 60.0


def observed_run(**changes: Any) -> Run:
    """A run as it was simulated with a seed that no prediction uses."""
    rng = np.random.default_rng(3)
    arrivals_s = np.sort(rng.random(60 * 55)) * DURATION_S
    plan = PremiumPlan(sku=SKUS["EP1"], always_ready=1, pre_warmed=1, max_burst=4)
    seen = simulate(
        arrivals_s, plan=plan, instance=instance_model(MEASURED, "EP1"), duration_s=DURATION_S, seed=99
    )
    observed = Observed(
        p50_ms=seen.p50_s * 1e3,
        p95_ms=seen.p95_s * 1e3,
        p99_ms=seen.p99_s * 1e3,
        cold_share=seen.cold_share,
        cold_starts=seen.cold_starts,
        allocated_s=dict(seen.allocated_s),
    )
    run = Run(
        name="55 a second",
        plan=PlanOfRun(sku="EP1", max_burst=4),
        arrivals_s=tuple(float(at_s) for at_s in arrivals_s),
        duration_s=DURATION_S,
        observed=observed,
    )
    return msgspec.structs.replace(run, **changes)


def figures(run: Run) -> dict[str, Comparison]:
    arrivals_s = np.array(run.arrivals_s)
    return {each.figure: each for each in backtest_runs([(run, arrivals_s)], MEASURED, n_seeds=3)}


def test_run_that_behaved_as_predicted_is_within_the_limits() -> None:
    compared = figures(observed_run())

    assert list(compared) == ["p50", "p95", "p99", "cold_starts", "cold_share", "allocated"]
    assert not compared["p95"].is_miss
    assert not compared["allocated"].is_miss


def test_every_figure_beyond_its_limit_is_a_miss() -> None:
    run = observed_run()
    slower = msgspec.structs.replace(
        run.observed, p95_ms=2 * run.observed.p95_ms, allocated_s={"active": 900.0}
    )

    compared = figures(msgspec.structs.replace(run, observed=slower))

    assert compared["p95"].error == pytest.approx(-0.5, abs=0.05)
    assert {figure for figure, each in compared.items() if each.is_miss} >= {"p95", "allocated"}
    assert any("MISS, 15%" in line for line in backtest_lines(list(compared.values())))


def test_fitted_run_counts_for_nothing() -> None:
    run = observed_run(is_fitted=True)

    assert backtest_runs([(run, np.array(run.arrivals_s))], MEASURED) == []


def test_nothing_observed_and_something_predicted_is_endlessly_wrong() -> None:
    wrong = Comparison(run="quiet", figure="cold_starts", observed=0.0, predicted=2.0)
    right = Comparison(run="quiet", figure="cold_starts", observed=0.0, predicted=0.2)

    assert (wrong.error, right.error) == (math.inf, 0.0)
    assert wrong.is_miss
    assert not right.is_miss


def test_size_that_was_never_measured_is_refused() -> None:
    run = observed_run(plan=PlanOfRun(sku="EP2", max_burst=4))

    with pytest.raises(MeasurementsError, match="EP2 was never measured"):
        figures(run)


@pytest.mark.parametrize(
    ("figure", "predicted", "error"),
    [
        ("cold_starts", 0.4, 0.0),
        ("cold_starts", 0.6, math.inf),
        ("shed_share", 0.0004, 0.0),
        ("shed_share", 0.1, math.inf),
    ],
)
def test_something_predicted_where_nothing_was_observed_is_an_endless_error(
    figure: Any, predicted: float, error: float
) -> None:
    assert Comparison(run="quiet", figure=figure, observed=0.0, predicted=predicted).error == error


def test_misses_are_counted_for_each_figure() -> None:
    comparisons = [
        Comparison(run=name, figure="p95", observed=1.0, predicted=predicted)
        for name, predicted in (("one", 1.1), ("two", 0.8), ("three", 1.0))
    ]

    summary = summary_of(comparisons)

    assert list(summary) == ["p95"]
    assert summary["p95"]["n_missed"] == 1
    assert summary["p95"]["median_error"] == pytest.approx(0.1)


def test_runs_survive_their_file(tmp_path: Path) -> None:
    run = observed_run()
    write_runs([run], tmp_path / "runs.json", source="a test")

    [(again, arrivals_s)] = read_runs(tmp_path / "runs.json")

    assert again == run
    assert arrivals_s.tolist() == list(run.arrivals_s)


def test_arrivals_may_stand_in_a_trace_beside_the_file(tmp_path: Path) -> None:
    (tmp_path / "trace.csv").write_text("timestamp\n0\n1\n2.5\n")
    write_runs([observed_run(arrivals_s=(), trace="trace.csv")], tmp_path / "runs.json")

    [(_, arrivals_s)] = read_runs(tmp_path / "runs.json")

    assert arrivals_s.tolist() == [0.0, 1.0, 2.5]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"arrivals_s": (2.0, 1.0)}, "arrival 1 comes after 2; sort the arrivals"),
        ({"arrivals_s": ()}, "needs either arrivals_s or a trace"),
        ({"arrivals_s": (90.0,)}, "an arrival at 90 s, after its 60 s"),
    ],
)
def test_faulty_run_is_told(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    write_runs([observed_run(**changes)], tmp_path / "runs.json")

    with pytest.raises(BacktestError, match=said):
        read_runs(tmp_path / "runs.json")


def test_backtest_command_tells_every_error(repository: Path, tmp_path: Path) -> None:
    write_runs([observed_run(), observed_run(name="fitted", is_fitted=True)], tmp_path / "runs.json")
    write_measurements(MEASURED, tmp_path / "measured.json")
    files = ("--observed", str(tmp_path / "runs.json"), "--measurements", str(tmp_path / "measured.json"))

    told = command(repository, *files)
    encoded = command(repository, *files, "--json")

    assert told.returncode == 0, told.stderr
    assert "1 runs were fitted and are left out" in told.stdout
    assert "0 beyond 15%" in told.stdout
    assert [row["figure"] for row in json.loads(encoded.stdout)][:2] == ["p50", "p95"]


@pytest.mark.parametrize(
    ("content", "said"),
    [("[]", "holds no runs"), ('{"runs": []}', "has no runs"), (None, "cannot read runs")],
)
def test_bad_file_is_one_line(repository: Path, tmp_path: Path, content: str | None, said: str) -> None:
    if content is not None:
        (tmp_path / "runs.json").write_text(content)

    result = command(repository, "--observed", str(tmp_path / "runs.json"))

    assert (result.returncode, result.stderr.count("\n")) == (1, 1), result.stderr
    assert said in result.stderr


def command(repository: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "planner", "backtest", *arguments],
        cwd=repository,
        capture_output=True,
        text=True,
        check=False,
    )
