"""What decides which rungs ship and which are served, and the page about them."""

from pathlib import Path

import msgspec
import pytest

from recserve.inference.manifest import Metrics, ModelFile, Variant

pytest.importorskip("torch", reason="PyTorch is not installed; `make training-deps` installs it")

from tests.recserve.conftest import MEASUREMENT, METRICS
from training.ladder import choose_serving, pass_gate
from training.report import write_report
from training.results import read_results


def variant(name: str, ndcg_10: float, latency_ms: float) -> Variant:
    metrics: Metrics = msgspec.structs.replace(METRICS, ndcg=METRICS.ndcg | {"10": ndcg_10})
    return Variant(
        name=name,
        description=name,
        is_neural=name not in ("counts", "popular"),
        file=ModelFile(name=f"{name}.onnx", sha256="0" * 64, bytes=1),
        parameters=1,
        metrics=metrics,
        measurement=msgspec.structs.replace(MEASUREMENT, latency_ms={"1": latency_ms}),
        identical=1.0,
        overlap=1.0,
    )


COUNTS, POPULAR = variant("counts", 0.05, 0.02), variant("popular", 0.01, 0.01)


def test_neural_rung_that_does_not_beat_counts_does_not_ship() -> None:
    ladder, unshipped = pass_gate(
        [variant("teacher", 0.06, 1.0), variant("int8", 0.05, 0.1), COUNTS, POPULAR]
    )

    assert [rung.name for rung in ladder] == ["teacher", "counts", "popular"]
    assert unshipped["int8"].reason == "NDCG@10 0.0500 does not beat counts, 0.0500"


def test_cheapest_rung_that_keeps_the_quality_is_served_first() -> None:
    ladder = [variant("teacher", 0.100, 1.0), variant("student", 0.098, 0.4), variant("int8", 0.090, 0.1)]

    assert choose_serving([*ladder, COUNTS, POPULAR]) == ["student", "counts", "popular"]


def test_without_a_neural_rung_counts_are_served() -> None:
    assert choose_serving([COUNTS, POPULAR]) == ["counts", "popular"]


def test_page_of_this_repository_is_that_of_its_result_files(repository: Path, tmp_path: Path) -> None:
    write_report(repository / "training" / "results", tmp_path / "models.md")

    assert (tmp_path / "models.md").read_text() == (repository / "docs" / "models.md").read_text()
    for result in read_results(repository / "training" / "results"):
        assert (tmp_path / f"models-{result.manifest.dataset.name}.svg").stat().st_size > 1000
