"""A disk that refuses leaves what was there, and says so in words."""

import resource
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import numpy as np
import pytest

from training.writing import beside, write_whole

FileLimit = Callable[[int], AbstractContextManager[None]]


@contextmanager
def _files_of_at_most(n_bytes: int) -> Iterator[None]:
    """A file system that fills up: writing more into one file is refused, by the kernel."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.fixture
def files_of_at_most(capfd: pytest.CaptureFixture[str]) -> FileLimit:
    capfd.readouterr()  # what pytest has captured lies in a file, too
    return _files_of_at_most


def contents(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def test_file_that_cannot_be_written_whole_is_left_as_it_was(
    tmp_path: Path, files_of_at_most: FileLimit
) -> None:
    path = tmp_path / "result.json"
    write_whole(path, b"old")

    with (
        files_of_at_most(1_000),
        pytest.raises(OSError, match=r"cannot write .*result\.json: File too large; "),
    ):
        write_whole(path, bytes(5_000))

    assert contents(tmp_path) == {"result.json": b"old"}


def test_directories_on_the_way_are_made(tmp_path: Path) -> None:
    write_whole(tmp_path / "a" / "b" / "c.txt", b"content")

    assert (tmp_path / "a" / "b" / "c.txt").read_bytes() == b"content"


def test_what_a_killed_writer_left_is_taken_over(tmp_path: Path) -> None:
    with beside(tmp_path / "page.md") as staging:
        left = staging
    left.write_bytes(b"half of it, and much longer than what comes")

    write_whole(tmp_path / "page.md", b"whole")

    assert contents(tmp_path) == {"page.md": b"whole"}


def test_checkpoint_that_does_not_fit_leaves_the_one_before(
    tmp_path: Path, files_of_at_most: FileLimit
) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed; `make training-deps` installs it")
    from training.fitting import FitConfig, fit, next_item_objective
    from training.sasrec import SasRec, SasRecConfig
    from training.sequences import Sequences

    rng = np.random.default_rng(0)
    users = [(np.arange(8) + rng.integers(20)) % 20 + 1 for _ in range(20)]
    sequences = Sequences(users=users, item_ids=list(range(20)))
    path = tmp_path / "teacher.pt"

    def fit_epochs(n: int) -> None:
        config = FitConfig(max_epochs=n, evaluate_every=1)
        torch.manual_seed(0)
        model = SasRec(20, SasRecConfig(dim=8, head_dim=4, ffn_width=8))
        fit(
            model,
            sequences,
            config,
            next_item_objective(20, config),
            checkpoint=path,
            on_look=lambda _: None,
        )

    fit_epochs(1)
    before = contents(tmp_path)

    with files_of_at_most(5_000), pytest.raises(OSError, match=r"cannot write .*teacher\.pt: File too large"):
        fit_epochs(2)

    assert contents(tmp_path) == before


def test_graph_that_onnx_runtime_cannot_write_is_named(tmp_path: Path, files_of_at_most: FileLimit) -> None:
    pytest.importorskip("torch", reason="PyTorch is not installed; `make training-deps` installs it")
    from tests.recserve.conftest import write_lookup_model
    from training.export import ExportError
    from training.quantisation import quantise

    write_lookup_model(tmp_path / "scores.onnx", np.ones((101, 100)))

    with (
        files_of_at_most(5_000),
        pytest.raises(ExportError, match=r"cannot write .*folded\.onnx: .*make room"),
    ):
        quantise(tmp_path / "scores.onnx", tmp_path / "int8.onnx")

    assert [entry.name for entry in tmp_path.iterdir()] == ["scores.onnx"]
