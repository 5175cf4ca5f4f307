"""Weights as 8-bit numbers that are read back into float: a graph that is small on its way to a device.

    weight[row, column] = scale[row] x int8[row, column],  scale[row] = max |weight[row]| / 127

All arithmetic stays in float32. That is what sets it apart from `quantisation`, which rounds activations too: a
difference in the last bit between two processors can flip such a rounding, and with it the order of a list. Here
it stays a difference in the last bit.

It misbehaves on rows with one large outlier, whose other numbers lose their digits.
"""

from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from training.export import ExportError

LEAST_SIZE = 4096
"Numbers of the smallest matrix that is worth it: below, scales and nodes take up what is saved."
FULL_RANGE = 127
NEIGHBOUR_TYPES = ({TensorProto.INT16, TensorProto.UINT8}, {TensorProto.INT32, TensorProto.UINT8})
"Types of the two tables of a blend's counts (`scorers`): which items, and how heavy."


def write_int8_weights(source: Path, target: Path, *, n_neighbours: int | None = None) -> None:
    """Write a copy of an exported graph whose float matrices are stored as 8-bit numbers.

    Args:
        source: a graph of float32.
        target: the file to write.
        n_neighbours: heaviest neighbours of an item that stay; None keeps all.

    Raises:
        ExportError: the graph has no neighbours, or no matrix of float32.
    """
    model = onnx.load(source)
    if n_neighbours is not None:
        _keep_neighbours(model.graph, n_neighbours)
    matrices = [tensor for tensor in model.graph.initializer if _is_worth_it(tensor)]
    if not matrices:
        raise ExportError(f"{source.name} has no matrix of {LEAST_SIZE} float32 numbers or more")
    for tensor in matrices:
        _compress(model.graph, tensor)
    onnx.checker.check_model(model)
    onnx.save(model, target)


def count_neighbours(path: Path) -> int | None:
    """Neighbours that a graph keeps of each item; None where it counts none."""
    tables = _neighbour_tables(onnx.load(path).graph)
    return tables[0].dims[1] if tables else None


def compress_rows(matrix: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """8-bit numbers of the same shape, and a scale for each row, (rows,)."""
    scales = np.abs(matrix).max(1) / FULL_RANGE
    safe = np.where(scales > 0, scales, 1)[:, None]  # a row of zeros, as of padding, stays one
    return np.rint(matrix / safe).astype(np.int8), scales.astype(np.float32)


def _is_worth_it(tensor: onnx.TensorProto) -> bool:
    is_matrix = tensor.data_type == TensorProto.FLOAT and len(tensor.dims) == 2
    return is_matrix and int(np.prod(tensor.dims)) >= LEAST_SIZE


def _compress(graph: onnx.GraphProto, tensor: onnx.TensorProto) -> None:
    """Put a node in the place of an initializer, under its name, so that nobody notices.

    ONNX Runtime folds a cast and a product of constants when it loads the graph, and so runs on floats;
    DequantizeLinear it leaves for every run.
    """
    numbers, scales = compress_rows(numpy_helper.to_array(tensor))
    name = tensor.name
    graph.initializer.remove(tensor)
    graph.initializer.append(numpy_helper.from_array(numbers, f"{name}_int8"))
    graph.initializer.append(numpy_helper.from_array(scales[:, None], f"{name}_scale"))
    graph.node.insert(0, helper.make_node("Mul", [f"{name}_float", f"{name}_scale"], [name]))
    graph.node.insert(0, helper.make_node("Cast", [f"{name}_int8"], [f"{name}_float"], to=TensorProto.FLOAT))


def _keep_neighbours(graph: onnx.GraphProto, n_neighbours: int) -> None:
    """Neighbours stand heaviest first, so the first ones stay.

    A shape is computed from their number, which the exporter has made a constant: it changes too.
    """
    tables = _neighbour_tables(graph)
    if not tables:
        raise ExportError("the graph counts no neighbours; compress it as it is")
    n_known = tables[0].dims[1]
    factors = {name for node in graph.node if node.op_type == "Mul" for name in node.input}
    for tensor in graph.initializer:
        is_number = tensor.data_type == TensorProto.INT64 and not tensor.dims and tensor.name in factors
        if is_number and numpy_helper.to_array(tensor) == n_known:
            tensor.CopyFrom(numpy_helper.from_array(np.array(n_neighbours), tensor.name))
    for tensor in tables:
        kept = numpy_helper.to_array(tensor)[:, :n_neighbours]
        tensor.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(kept), tensor.name))
    del graph.value_info[:]


def _neighbour_tables(graph: onnx.GraphProto) -> list[onnx.TensorProto]:
    """The two tables, known by their types and their common shape: the exporter folds their names away."""
    matrices = [tensor for tensor in graph.initializer if len(tensor.dims) == 2]
    tables = [tensor for tensor in matrices if any(tensor.data_type in types for types in NEIGHBOUR_TYPES)]
    is_pair = len(tables) == 2 and tables[0].dims == tables[1].dims
    return tables if is_pair and {tensor.data_type for tensor in tables} in NEIGHBOUR_TYPES else []
