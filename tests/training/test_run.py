"""The whole way, from a release to a models directory that serves."""

import math
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from recserve.inference.manifest import read_manifest
from recserve.inference.registry import load_models

torch = pytest.importorskip("torch", reason="PyTorch is not installed; `make training-deps` installs it")


def training(repository: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "training", *arguments],
        cwd=repository,
        env=os.environ | {"COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def trained(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tests.training.conftest import write_release

    root = tmp_path_factory.mktemp("trained")
    release, models = write_release(root / "ml-ring"), root / "models"
    result = training(repository, "run", str(release), "--out", str(models), "--max-epochs", "8")
    assert result.returncode == 0, result.stderr
    assert "loss" in result.stdout
    return models


def test_trained_models_serve_what_the_data_teaches(trained: Path) -> None:
    models = load_models(trained, n_threads=1, mark=lambda _: None)
    scores = models.sessions["counts"].score(np.array([[1, 2, 3]]))[0]
    scores[:3] = -np.inf

    assert scores.argmax() == 3  # the ring goes on with item number 4


def test_every_graph_takes_any_batch_and_length(trained: Path) -> None:
    models = load_models(trained, n_threads=1, mark=lambda _: None)

    for session in models.sessions.values():
        for batch, length in ((1, 1), (1, 50), (7, 3)):
            assert session.score(np.ones((batch, length), np.int64)).shape == (batch, len(models.catalogue))


def test_padding_changes_no_score(trained: Path) -> None:
    models = load_models(trained, n_threads=1, mark=lambda _: None)

    for session in models.sessions.values():
        bare = session.score(np.array([[4, 5, 6]]))
        padded = session.score(np.array([[0, 0, 0, 0, 4, 5, 6]]))
        np.testing.assert_allclose(bare, padded, atol=1e-4)


def test_manifest_tells_where_the_models_come_from(trained: Path) -> None:
    manifest = read_manifest(trained)

    assert [variant.name for variant in manifest.ladder] == ["blend", "counts", "popular"]
    assert manifest.dataset.name == "ml-ring"
    assert manifest.provenance.command.startswith("python -m training run")
    assert all(math.isfinite(variant.metrics.ndcg_10) for variant in manifest.ladder)
    assert set(manifest.measured) == {"SASRec alone"}


def test_licence_and_card_stand_beside_the_models(trained: Path) -> None:
    assert (trained / "DATA-LICENCE.txt").read_text() == "terms of the ring\n"
    assert "NDCG@10" in (trained / "README.md").read_text()


def test_titles_and_years_reach_the_catalogue(trained: Path) -> None:
    columns = load_models(trained, n_threads=1, mark=lambda _: None).catalogue.columns

    assert (columns.titles[0], columns.years[0], columns.genres[0]) == (
        "The Ring (2002)",
        2002,
        ["Horror", "Thriller"],
    )


def test_verify_accepts_what_run_wrote(repository: Path, trained: Path) -> None:
    result = training(repository, "verify", str(trained))

    assert result.returncode == 0
    assert "all files verified" in result.stdout


def test_verify_finds_a_changed_byte(repository: Path, trained: Path, tmp_path: Path) -> None:
    damaged = shutil.copytree(trained, tmp_path / "damaged")
    with (damaged / "counts.onnx").open("r+b") as file:
        file.write(b"\0\0")

    result = training(repository, "verify", str(damaged))

    assert (result.returncode, "counts.onnx is damaged" in result.stderr) == (1, True)
    assert "Traceback" not in result.stderr


def test_bad_source_is_one_line(repository: Path, tmp_path: Path) -> None:
    result = training(repository, "run", "no-such-release", "--out", str(tmp_path / "models"))

    assert result.returncode == 1
    assert result.stderr.startswith("error: 'no-such-release' is neither")
    assert not (tmp_path / "models").exists()


def test_items_without_titles_leave_the_old_models_as_they_were(
    repository: Path, trained: Path, release: Path, tmp_path: Path
) -> None:
    target = shutil.copytree(trained, tmp_path / "models")
    rows = (release / "movies.csv").read_text().splitlines()
    (release / "movies.csv").write_text("\n".join(rows[:-1]))

    result = training(repository, "run", str(release), "--out", str(target), "--max-epochs", "1")

    assert (result.returncode, "no title" in result.stderr) == (1, True)
    assert read_manifest(target) == read_manifest(trained)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_cut_windows_predict_every_item_but_the_first_at_most_once() -> None:
    from training.fitting import cut_windows

    items = np.arange(1, 120)
    windows = cut_windows([items], 50, np.random.default_rng(3))
    predicted = [int(item) for window in windows for item in np.trim_zeros(window)[1:]]

    assert len(predicted) == len(set(predicted))
    assert all((np.diff(np.trim_zeros(window)) == 1).all() for window in windows)
