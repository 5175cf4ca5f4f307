"""`python -m planner plan` as it is typed."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from planner.__main__ import app
from planner.measurements import MeasuredInstance, MeasuredVariant, Measurements, Runs, write_measurements

Plan = Callable[..., subprocess.CompletedProcess[str]]
TRAFFIC = ("--traffic", "bursty:60/s,burst=4,calm=20s,spell=10s", "--duration", "1m")


@pytest.fixture
def measured(tmp_path: Path) -> Path:
    """Measurements of a slow service, so that little traffic needs several instances."""
    variants = (
        MeasuredVariant(name="student", ndcg_10=0.09, runs=(Runs(batch_size=1, run_ms=(20.0, 25.0, 30.0)),)),
        MeasuredVariant(name="counts", ndcg_10=0.075, runs=(Runs(batch_size=1, run_ms=(4.0, 6.0)),)),
    )
    instance = MeasuredInstance(
        sku="EP1", overhead_ms=(2.0,), variants=variants, ready_ms=(1000.0,), max_batch=1
    )
    path = tmp_path / "measured.json"
    write_measurements(Measurements(measured="2026-11-22", source="by hand", instances=(instance,)), path)
    return path


@pytest.fixture
def plan(repository: Path, measured: Path) -> Plan:
    """Plan in a process of its own."""

    def run(*arguments: str, measurements: Path | None = measured) -> subprocess.CompletedProcess[str]:
        given = ("--measurements", str(measurements)) if measurements else ()
        return subprocess.run(
            [sys.executable, "-m", "planner", "plan", "--seeds", "2", *given, *arguments],
            cwd=repository,
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def test_one_command_goes_from_traffic_to_parameters(plan: Plan, tmp_path: Path) -> None:
    out = tmp_path / "deep" / "params.json"

    result = plan("--slo-p99-ms", "100", *TRAFFIC, "--max-burst", "8", "--out", str(out))

    assert result.returncode == 0, result.stderr
    assert "the cheapest plan that keeps it: EP1" in result.stdout
    assert "always ready for the peak, no burst" in result.stdout
    assert "x 1.5" in result.stdout
    assert "AWS Lambda 512 MB" in result.stdout
    parameters = {name: each["value"] for name, each in json.loads(out.read_text())["parameters"].items()}
    assert list(parameters)[:5] == [
        "sku",
        "minimumElasticInstanceCount",
        "preWarmedInstanceCount",
        "maximumElasticWorkerCount",
        "functionAppScaleLimit",
    ]
    assert parameters["appSettings"]["RECSERVE_SLO_MS"] == "100"
    minimum = parameters["minimumElasticInstanceCount"]
    assert f"properties.minimumElasticInstanceCount={minimum}" in result.stdout
    assert f"--sku EP1 --max-burst {parameters['maximumElasticWorkerCount']}" in result.stdout


def test_json_has_the_choice_and_the_frontier_and_is_the_same_each_time(plan: Plan) -> None:
    asked = ("--slo-p99-ms", "100", *TRAFFIC, "--max-burst", "6", "--json")

    first, second = plan(*asked), plan(*asked)

    answer: dict[str, Any] = json.loads(first.stdout)
    assert first.stdout == second.stdout
    assert answer["cheapest"]["slo_share"] >= 0.99
    assert answer["cheapest"]["quality"] >= 0.95 * 0.09
    assert len(answer["frontier"]) > 1
    assert answer["confirmed"]["p99_s"]["mean"] <= 0.1
    assert answer["prices"]["region"] == "eastus"


def test_guess_is_marked_in_the_answer(plan: Plan) -> None:
    result = plan("--slo-p99-ms", "100", *TRAFFIC, "--sku", "EP2", "--extrapolate", "--max-burst", "4")

    assert result.returncode == 0, result.stderr
    assert "EXTRAPOLATED: EP2 was never measured" in result.stdout
    assert "FUNCTIONS_WORKER_PROCESS_COUNT=2" in result.stdout


def test_benchmark_results_are_the_measurements_unless_others_are_named(plan: Plan) -> None:
    result = plan("--traffic", "20/s", "--duration", "1m", measurements=None)

    assert result.returncode == 0, result.stderr
    assert "EXTRAPOLATED: one machine's benchmarks stand for an instance" in result.stdout


DEVICES = ("--edge-p50-ms", "2", "--edge-p99-ms", "6", "--edge-ndcg", "0.088", "--round-trip-ms", "80")


def test_devices_take_their_share_and_the_plan_without_them_stands_beside(plan: Plan) -> None:
    downloads = ("--edge-devices", "100000", "--edge-bundle-kb", "700")
    asked = ("--slo-p99-ms", "100", *TRAFFIC, "--max-burst", "6", "--edge-share", "0.6", *DEVICES, *downloads)

    answer: dict[str, Any] = json.loads(plan(*asked, "--json").stdout)

    edge = answer["edge"]
    side, without = edge["with_devices"], edge["without"]
    assert answer["rate_per_s"] == pytest.approx((0.4 + 0.6 / 50) * edge["all_per_s"], rel=0.01)
    assert side["plan"] == answer["cheapest"]
    assert side["plan"]["usd_per_month"] < without["plan"]["usd_per_month"]
    # 100,000 x 4 x 700 kB = 280 GB, of which 100 are free, at 0.087
    assert side["downloads_usd"] == pytest.approx(15.66)
    assert side["usd_per_month"] == pytest.approx(side["plan"]["usd_per_month"] + 15.66)
    assert side["seen"]["p50_s"] < 0.01 < 0.08 < without["seen"]["p50_s"]
    assert side["seen"]["quality"] == pytest.approx(0.6 * 0.088 + 0.4 * side["plan"]["quality"])
    assert without["plan"]["quality"] == without["seen"]["quality"]


def test_report_tells_the_promise_of_the_cloud_and_what_users_see(plan: Plan) -> None:
    result = plan("--slo-p99-ms", "100", *TRAFFIC, "--max-burst", "4", "--edge-share", "0.5", *DEVICES)

    assert result.returncode == 0, result.stderr
    assert "50% of it by devices" in result.stdout
    assert "as users see it, 80 ms of round trip to the cloud included" in result.stdout
    assert "> with devices" in result.stdout
    assert "the promise is the cloud's, its round trip left out" in result.stdout
    assert "downloads of the bundle are not priced; say how many devices with --edge-devices" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--edge-share", "1"), "leave the cloud no traffic, and nothing to plan"),
        (("--edge-share", "1.5"), "an edge share of 1.5; give the share of requests"),
        (("--edge-share", "0.5"), "answers by devices were never measured"),
        (("--edge-share", "0.5", *DEVICES, "--edge-devices", "5"), "the size of the bundle is not known"),
    ],
)
def test_impossible_devices_are_one_line(measured: Path, arguments: tuple[str, ...], said: str) -> None:
    nowhere = ("--results", str(measured.parent), "--manifest", str(measured.parent / "manifest.json"))

    result = CliRunner().invoke(
        app, ["plan", *TRAFFIC, "--measurements", str(measured), *nowhere, *arguments]
    )

    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    assert said in result.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--slo-p99-ms", "3"), "an SLO of 3 ms is below the fastest service"),
        (("--slo-p99-ms", "-1"), "--slo-p99-ms -1; promise more than 0 ms"),
        (("--traffic", "9000/s"), "more than any allowed plan can carry: 20 instances answer at most 2,857"),
        (("--traffic", "0/s"), "a rate of 0/s"),
        (("--traffic", "nowhere.csv"), "cannot read trace 'nowhere.csv'"),
        (("--region", "atlantis"), "atlantis"),
        (("--sku", "EP9"), "unknown size 'EP9'"),
        (("--sku", "EP3"), "EP3 was never measured, only EP1"),
        (("--ladder", "student,oracle"), "variant 'oracle' was never measured on EP1, only student, counts"),
        (("--ladder", "student,student"), "the ladder names student twice"),
        (("--budget", "150"), "raise --budget"),
        (("--budget", "-1"), "--budget -1; send more than 0"),
        (("--quality", "2"), "--quality 2"),
        (("--max-burst", "0"), "--max-burst 0; a plan has 1 to 100 instances"),
        (("--seeds", "0"), "--seeds 0"),
        (("--memory-mb", "0"), "--memory-mb 0; a process has 1 to 14336 MB"),
        (("--memory-mb", "20000"), "--memory-mb 20000"),
        (("--duration", "never"), "'never' is no duration"),
        (("--measurements", "nowhere.json"), "cannot read measurements 'nowhere.json'"),
        (("--out", "/proc/none/params.json"), "name a file that can be written"),
    ],
)
def test_bad_argument_is_one_line(measured: Path, arguments: tuple[str, str], said: str) -> None:
    option = arguments[0]
    defaults = {
        "--traffic": "20/s",
        "--duration": "20s",
        "--slo-p99-ms": "100",
        "--measurements": str(measured),
    }
    rest = [text for pair in defaults.items() if pair[0] != option for text in pair]

    result = CliRunner().invoke(app, ["plan", *rest, *arguments])

    assert (result.exit_code, result.stderr.count("\n")) == (1, 1), result.output
    assert said in result.stderr


def test_file_that_cannot_be_written_is_told_before_the_search(measured: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept.json"
    kept.write_text("{}")
    arguments = ["plan", "--traffic", "9000/s", "--duration", "20s", "--measurements", str(measured), "--out"]

    taken = CliRunner().invoke(app, [*arguments, str(tmp_path)])
    fresh = CliRunner().invoke(app, [*arguments, str(tmp_path / "deep" / "params.json")])
    again = CliRunner().invoke(app, [*arguments, str(kept)])

    assert "Is a directory; name a file that can be written" in taken.stderr
    assert "more than any allowed plan can carry" in fresh.stderr
    assert "more than any allowed plan can carry" in again.stderr
    assert kept.read_text() == "{}"
    assert not (tmp_path / "deep" / "params.json").exists()


def test_empty_and_unsorted_traces_are_told(plan: Plan, tmp_path: Path) -> None:
    empty, unsorted = tmp_path / "empty.csv", tmp_path / "unsorted.csv"
    empty.write_text("")
    unsorted.write_text("timestamp\n3\n1\n")

    for path, said in ((empty, "is empty"), (unsorted, "sort the file by time")):
        result = plan("--traffic", str(path))
        assert (result.returncode, result.stderr.count("\n")) == (1, 1)
        assert said in result.stderr


def test_negative_price_is_told(plan: Plan, repository: Path, tmp_path: Path) -> None:
    [newest] = sorted((repository / "planner" / "prices").glob("eastus-*.json"))[-1:]
    written = json.loads(newest.read_text())
    written["plans"]["premium"]["meters"]["vcpu"]["price"] = "-0.1"
    (tmp_path / newest.name).write_text(json.dumps(written))

    result = plan(*TRAFFIC, "--prices", str(tmp_path))

    assert (result.returncode, result.stderr.count("\n")) == (1, 1)
    assert "a price of -0.1; give a number, 0 or more" in result.stderr
