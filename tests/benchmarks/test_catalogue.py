import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from benchmarks import catalogue, results
from benchmarks.__main__ import app
from benchmarks.catalogue import CatalogueBench, run


@pytest.fixture(scope="module")
def figures() -> dict[str, Any]:
    patch = pytest.MonkeyPatch()
    patch.setattr(catalogue, "N_LOADS", 1)
    patch.setattr(catalogue, "N_CHOOSING", 50)
    try:
        return run(CatalogueBench(n_items=3_000, dim=16, n_queries=40, n_rounds=2))
    finally:
        patch.undo()


def test_every_head_is_measured_the_same_way(figures: dict[str, Any]) -> None:
    heads = figures["heads"]

    assert {"flat", "exact_int8", "exact_int8, not prepacked", "inverted_file"} <= set(heads)
    for head in heads.values():
        assert [head[f"batch_{batch}"]["n"] for batch in (1, 8, 32)] == [80, 10, 2]
        assert head["load"]["load_ms"] > 0
        assert head["bytes"] > 3_000 * 16


def test_recall_is_measured_against_exact_float32(figures: dict[str, Any]) -> None:
    recalls = {name: head["recall"]["at_10"] for name, head in figures["heads"].items()}

    assert recalls["flat"] == 1
    assert 0.9 < recalls["exact_int8"] <= recalls["exact_int8, reranked"]
    assert recalls["inverted_file"] > 0.9
    assert figures["inverted_file"]["probing"]["recall_10"] >= 0.99


def test_figures_say_that_the_catalogue_is_synthetic(figures: dict[str, Any]) -> None:
    assert figures["is_synthetic"]
    assert figures["less_clustered"]["spread"] > figures["catalogue"]["spread"]


def test_command_writes_the_result_and_leaves_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, figures: dict[str, Any]
) -> None:
    monkeypatch.setattr(results, "RESULTS_DIR", tmp_path)
    monkeypatch.setattr(catalogue, "run", lambda bench, on_stage: on_stage("measuring") or figures)

    done = CliRunner().invoke(app, ["catalogue", "--items", "3000", "--dim", "16"])

    assert done.exit_code == 0, done.output
    assert "... measuring" in done.output
    assert "target for exact_int8" in done.output
    result = json.loads((tmp_path / "catalogue.json").read_text())
    assert result["settings"]["n_items"] == 3_000
    assert result["figures"]["heads"]["flat"]["recall"]["at_10"] == 1
