"""Which bundle is good enough, and the whole way from a models directory to one."""

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

pytest.importorskip("torch", reason="PyTorch is not installed; `make training-deps` installs it")

from recserve.inference.manifest import Manifest, read_manifest
from training.edge import KEPT_ITEMS, KEPT_QUALITY, MOST_WIRE_BYTES, SHIPS, BundleResult, pass_gate


@pytest.fixture(scope="module")
def models(repository: Path) -> Manifest:
    return read_manifest(repository / "models")


def served(models: Manifest) -> float:
    return models.variant(models.serving[0]).metrics.ndcg["10"]


def verdict_on(
    models: Manifest, *, kept: float = 1.0, overlap: float = 1.0, wire_bytes: int = MOST_WIRE_BYTES
) -> str:
    return pass_gate(models, ndcg_10=kept * served(models), overlap_10=overlap, wire_bytes=wire_bytes)


def test_bundle_as_good_as_what_serves_ships(models: Manifest) -> None:
    assert verdict_on(models) == SHIPS
    assert verdict_on(models, kept=KEPT_QUALITY, overlap=KEPT_ITEMS) == SHIPS


def test_bundle_that_loses_too_much_does_not_ship(models: Manifest) -> None:
    assert "is below 98%" in verdict_on(models, kept=KEPT_QUALITY - 1e-6)


def test_bundle_that_counting_beats_does_not_ship(models: Manifest) -> None:
    counts = models.variant("counts").metrics.ndcg["10"]

    assert "does not beat counts" in pass_gate(models, ndcg_10=counts, overlap_10=1, wire_bytes=1)


def test_bundle_that_shows_other_items_does_not_ship(models: Manifest) -> None:
    assert "shows 94.9% of what the served rung shows" in verdict_on(models, overlap=KEPT_ITEMS - 1e-3)


def test_bundle_that_is_too_large_does_not_ship(models: Manifest) -> None:
    verdict = verdict_on(models, wire_bytes=MOST_WIRE_BYTES + 1)

    assert f"{MOST_WIRE_BYTES + 1} bytes on the wire" in verdict


def edge(repository: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "training", "edge", *arguments],
        cwd=repository,
        capture_output=True,
        text=True,
        check=False,
    )


def test_bundle_of_the_shipped_models_is_made_again_and_keeps_the_page(
    repository: Path, ml_latest_small: Path, tmp_path: Path
) -> None:
    target, result = tmp_path / "edge", tmp_path / "result.json"
    (target / "web").mkdir(parents=True)
    (target / "web" / "demo.html").write_text("page")
    (target / "manifest.json").write_text("{}")

    made = edge(
        repository,
        "models",
        *("--data", str(ml_latest_small)),
        *("--out", str(target)),
        *("--result", str(result)),
    )

    assert made.returncode == 0, made.stderr
    told = msgspec.json.decode(result.read_bytes(), type=BundleResult)
    shipped = read_manifest(repository / "models/edge")
    assert told.manifest.ladder[0].file == shipped.ladder[0].file
    assert (target / "web" / "demo.html").read_text() == "page"
    assert told.wire_bytes <= MOST_WIRE_BYTES
    assert [candidate.verdict for candidate in told.candidates].count(SHIPS) == 1
    sizes = [candidate.wire_bytes for candidate in told.candidates]
    assert sizes == sorted(sizes)
    assert told.against["counts"].difference_low > 0
    assert not list(tmp_path.glob(".edge*"))


def test_other_data_than_that_of_the_models_is_refused_in_a_line(repository: Path, tmp_path: Path) -> None:
    from tests.training.conftest import write_release

    release = write_release(tmp_path / "ml-ring")

    refused = edge(repository, "models", *("--data", str(release)), *("--out", str(tmp_path / "edge")))

    assert refused.returncode == 1
    assert refused.stderr.count("\n") == 1
    assert "--data" in refused.stderr
    assert not (tmp_path / "edge").exists()


def test_missing_models_are_named_in_a_line(repository: Path, tmp_path: Path) -> None:
    refused = edge(repository, str(tmp_path / "nowhere"), "--out", str(tmp_path / "edge"))

    assert refused.returncode == 1
    assert refused.stderr.startswith("error: cannot read manifest.json")
