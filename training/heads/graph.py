"""Builds a head's graph and writes it, weights beside it: whole or not at all."""

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from training.heads.contract import OPSET, HeadError, HeadInfo
from training.writing import beside

ALIGNMENT = 4096
"Of each weight in the data file, so that mapping one starts at a page."
IR_VERSION = 10
PREFIX = "head/"
"Of every value inside the graph: an encoder can be attached without a clash."


class GraphBuilder:
    """A graph under construction. Values are named by the strings that the methods return."""

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._inputs: list[onnx.ValueInfoProto] = []
        self._outputs: list[onnx.ValueInfoProto] = []
        self._initializers: list[TensorProto] = []
        self._weights: list[tuple[str, NDArray[Any]]] = []

    def input(self, name: str, elem_type: int, shape: Sequence[str | int]) -> str:
        self._inputs.append(helper.make_tensor_value_info(name, elem_type, shape))
        return name

    def option(self, name: str, default: NDArray[Any]) -> str:
        """An input that callers may leave out."""
        tensor = numpy_helper.from_array(default, name)
        self._initializers.append(tensor)
        return self.input(name, tensor.data_type, default.shape)

    def output(self, name: str, value: str, elem_type: int, shape: Sequence[str | int]) -> None:
        self._nodes.append(helper.make_node("Identity", [value], [name], name=f"{PREFIX}{name}"))
        self._outputs.append(helper.make_tensor_value_info(name, elem_type, shape))

    def constant(self, value: NDArray[Any] | np.generic) -> str:
        """A small value inside the graph file."""
        name = f"{PREFIX}constant_{len(self._initializers)}"
        self._initializers.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def weights(self, name: str, value: NDArray[Any]) -> str:
        """A large value in the data file beside the graph."""
        self._weights.append((PREFIX + name, np.ascontiguousarray(value)))
        return PREFIX + name

    def add(self, op: str, *inputs: str, **attributes: Any) -> str:
        return self.add_many(op, *inputs, n_outputs=1, **attributes)[0]

    def add_many(self, op: str, *inputs: str, n_outputs: int, **attributes: Any) -> list[str]:
        name = f"{PREFIX}{op}_{len(self._nodes)}"
        outputs = [name if n_outputs == 1 else f"{name}:{i}" for i in range(n_outputs)]
        self._nodes.append(helper.make_node(op, list(inputs), outputs, name=name, **attributes))
        return outputs

    def write(self, path: Path, info: HeadInfo) -> None:
        """Write `path` and its data file; what stood there before stays until both are complete.

        The data file's name has its digest in it. A graph that is read while another is written finds
        its own weights, and the last step is one rename.

        Raises:
            HeadError: the disk refuses.
        """
        old_data = data_path(path) if path.exists() else None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with beside(path) as staging:
                offsets, digest = _write_weights(staging, [array for _, array in self._weights])
                data = path.with_name(f"{path.stem}-{digest[:8]}.bin")
                staging.replace(data)
            try:
                write_graph(path, self._model(data.name, offsets, info))
            except OSError:
                if data != old_data:
                    data.unlink()
                raise
        except OSError as err:
            raise HeadError(
                f"cannot write {path}: {err.strerror or err}; what was there is as it was"
            ) from err
        if old_data is not None and old_data != data:
            old_data.unlink(missing_ok=True)

    def _model(self, data_name: str, offsets: list[int], info: HeadInfo) -> onnx.ModelProto:
        external = [
            _external(name, array, data_name, offset)
            for (name, array), offset in zip(self._weights, offsets, strict=True)
        ]
        graph = helper.make_graph(
            self._nodes, info.kind, self._inputs, self._outputs, [*self._initializers, *external]
        )
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
            producer_name="recserve",
        )
        helper.set_model_props(model, info.to_metadata())
        return model


def read_graph(path: Path) -> onnx.ModelProto:
    """A graph without its external weights.

    Raises:
        HeadError: there is none, or it is not ONNX.
    """
    try:
        return onnx.load(path, load_external_data=False)
    except Exception as err:  # protobuf's exceptions are not public
        raise HeadError(f"cannot read {path}: {err}; write the head again") from err


def write_graph(path: Path, model: onnx.ModelProto) -> None:
    """Write a graph; its external weights must be beside it already."""
    with beside(path) as staging:
        staging.write_bytes(model.SerializeToString(deterministic=True))
        staging.replace(path)


def data_path(path: Path) -> Path | None:
    """The file that holds a graph's external weights; None where it has none."""
    locations = {
        entry.value
        for tensor in read_graph(path).graph.initializer
        for entry in tensor.external_data
        if entry.key == "location"
    }
    return path.with_name(locations.pop()) if locations else None


def _write_weights(path: Path, arrays: list[NDArray[Any]]) -> tuple[list[int], str]:
    """Write arrays one after the other; where each begins, and the digest of the whole."""
    digest, offsets, position = hashlib.sha256(), [], 0
    with path.open("wb") as file:
        for array in arrays:
            gap = bytes(-position % ALIGNMENT)
            content = array.reshape(-1).view(np.uint8).data
            for part in (gap, content):
                file.write(part)
                digest.update(part)
            offsets.append(position + len(gap))
            position += len(gap) + len(content)
        file.flush()
        os.fsync(file.fileno())
    return offsets, digest.hexdigest()


def _external(name: str, array: NDArray[Any], data_name: str, offset: int) -> TensorProto:
    tensor = TensorProto(
        name=name,
        data_type=helper.np_dtype_to_tensor_dtype(array.dtype),
        dims=array.shape,
        data_location=TensorProto.EXTERNAL,
    )
    for key, value in (("location", data_name), ("offset", str(offset)), ("length", str(array.nbytes))):
        tensor.external_data.add(key=key, value=value)
    return tensor
