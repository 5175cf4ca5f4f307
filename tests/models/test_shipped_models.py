"""The models in this repository: intact, as good as their card says, and better than counting."""

from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest

from recserve.inference.manifest import Manifest, Metrics
from training.datasets import read_movielens
from training.evaluation import evaluate
from training.release import verify
from training.sequences import Sequences, pad, read_sequences

PUBLISHED_COUNTS_NDCG_10 = 0.0753


@pytest.fixture(scope="module")
def models_dir(repository: Path) -> Path:
    return repository / "models"


@pytest.fixture(scope="module")
def manifest(models_dir: Path) -> Manifest:
    return verify(models_dir)


@pytest.fixture(scope="module")
def sequences(ml_latest_small: Path, tmp_path_factory: pytest.TempPathFactory) -> Sequences:
    return read_sequences(read_movielens(str(ml_latest_small), cache_dir=tmp_path_factory.mktemp("cache")))


@pytest.fixture(scope="module")
def measured(models_dir: Path, manifest: Manifest, sequences: Sequences) -> dict[str, Metrics]:
    histories, targets = sequences.held_out("test")
    history = pad(histories, manifest.max_history)
    scores = {
        variant.name: ort.InferenceSession(models_dir / variant.file.name).run(
            ["scores"], {"history": history}
        )[0]
        for variant in manifest.ladder
    }
    return {name: evaluate(of_variant, histories, targets) for name, of_variant in scores.items()}


def test_figures_of_the_manifest_are_found_again_on_the_data(
    manifest: Manifest, measured: dict[str, Metrics]
) -> None:
    for variant in manifest.ladder:
        assert measured[variant.name].ndcg_10 == pytest.approx(variant.metrics.ndcg_10, abs=2e-3)


def test_default_beats_counts_here_and_as_published(manifest: Manifest, measured: dict[str, Metrics]) -> None:
    default = measured[manifest.ladder[0].name].ndcg_10

    assert default > measured["counts"].ndcg_10 > measured["popular"].ndcg_10
    assert default > PUBLISHED_COUNTS_NDCG_10


def test_catalogue_numbers_are_those_the_models_were_fitted_with(
    models_dir: Path, sequences: Sequences
) -> None:
    from recserve.inference.catalogue import Catalogue

    catalogue = Catalogue.decode((models_dir / "catalogue.json").read_bytes())

    assert catalogue.columns.ids == sequences.item_ids


def test_ladder_goes_from_best_to_cheapest(manifest: Manifest) -> None:
    quality = [variant.metrics.ndcg_10 for variant in manifest.ladder]
    size = [variant.file.bytes for variant in manifest.ladder]

    assert quality == sorted(quality, reverse=True)
    assert size == sorted(size, reverse=True)


def test_card_shows_the_figures_of_the_manifest(models_dir: Path, manifest: Manifest) -> None:
    card = (models_dir / "README.md").read_text()

    for metrics in [v.metrics for v in manifest.ladder] + list(manifest.measured.values()):
        assert f"| {metrics.ndcg_10:.4f} |" in card


def test_licence_of_the_data_is_carried(models_dir: Path) -> None:
    terms = (models_dir / "DATA-LICENCE.txt").read_text()

    assert "MovieLens" in terms
    assert "redistribute" in terms


def test_models_directory_holds_nothing_that_the_manifest_does_not_explain(
    models_dir: Path, manifest: Manifest
) -> None:
    explained = {file.name for file in manifest.files()} | {"manifest.json", "README.md", "DATA-LICENCE.txt"}

    assert {path.name for path in models_dir.iterdir()} == explained


def test_repetition_in_a_history_changes_no_shape(models_dir: Path, manifest: Manifest) -> None:
    for variant in manifest.ladder:
        session = ort.InferenceSession(models_dir / variant.file.name)
        scores = session.run(["scores"], {"history": np.full((2, manifest.max_history), 5)})[0]
        assert scores.shape == (2, manifest.dataset.n_items)
        assert np.isfinite(scores).all()


def test_graphs_hold_no_paths_of_the_machine_that_made_them(models_dir: Path, manifest: Manifest) -> None:
    for variant in manifest.ladder:
        content = (models_dir / variant.file.name).read_bytes()
        assert b".py" not in content
        assert b"site-packages" not in content
