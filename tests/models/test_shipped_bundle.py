"""The edge's bundle in this repository: intact, of these models, small, and as good as its manifest says."""

from pathlib import Path

import pytest

from recserve.inference.manifest import Manifest
from training.datasets import read_movielens
from training.edge import KEPT_QUALITY, MOST_WIRE_BYTES, compressed
from training.evaluation import LIST_LENGTH, discounted_gains, held_out_ranks
from training.export import recommend_onnx
from training.ladder import overlap
from training.sequences import Sequences, read_sequences
from training.verification import verify

LEAST_OVERLAP = 0.9
"With the rung that the cloud serves: a list that changes whenever the network comes and goes would be noticed."


@pytest.fixture(scope="module")
def models_dir(repository: Path) -> Path:
    return repository / "models"


@pytest.fixture(scope="module")
def models(models_dir: Path) -> Manifest:
    return verify(models_dir)


@pytest.fixture(scope="module")
def bundle(models_dir: Path) -> Manifest:
    return verify(models_dir / "edge")


@pytest.fixture(scope="module")
def sequences(ml_latest_small: Path, tmp_path_factory: pytest.TempPathFactory) -> Sequences:
    return read_sequences(read_movielens(str(ml_latest_small), cache_dir=tmp_path_factory.mktemp("cache")))


def test_bundle_was_made_from_these_models(models: Manifest, bundle: Manifest) -> None:
    assert bundle.catalogue == models.catalogue
    assert bundle.ladder[-1].file == models.ladder[-1].file
    assert bundle.max_history == models.max_history
    assert bundle.dataset == models.dataset


def test_bundle_is_small_on_the_wire(models_dir: Path, bundle: Manifest) -> None:
    contents = [(models_dir / "edge" / file.name).read_bytes() for file in bundle.files()]

    assert sum(len(compressed(content)) for content in contents) <= MOST_WIRE_BYTES


def test_bundle_keeps_the_quality_of_what_serves(models: Manifest, bundle: Manifest) -> None:
    edge = bundle.ladder[0].metrics.ndcg["10"]

    assert edge > models.variant("counts").metrics.ndcg["10"]
    assert edge >= KEPT_QUALITY * models.variant(models.serving[0]).metrics.ndcg["10"]


def test_figures_are_found_again_and_lists_are_those_of_the_cloud(
    models_dir: Path, models: Manifest, bundle: Manifest, sequences: Sequences
) -> None:
    histories, targets = sequences.held_out("test")
    served = models.variant(models.serving[0]).file.name
    lists, of_cloud = (
        recommend_onnx(path, histories, k=LIST_LENGTH, allow_repeats=False, max_length=models.max_history)
        for path in (models_dir / "edge" / bundle.ladder[0].file.name, models_dir / served)
    )

    ndcg_10 = discounted_gains(held_out_ranks(lists, targets), 10).mean()
    assert ndcg_10 == pytest.approx(bundle.ladder[0].metrics.ndcg["10"], abs=2e-3)
    assert overlap(lists[:, :10], of_cloud[:, :10]) >= LEAST_OVERLAP


def test_licence_of_the_data_is_carried(models_dir: Path) -> None:
    terms = (models_dir / "edge" / "DATA-LICENCE.txt").read_text()

    assert terms == (models_dir / "DATA-LICENCE.txt").read_text()
