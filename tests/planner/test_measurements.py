"""Measurements from all their sources, and what is refused or marked where something was not measured."""

import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from emulator.app_insights.tables import WORKSPACE_ID, kusto_schema
from planner.__main__ import app
from planner.manifest_cards import read_cards
from planner.measurements import (
    MeasuredInstance,
    MeasuredSlowdown,
    MeasuredVariant,
    Measurements,
    MeasurementsError,
    Runs,
    Unseen,
    instance_model,
    read_measurements,
    write_measurements,
)
from planner.measurements_from_results import lognormal_quantiles, measure_results
from planner.measurements_from_telemetry import histogram_quantiles, measure_telemetry
from planner.model import IdleSlowdown, mean_of
from planner.telemetry import QUERIES, Telemetry, TelemetryError
from planner.traffic import TrafficError, parse_traffic
from tests.emulator.app_insights.emulator_process import EmulatorProcess, envelope
from tests.kusto import check_queries

RNG_SEED = 5


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmulatorProcess]:
    """One hour of a service that ran `student` alone and in pairs, and `counts` too seldom."""
    running = EmulatorProcess(tmp_path_factory.mktemp("planner") / "data")
    rng, now = np.random.default_rng(RNG_SEED), datetime.now(UTC)
    items = [
        request(
            now - timedelta(seconds=float(rng.uniform(10, 3000))),
            variant="student" if number < 400 else "counts",
            batch_size=1 + number % 2,
            infer_ms=(0.2 if number % 2 == 0 else 0.3) * float(np.exp(0.1 * rng.normal())),
            in_flight=number % 2,
        )
        for number in range(405)
    ]
    items += [cold_start(now - timedelta(minutes=minute), ready_ms=900 + 100 * minute) for minute in range(3)]
    items += [
        envelope(name="POST /api/recommend", time=now - timedelta(seconds=60 + n), sample_rate=10.0)
        for n in range(30)
    ]
    items.append(metric(now, "recserve.cores", 1.0))
    running.track(*items)
    yield running
    running.kill()


def request(
    time: datetime, *, variant: str, batch_size: int, infer_ms: float, in_flight: int
) -> dict[str, Any]:
    return envelope(
        "RemoteDependencyData",
        time=time,
        sample_rate=50.0,
        name="recommend",
        id="1",
        duration="0.00:00:00.001",
        type="InProc",
        success=True,
        properties={"recserve.kind": "request", "recserve.outcome": "ok", "recserve.variant": variant},
        measurements={
            "duration_ms": 0.15 + infer_ms + (0.4 if in_flight else 0.0) + 0.05,
            "queue_ms": 0.05,
            "infer_ms": infer_ms,
            "batch_size": batch_size,
            "in_flight": in_flight,
            "limit": 40,
        },
    )


def cold_start(time: datetime, *, ready_ms: float) -> dict[str, Any]:
    return envelope(
        "RemoteDependencyData",
        time=time,
        name="cold_start",
        id="2",
        duration="0.00:00:01",
        type="InProc",
        success=True,
        properties={"recserve.kind": "cold_start"},
        measurements={"ready_ms": ready_ms},
    )


def metric(time: datetime, name: str, value: float) -> dict[str, Any]:
    data = {"name": name, "value": value, "min": value, "max": value, "count": 1}
    return envelope("MetricData", time=time, metrics=[data], properties={})


def by_hand(**changes: Any) -> Measurements:
    instance = MeasuredInstance(
        sku=changes.pop("sku", "EP1"),
        overhead_ms=(0.2,),
        variants=(
            MeasuredVariant(name="student", ndcg_10=0.09, runs=(Runs(batch_size=1, run_ms=(0.2, 0.4)),)),
            MeasuredVariant(name="popular", ndcg_10=0.02, runs=(Runs(batch_size=1, run_ms=(0.03,)),)),
        ),
        ready_ms=(500.0, 900.0),
        max_batch=1,
        **changes,
    )
    return Measurements(measured="2026-11-22", source="by hand", instances=(instance,))


def measure(repository: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "planner", "measure", *arguments],
        cwd=repository,
        capture_output=True,
        text=True,
        check=False,
    )


def test_measurements_survive_their_file(tmp_path: Path) -> None:
    write_measurements(by_hand(), tmp_path / "deep" / "measured.json")

    assert read_measurements(tmp_path / "deep" / "measured.json") == by_hand()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "no measurements file"),
        ("{}", "missing required field `measured`"),
        ('{"format": 2, "measured": "", "source": "", "instances": []}', "Invalid enum value 2"),
        ('{"measured": "", "source": "", "instances": []}', "length >= 1"),
    ],
)
def test_damaged_file_is_told_with_its_place(tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "measured.json"
    path.write_text(content)

    with pytest.raises(MeasurementsError, match=said):
        read_measurements(path)


def test_impossible_times_are_told(tmp_path: Path) -> None:
    write_measurements(by_hand(), tmp_path / "measured.json")
    written = json.loads((tmp_path / "measured.json").read_text())
    written["instances"][0]["variants"][0]["runs"][0]["run_ms"] = [0.4, 0.2]
    (tmp_path / "measured.json").write_text(json.dumps(written))

    with pytest.raises(MeasurementsError, match="'student': quantiles must ascend"):
        read_measurements(tmp_path / "measured.json")


def test_times_become_seconds_and_allocation_part_of_the_start() -> None:
    model = instance_model(by_hand(allocation_ms=1000.0), "ep1")

    assert model.variants[0].run_s == ((0.2e-3, 0.4e-3),)
    assert model.cold_start.ready_s == (1.5, 1.9)


def test_slowdown_of_idle_instances_reaches_the_model(tmp_path: Path) -> None:
    slowdown = (MeasuredSlowdown(gap_ms=2.0), MeasuredSlowdown(gap_ms=100.0, overhead=1.2, run=1.5))
    write_measurements(by_hand(idle_slowdown=slowdown), tmp_path / "measured.json")

    model = instance_model(read_measurements(tmp_path / "measured.json"), "EP1")

    assert model.idle_slowdown == (IdleSlowdown(gap_s=0.002), IdleSlowdown(gap_s=0.1, overhead=1.2, run=1.5))
    assert instance_model(by_hand(), "EP1").idle_slowdown == ()


def test_size_that_was_never_measured_is_refused_or_marked() -> None:
    with pytest.raises(MeasurementsError, match=r"EP2 was never measured, only EP1; .*--extrapolate"):
        instance_model(by_hand(), "EP2")

    assert "EP2 was never measured" in instance_model(by_hand(), "EP2", extrapolates=True).extrapolated[0]


def test_smaller_size_is_slower_by_the_ratio_of_cores() -> None:
    model = instance_model(by_hand(sku="EP2"), "EP1", extrapolates=True)

    assert model.overhead_s == (0.4e-3,)
    assert model.variants[0].run_s == ((0.4e-3, 0.8e-3),)
    assert "EP1 was never measured; it is taken to be 2 times as slow as EP2" in model.extrapolated


def test_variant_that_was_never_measured_is_refused_or_marked(repository: Path) -> None:
    cards, _ = read_cards(repository / "models" / "manifest.json")
    measured = by_hand()
    known = Measurements(
        measured=measured.measured, source=measured.source, instances=measured.instances, cards=cards
    )
    with pytest.raises(MeasurementsError, match="'int8' was never measured on EP1, only student, popular"):
        instance_model(known, "EP1", ladder=("student", "int8"))

    model = instance_model(known, "EP1", ladder=("student", "int8"), extrapolates=True)

    ratio = 0.3 / next(card.latency_ms["1"] for card in cards if card.name == "student")
    bare_s = next(card.latency_ms["1"] for card in cards if card.name == "int8") / 1e3
    assert model.variants[1].run_s[0][0] == pytest.approx(bare_s * ratio)
    assert any("int8 was never measured in service" in guess for guess in model.extrapolated)


def test_batches_beyond_those_measured_are_marked() -> None:
    measured = by_hand()
    instance = measured.instances[0]
    larger = MeasuredInstance(
        sku="EP1",
        overhead_ms=instance.overhead_ms,
        variants=instance.variants,
        ready_ms=instance.ready_ms,
        max_batch=32,
    )
    known = Measurements(measured="2026-11-22", source="by hand", instances=(larger,))

    assert instance_model(known, "EP1", ladder=("student",)).extrapolated == (
        "student: batches of more than 1 were never measured; their time is drawn out along a straight line",
    )


def test_quantiles_of_a_histogram_are_those_of_the_samples() -> None:
    rng, growth = np.random.default_rng(RNG_SEED), 1.02
    samples_ms = rng.lognormal(0.0, 0.4, 20_000)
    buckets, counts = np.unique(np.ceil(np.log(samples_ms) / np.log(growth)), return_counts=True)
    rows = [
        {"above_ms": growth ** (bucket - 1), "up_to_ms": growth**bucket, "weight": 2.0 * count}
        for bucket, count in zip(buckets, counts, strict=True)
    ]

    quantiles = histogram_quantiles(rows)

    assert quantiles[1:100] == pytest.approx(np.quantile(samples_ms, np.linspace(0, 1, 101)[1:100]), rel=0.02)
    assert mean_of(quantiles) == pytest.approx(samples_ms.mean(), rel=0.01)


def test_lognormal_keeps_its_median_and_mean() -> None:
    quantiles = lognormal_quantiles(2.0, 0.3)

    assert quantiles[50] == pytest.approx(2.0)
    assert mean_of(quantiles) == pytest.approx(2.0 * np.exp(0.3**2 / 2), rel=0.01)


def test_results_of_benchmarks_are_measurements(repository: Path) -> None:
    measured = measure_results(
        repository / "benchmarks" / "results", repository / "models" / "manifest.json", sku="EP1"
    )

    model = instance_model(measured, "EP1")
    assert [variant.name for variant in model.variants] == list(measured.ladder)
    assert model.variants[0].batch_sizes == (1, 8, 32)
    assert any("no Azure hardware" in guess for guess in model.extrapolated)


def test_queries_are_what_kusto_accepts() -> None:
    queries = {path.stem: path.read_text() for path in QUERIES.glob("*.kql")}

    verdicts = check_queries(queries, kusto_schema())

    assert {name: verdict["errors"] for name, verdict in verdicts.items()} == {name: [] for name in queries}


def test_telemetry_gives_times_starts_and_limit(emulator: EmulatorProcess, repository: Path) -> None:
    cards, _ = read_cards(repository / "models" / "manifest.json")
    telemetry = Telemetry(emulator.url, workspace=WORKSPACE_ID)

    measured = measure_telemetry(telemetry, days=1, sku=None, cards=cards, unseen=Unseen(host_ms=0.1))

    [instance] = measured.instances
    [student] = instance.variants
    assert instance.sku == "EP1"
    assert [(runs.batch_size, runs.n) for runs in student.runs] == [(1, 200), (2, 200)]
    assert student.runs[0].run_ms[50] == pytest.approx(0.2, rel=0.05)
    assert student.runs[1].run_ms[50] == pytest.approx(0.3, rel=0.05)
    assert instance.overhead_ms[50] == pytest.approx(0.15 + 0.1, rel=0.05)
    assert instance.ready_ms == (900.0, 1000.0, 1100.0)
    assert instance.concurrency_limit == 40
    assert any("counts ran 5 times" in note for note in instance.notes)


def test_measure_command_writes_what_plan_reads(
    emulator: EmulatorProcess, repository: Path, tmp_path: Path
) -> None:
    out = tmp_path / "measured.json"
    asked = ("--endpoint", emulator.url, "--workspace", WORKSPACE_ID, "--days", "1")

    result = measure(repository, "telemetry", *asked, "--out", str(out))

    assert result.returncode == 0, result.stderr
    assert "student: 0.2" in result.stdout
    assert read_measurements(out).ladder == ("student",)


def test_other_cores_than_the_size_has_are_refused(emulator: EmulatorProcess, repository: Path) -> None:
    asked = ("--endpoint", emulator.url, "--workspace", WORKSPACE_ID, "--sku", "EP2")

    result = measure(repository, "telemetry", *asked)

    assert (result.returncode, result.stderr.count("\n")) == (1, 1)
    assert "EP2 has 2 vCPU, and the processes measured had 1 cores" in result.stderr


def test_arrivals_of_telemetry_are_counted_with_their_weight(emulator: EmulatorProcess) -> None:
    traffic = parse_traffic("telemetry:1h", telemetry=lambda: Telemetry(emulator.url, workspace=WORKSPACE_ID))

    arrivals_s = traffic.arrivals_s(seed=0)
    assert len(arrivals_s) == 300
    assert traffic.duration_s == pytest.approx(3600, abs=1)
    assert np.all(np.diff(arrivals_s) >= 0)


def test_workspace_without_requests_is_told(emulator: EmulatorProcess) -> None:
    with pytest.raises(TrafficError, match="have no requests"):
        parse_traffic("telemetry:2s", telemetry=lambda: Telemetry(emulator.url, workspace=WORKSPACE_ID))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("guesses",), "unknown source 'guesses'; send results or telemetry"),
        (("telemetry",), "no workspace to ask"),
        (("results", "--results", "nowhere"), "run `python -m benchmarks overhead`"),
        (("results", "--manifest", "README.md"), "is no manifest"),
        (("results", "--host-ms", "-1"), "--host-ms -1; times are finite"),
        (("results", "--sku", "EP9"), "unknown size 'EP9'"),
        (("results", "--out", "/proc/none/x.json"), "name another file"),
        (("telemetry", "--workspace", "w", "--endpoint", "http://127.0.0.1:9"), "check --endpoint"),
        (("telemetry", "--workspace", "w", "--days", "0"), "--days 0"),
    ],
)
def test_bad_argument_is_one_line(
    repository: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    said: str,
) -> None:
    out = () if "--out" in arguments else ("--out", str(tmp_path / "out.json"))

    monkeypatch.chdir(repository)
    result = CliRunner().invoke(app, ["measure", *arguments, *out])

    assert (result.exit_code, result.stderr.count("\n")) == (1, 1), result.output
    assert said in result.stderr


def test_closed_endpoint_is_no_traceback() -> None:
    with pytest.raises(TelemetryError, match=r"does not answer cores\.kql"):
        measure_telemetry(Telemetry("http://127.0.0.1:9", workspace="w"), days=1, sku=None)
