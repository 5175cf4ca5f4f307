"""The packaged app is sent what nobody should send; `python -m benchmarks fuzz` sends more, with Schemathesis."""

import random
from pathlib import Path
from typing import Any

import pytest

from benchmarks.fuzz.bench import KINDS, FuzzBench, fuzz, is_clean
from benchmarks.fuzz.cases import Case, Draw
from deployment.package import Package

N_REQUESTS = 250


@pytest.fixture(scope="module")
def figures(
    package: Package, worker_python: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    bench = FuzzBench(n_requests=N_REQUESTS, n_rounds=1, with_schemathesis=False)
    return fuzz(package, worker_python, tmp_path_factory.mktemp("fuzz"), bench)


def test_no_bytes_lead_to_a_failure_of_app_or_host(figures: dict[str, Any]) -> None:
    assert figures["bytes"]["findings"] == []
    assert figures["n_server_errors"] == figures["n_hangs"] == 0
    assert figures["n_tracebacks"] == {"app": 0, "host": 0}
    assert is_clean(figures)


def test_requests_without_fault_are_answered_meanwhile(figures: dict[str, Any]) -> None:
    assert figures["n_controls"] == 1
    assert figures["is_alive"]


def test_bytes_reach_every_layer(figures: dict[str, Any]) -> None:
    statuses = figures["bytes"]["statuses"]

    assert statuses.keys() == {"app", "host", "HTTP server"}
    assert statuses["app"].keys() >= {200, 400, 413, 415}
    assert figures["bytes"]["kinds"].keys() == {draw(kind).kind for kind in KINDS}


def test_the_same_seed_sends_the_same_bytes() -> None:
    assert [draw(kind) for kind in KINDS] == [draw(kind) for kind in KINDS]


def draw(kind: Any) -> Case:
    found: Case = kind(Draw(random.Random(3), "key"))
    return found
