"""Graphs whose weights are 8-bit numbers, against the graphs that they were made from."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

pytest.importorskip("torch", reason="PyTorch is not installed; `make training-deps` installs it")

from training.export import ExportError
from training.weights import FULL_RANGE, compress_rows, count_neighbours, write_int8_weights

N_ITEMS, DIM = 100, 64


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)


def write_scorer(path: Path, matrix: NDArray[np.float32]) -> Path:
    """Scores of all items from the vector of the newest one."""
    graph = helper.make_graph(
        [
            helper.make_node("Gather", ["items", "history"], ["vectors"]),
            helper.make_node("Transpose", ["items"], ["columns"]),
            helper.make_node("MatMul", ["vectors", "columns"], ["scores"]),
        ],
        "scorer",
        [helper.make_tensor_value_info("history", TensorProto.INT64, ["batch"])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["batch", len(matrix)])],
        [numpy_helper.from_array(matrix, "items")],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), path)
    return path


def scores(path: Path) -> NDArray[np.float32]:
    session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    answered: NDArray[np.float32] = session.run(None, {"history": np.arange(N_ITEMS)})[0]
    return answered


def test_numbers_are_off_by_half_a_step_of_their_row_at_most(rng: np.random.Generator) -> None:
    matrix = rng.normal(size=(50, 20)).astype(np.float32) * 10.0 ** rng.integers(-3, 3, (50, 1))
    numbers, scales = compress_rows(matrix.astype(np.float32))

    assert (np.abs(numbers * scales[:, None] - matrix) <= scales[:, None] * 0.501).all()
    assert (np.abs(numbers).max(1) == FULL_RANGE).all()


def test_row_of_zeros_stays_one(rng: np.random.Generator) -> None:
    matrix = rng.normal(size=(3, 4)).astype(np.float32)
    matrix[0] = 0

    numbers, scales = compress_rows(matrix)

    assert not (numbers[0] * scales[0]).any()
    assert np.isfinite(numbers * scales[:, None]).all()


def test_graph_is_a_quarter_in_size_and_scores_nearly_the_same(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    matrix = rng.normal(size=(N_ITEMS, DIM)).astype(np.float32)
    source = write_scorer(tmp_path / "float.onnx", matrix)

    write_int8_weights(source, tmp_path / "int8.onnx")

    before, after = scores(source), scores(tmp_path / "int8.onnx")
    assert np.corrcoef(before.ravel(), after.ravel())[0, 1] > 0.999
    assert (tmp_path / "int8.onnx").stat().st_size < 0.4 * source.stat().st_size


def test_arithmetic_stays_in_float(tmp_path: Path, rng: np.random.Generator) -> None:
    matrix = rng.normal(size=(N_ITEMS, DIM)).astype(np.float32)
    source = write_scorer(tmp_path / "float.onnx", matrix)
    numbers, scales = compress_rows(matrix)
    rounded = numbers.astype(np.float32) * scales[:, None]

    write_int8_weights(source, tmp_path / "int8.onnx")

    assert np.allclose(scores(tmp_path / "int8.onnx"), rounded @ rounded.T, rtol=1e-5, atol=1e-5)


def test_small_matrices_stay_as_they_are(tmp_path: Path, rng: np.random.Generator) -> None:
    source = write_scorer(tmp_path / "float.onnx", rng.normal(size=(10, 4)).astype(np.float32))

    with pytest.raises(ExportError, match="no matrix of 4096"):
        write_int8_weights(source, tmp_path / "int8.onnx")


def test_graph_without_counts_has_no_neighbours_to_lose(tmp_path: Path, rng: np.random.Generator) -> None:
    source = write_scorer(tmp_path / "float.onnx", rng.normal(size=(N_ITEMS, DIM)).astype(np.float32))

    assert count_neighbours(source) is None
    with pytest.raises(ExportError, match="counts no neighbours"):
        write_int8_weights(source, tmp_path / "int8.onnx", n_neighbours=10)


@pytest.mark.parametrize("length", [1, 3, 50])
def test_graph_with_fewer_neighbours_answers_histories_of_any_length(
    repository: Path, tmp_path: Path, length: int
) -> None:
    source, target = repository / "models/student.onnx", tmp_path / "fewer.onnx"
    write_int8_weights(source, target, n_neighbours=20)

    session = ort.InferenceSession(target, providers=["CPUExecutionProvider"])
    history = np.arange(1, 2 * length + 1).reshape(2, length)
    items, found = session.run(None, {"history": history, "seen": history, "k": np.array([10])})

    assert (count_neighbours(source), count_neighbours(target)) == (100, 20)
    assert items.shape == (2, 10)
    assert np.isfinite(found).all()
