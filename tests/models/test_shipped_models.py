"""The models in this repository: intact, as good as their card says, and better than counting."""

from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest

from recserve.inference.manifest import Manifest
from training.datasets import read_movielens
from training.evaluation import discounted_gains, held_out_ranks
from training.sequences import Sequences, pad, read_sequences
from training.verification import verify

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
def ndcg_10(models_dir: Path, manifest: Manifest, sequences: Sequences) -> dict[str, float]:
    """NDCG@10 of every shipped graph, taken again."""
    histories, targets = sequences.held_out("test")
    found = {}
    for variant in manifest.ladder:
        session = ort.InferenceSession(models_dir / variant.file.name)
        feeds = {
            "history": pad(histories, manifest.max_history),
            "seen": pad(histories, max(map(len, histories))),
            "k": np.array([10]),
        }
        (lists,) = session.run(["items"], feeds)
        found[variant.name] = float(discounted_gains(held_out_ranks(lists, targets), 10).mean())
    return found


def test_figures_of_the_manifest_are_found_again_on_the_data(
    manifest: Manifest, ndcg_10: dict[str, float]
) -> None:
    for variant in manifest.ladder:
        assert ndcg_10[variant.name] == pytest.approx(variant.metrics.ndcg["10"], abs=2e-3)


def test_default_beats_counts_here_and_as_published(manifest: Manifest, ndcg_10: dict[str, float]) -> None:
    default = ndcg_10[manifest.serving[0]]

    assert default > ndcg_10["counts"] > ndcg_10["popular"]
    assert default > PUBLISHED_COUNTS_NDCG_10


def test_every_neural_rung_beats_counts(manifest: Manifest) -> None:
    counts = manifest.variant("counts").metrics.ndcg["10"]

    assert all(variant.metrics.ndcg["10"] > counts for variant in manifest.ladder if variant.is_neural)


def test_manifest_records_that_float_graphs_agreed_with_pytorch(manifest: Manifest) -> None:
    for variant in manifest.ladder:
        if variant.is_neural and variant.name != "int8":
            assert variant.identical >= 0.999


def test_catalogue_numbers_are_those_the_models_were_fitted_with(
    models_dir: Path, sequences: Sequences
) -> None:
    from recserve.inference.catalogue import Catalogue

    catalogue = Catalogue.decode((models_dir / "catalogue.json").read_bytes())

    assert catalogue.columns.ids == sequences.item_ids


def test_each_neural_rung_is_smaller_than_the_one_above(manifest: Manifest) -> None:
    size = [variant.file.bytes for variant in manifest.ladder if variant.is_neural]

    assert size == sorted(size, reverse=True)


def test_card_shows_the_figures_of_the_manifest(models_dir: Path, manifest: Manifest) -> None:
    card = (models_dir / "README.md").read_text()

    for model in (*manifest.ladder, *manifest.unshipped.values()):
        assert f"| {model.metrics.ndcg['10']:.4f} |" in card


def test_licence_of_the_data_is_carried(models_dir: Path) -> None:
    terms = (models_dir / "DATA-LICENCE.txt").read_text()

    assert "MovieLens" in terms
    assert "redistribute" in terms


def test_models_directory_holds_nothing_that_the_manifest_does_not_explain(
    models_dir: Path, manifest: Manifest
) -> None:
    explained = {file.name for file in manifest.files()} | {"manifest.json", "README.md", "DATA-LICENCE.txt"}

    assert {path.name for path in models_dir.iterdir() if path.is_file()} == explained
    assert {path.name for path in models_dir.iterdir() if path.is_dir()} == {"edge"}


def test_graphs_hold_no_paths_of_the_machine_that_made_them(models_dir: Path, manifest: Manifest) -> None:
    for variant in manifest.ladder:
        content = (models_dir / variant.file.name).read_bytes()
        assert b'File "' not in content
        assert b"site-packages" not in content
