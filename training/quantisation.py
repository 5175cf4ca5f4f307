"""int8: dynamic quantisation of every weight matrix, and one int8 item matrix for reading and scoring.

Weights are quantised per output channel, symmetrically, to 7 bits of the 8: on CPUs without VNNI, pairs of
products are added up in 16 bits, and full range overflows there without a word. Activations are quantised at
run time, per tensor (`DynamicQuantizeLinear`, then `MatMulInteger`). The item matrix stands in the graph twice
in float, once to look histories up and once, transposed, to score; here both use the same int8 matrix, so its
four bytes a number become one.
"""

import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic

from training.export import ExportError

ITEM_MATRIX = "items.weight"
"How the exporter names SASRec's item embeddings, after the path of modules that leads there."


def quantise(source: Path, target: Path) -> None:
    """Write an int8 copy of an exported scorer.

    Raises:
        ExportError: the graph has no item matrix, quantisation left its product in float, or ONNX Runtime cannot
            write.
    """
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        folded, quantised = Path(folder) / "folded.onnx", Path(folder) / "quantised.onnx"
        _fold_constants(source, folded)
        quantize_dynamic(
            folded,
            quantised,
            weight_type=QuantType.QInt8,
            per_channel=True,
            reduce_range=True,
            op_types_to_quantize=["MatMul"],
            extra_options={"MatMulConstBOnly": True},
        )
        model = onnx.load(quantised)
    _share_item_matrix(model.graph)
    onnx.checker.check_model(model)
    onnx.save(model, target)


def _fold_constants(source: Path, target: Path) -> None:
    """The transposed item matrix is computed from the other; quantisation wants it as a constant."""
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(target)
    options.log_severity_level = 3
    try:
        ort.InferenceSession(source, options, providers=["CPUExecutionProvider"])
    except Exception as err:  # ONNX Runtime's own exception classes are not public
        raise ExportError(f"ONNX Runtime cannot write {target}: {err}; make room and run again") from err


def _share_item_matrix(graph: onnx.GraphProto) -> None:
    """Look histories up in the columns of the int8 scoring matrix, and drop the float table."""
    weights = {tensor.name: tensor for tensor in graph.initializer}
    table = next((tensor for name, tensor in weights.items() if name.endswith(ITEM_MATRIX)), None)
    if table is None:
        raise ExportError(f"the graph has no {ITEM_MATRIX}; only SASRec variants can be quantised")
    wanted = numpy_helper.to_array(table)[1:].T  # (dim, n_items)
    scoring = next((tensor for tensor in weights.values() if _is_quantised(tensor, wanted, weights)), None)
    if scoring is None:
        raise ExportError(
            "quantisation left the item matrix in float; the product must be a MatMul of a constant"
        )
    scale = _scale_of(scoring, weights)
    lookup = next(node for node in graph.node if node.op_type == "Gather" and node.input[0] == table.name)
    place = list(graph.node).index(lookup)
    for offset, node in enumerate(_lookup_nodes(scoring.name, scale.name, lookup)):
        graph.node.insert(place + offset, node)
    graph.node.remove(lookup)
    graph.initializer.remove(table)
    for name, value in (("lookup_zero", 0), ("lookup_one", 1), ("lookup_last", 2)):
        graph.initializer.append(numpy_helper.from_array(np.array([value]), name))


def _scale_of(tensor: onnx.TensorProto, weights: dict[str, onnx.TensorProto]) -> onnx.TensorProto:
    return weights[tensor.name.removesuffix("_quantized") + "_scale"]


def _is_quantised(
    tensor: onnx.TensorProto, wanted: NDArray[np.float32], weights: dict[str, onnx.TensorProto]
) -> bool:
    """Whether an initializer is the int8 form of a matrix: by its values, since shapes may coincide."""
    if tensor.data_type != TensorProto.INT8 or tuple(tensor.dims) != wanted.shape:
        return False
    scale = numpy_helper.to_array(_scale_of(tensor, weights))
    return bool((np.abs(numpy_helper.to_array(tensor) * scale - wanted) <= scale).all())


def _lookup_nodes(matrix: str, scale: str, lookup: onnx.NodeProto) -> list[onnx.NodeProto]:
    """Embeddings of item numbers (B, L) from columns of (D, n_items): 0 gives zeros, as padding must."""
    numbers, embedded = lookup.input[1], lookup.output[0]
    return [
        helper.make_node("Sub", [numbers, "lookup_one"], ["lookup_shifted"]),
        helper.make_node("Max", ["lookup_shifted", "lookup_zero"], ["lookup_column"]),
        helper.make_node("Gather", [matrix, "lookup_column"], ["lookup_int8"], axis=1),  # (D, B, L)
        helper.make_node("Transpose", ["lookup_int8"], ["lookup_rows"], perm=[1, 2, 0]),  # (B, L, D)
        helper.make_node("Cast", ["lookup_rows"], ["lookup_float"], to=TensorProto.FLOAT),
        helper.make_node("Gather", [scale, "lookup_column"], ["lookup_scale"], axis=0),  # (B, L)
        helper.make_node("Cast", [numbers], ["lookup_truth"], to=TensorProto.BOOL),
        helper.make_node("Cast", ["lookup_truth"], ["lookup_real"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["lookup_scale", "lookup_real"], ["lookup_factor"]),
        helper.make_node("Unsqueeze", ["lookup_factor", "lookup_last"], ["lookup_factors"]),  # (B, L, 1)
        helper.make_node("Mul", ["lookup_float", "lookup_factors"], [embedded]),
    ]
