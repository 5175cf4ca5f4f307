"""The whole way, from a release to a models directory that serves."""

import math
import os
import platform
import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from recserve.inference.loading import load_models
from recserve.inference.manifest import read_manifest
from recserve.inference.session import ScoringSession
from tests.training.conftest import N_ITEMS

torch = pytest.importorskip("torch", reason="PyTorch is not installed; `make training-deps` installs it")


def training(
    repository: Path, *arguments: str, max_file_bytes: int = resource.RLIM_INFINITY
) -> subprocess.CompletedProcess[str]:
    """Run the command; with `max_file_bytes` on a disk that takes no larger files."""
    limits = (max_file_bytes, resource.RLIM_INFINITY)
    return subprocess.run(
        [sys.executable, "-m", "training", *arguments],
        cwd=repository,
        env=os.environ | {"COLUMNS": "200"},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limits),
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def trained(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tests.training.conftest import write_release

    root = tmp_path_factory.mktemp("trained")
    release, models = write_release(root / "ml-ring"), root / "models"
    result = training(
        repository,
        *("run", str(release), "--out", str(models), "--max-epochs", "8"),
        *("--run-dir", str(root / "run"), "--result", str(root / "ml-ring.json")),
    )
    assert result.returncode == 0, result.stderr
    assert "loss" in result.stdout
    return models


def test_trained_models_serve_what_the_data_teaches(trained: Path) -> None:
    models = load_models(trained, n_threads=1, mark=lambda _: None)
    history = np.array([[1, 2, 3]])

    for name, session in models.sessions.items():
        if name != "popular":
            assert session.recommend(history, history, 1).items.tolist() == [[4]]


def test_every_graph_takes_any_batch_and_length(trained: Path) -> None:
    for path in trained.glob("*.onnx"):
        session = ScoringSession(path.stem, path.read_bytes(), n_items=N_ITEMS)
        for batch, length in ((1, 1), (1, 50), (7, 3)):
            history = np.ones((batch, length), np.int64)
            assert session.recommend(history, history, 5).items.shape == (batch, 5)


def test_padding_changes_no_answer(trained: Path) -> None:
    for path in trained.glob("*.onnx"):
        session = ScoringSession(path.stem, path.read_bytes(), n_items=N_ITEMS)
        bare = session.recommend(np.array([[4, 5, 6]]), np.array([[4, 5, 6]]), 5)
        padded = session.recommend(np.array([[0, 0, 4, 5, 6]]), np.array([[0, 4, 5, 6]]), 5)
        np.testing.assert_allclose(bare.scores, padded.scores, atol=1e-3)


def test_run_that_was_killed_goes_on_to_the_same_end(repository: Path, release: Path, tmp_path: Path) -> None:
    command = ["run", str(release), "--max-epochs", "12", "--seed", "3"]

    def start(name: str) -> subprocess.Popen[str]:
        options = ["--out", str(tmp_path / name), "--run-dir", str(tmp_path / f"{name}-run")]
        return subprocess.Popen(
            [sys.executable, "-m", "training", *command, *options],
            cwd=repository,
            env=os.environ | {"PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            text=True,
        )

    def kill_at(look: str) -> str:
        """Start, kill -9 at a look at validation, and return what was said until then."""
        process, said = start("resumed"), ""
        assert process.stdout is not None
        for line in process.stdout:
            said += line
            if look in line:
                process.send_signal(signal.SIGKILL)
                break
        process.communicate()
        assert process.returncode == -signal.SIGKILL
        assert not (tmp_path / "resumed").exists()
        return said

    kill_at("epoch 8 of 12, teacher")
    second_said = kill_at("epoch 4 of 12, student")
    resumed, whole = start("resumed"), start("whole")
    third_said, whole_said = resumed.communicate()[0], whole.communicate()[0]

    assert "epoch 8 of 12, teacher" not in second_said
    assert "epoch 12 of 12, teacher" in second_said
    assert "teacher: loss" not in third_said
    assert "epoch 4 of 12, student" not in third_said
    assert "epoch 8 of 12, student" in third_said
    assert "epoch 4 of 12, student" in whole_said
    ends = [read_manifest(tmp_path / name) for name in ("resumed", "whole")]
    metrics = [
        {model.name: model.metrics for model in end.ladder}
        | {name: model.metrics for name, model in end.unshipped.items()}
        for end in ends
    ]
    assert set(metrics[0]) >= {"teacher", "student", "pruned", "int8", "counts", "popular"}
    assert metrics[0] == metrics[1]
    assert [v.file for v in ends[0].ladder] == [v.file for v in ends[1].ladder]
    assert ends[0].provenance.fits == ends[1].provenance.fits


def test_manifest_tells_where_the_models_come_from(trained: Path) -> None:
    manifest = read_manifest(trained)

    assert [variant.name for variant in manifest.ladder][-2:] == ["counts", "popular"]
    assert manifest.dataset.name == "ml-ring"
    assert manifest.provenance.command.startswith("python -m training run")
    assert all(math.isfinite(variant.metrics.ndcg["10"]) for variant in manifest.ladder)
    measured = {variant.name for variant in manifest.ladder} | set(manifest.unshipped)
    assert measured == {"teacher", "student", "pruned", "int8", "counts", "popular", "teacher without counts"}


def test_manifest_tells_how_the_fits_went_and_on_what_machine(trained: Path) -> None:
    provenance = read_manifest(trained).provenance

    assert list(provenance.fits) == ["teacher", "student", "pruned student"]
    for fit in provenance.fits.values():
        assert 0 < fit.best_epoch <= fit.n_epochs <= 8
    assert f"{os.cpu_count()} cores" in provenance.machine
    assert platform.node() not in provenance.machine
    assert "Fit of the teacher: " in (trained / "README.md").read_text()


def test_validation_figures_are_those_of_the_exported_graphs(trained: Path) -> None:
    from training.datasets import read_dataset
    from training.evaluation import mean_ndcg_10
    from training.export import recommend_onnx
    from training.sequences import read_sequences

    manifest = read_manifest(trained)
    sequences = read_sequences(
        read_dataset(str(trained.parent / "ml-ring"), cache_dir=trained.parent, base_url="")
    )
    histories, targets = sequences.held_out("validation")

    for variant in manifest.ladder:
        path = trained / variant.file.name
        lists = recommend_onnx(path, histories, k=10, allow_repeats=False, max_length=manifest.max_history)
        assert variant.validation_ndcg_10 == mean_ndcg_10(lists, targets)


@pytest.mark.parametrize("max_file_bytes", [800, 100_000])
def test_disk_that_fills_while_exporting_is_one_line(
    repository: Path, trained: Path, tmp_path: Path, max_file_bytes: int
) -> None:
    root, target = trained.parent, tmp_path / "models"
    shutil.copytree(trained, target)

    result = training(
        repository,
        *("run", str(root / "ml-ring"), "--out", str(target), "--max-epochs", "8"),
        *("--run-dir", str(root / "run")),
        max_file_bytes=max_file_bytes,
    )

    assert result.returncode == 1
    assert result.stderr == (
        f"error: cannot write {target}: File too large; what was there is as it was, make room and run again\n"
    )
    assert read_manifest(target) == read_manifest(trained)
    assert [path.name for path in tmp_path.iterdir()] == ["models"]


def test_disk_that_is_full_at_a_checkpoint_is_one_line(
    repository: Path, release: Path, tmp_path: Path
) -> None:
    result = training(
        repository,
        *("run", str(release), "--out", str(tmp_path / "models"), "--run-dir", str(tmp_path / "run")),
        max_file_bytes=50_000,
    )

    assert result.returncode == 1
    assert result.stderr.startswith(f"error: cannot write {tmp_path}/run/teacher.pt: File too large; ")
    assert result.stderr.count("\n") == 1
    assert list((tmp_path / "run").iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 and then nothing", None])
def test_damaged_checkpoint_is_one_line(
    repository: Path, trained: Path, tmp_path: Path, content: bytes | None
) -> None:
    run_dir = shutil.copytree(trained.parent / "run", tmp_path / "run")
    damaged = run_dir / "teacher.pt"
    damaged.write_bytes(damaged.read_bytes()[:100_000] if content is None else content)

    result = training(
        repository,
        *("run", str(trained.parent / "ml-ring"), "--out", str(tmp_path / "models"), "--max-epochs", "8"),
        *("--run-dir", str(run_dir)),
    )

    assert result.returncode == 1
    assert result.stderr == (
        f"error: the checkpoint {damaged} is damaged; delete it to fit anew, or restore it\n"
    )
    assert not (tmp_path / "models").exists()


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


def test_own_table_with_its_titles_is_trained_on_as_well(
    repository: Path, release: Path, tmp_path: Path
) -> None:
    ratings = (release / "ratings.csv").read_text().splitlines()[1:]
    table, items = tmp_path / "interactions.csv", tmp_path / "items.csv"
    rows = [f"u{user},i{item},{at}" for user, item, _, at in (row.split(",") for row in ratings)]
    table.write_text("\n".join(["user_id,item_id,timestamp", *rows]))
    items.write_text(
        "\n".join(["item_id,title", *(f"i{item},Thing {item}" for item in range(1, N_ITEMS + 1))])
    )

    result = training(
        repository,
        *("run", str(table), "--items", str(items), "--out", str(tmp_path / "models")),
        *("--max-epochs", "1", "--run-dir", str(tmp_path / "run")),
    )

    assert result.returncode == 0, result.stderr
    catalogue = load_models(tmp_path / "models", n_threads=1, mark=lambda _: None).catalogue
    assert catalogue.columns.titles[catalogue.number("i7") - 1] == "Thing 7"


def test_directory_that_holds_something_else_is_not_replaced(
    repository: Path, release: Path, tmp_path: Path
) -> None:
    precious = tmp_path / "thesis"
    precious.mkdir()
    (precious / "thesis.txt").write_text("years of work")

    result = training(repository, "run", str(release), "--out", str(precious))

    assert result.returncode == 1
    assert "is not a models directory, choose another" in result.stderr
    assert (precious / "thesis.txt").read_text() == "years of work"


def test_bad_config_is_one_line(repository: Path, release: Path, tmp_path: Path) -> None:
    config = tmp_path / "run.toml"
    config.write_text("[teacher]\ndims = 3\n")

    result = training(repository, "run", str(release), "--config", str(config), "--out", str(tmp_path / "m"))

    assert result.returncode == 1
    assert result.stderr.startswith("error: ")
    assert "unknown field `dims`" in result.stderr
