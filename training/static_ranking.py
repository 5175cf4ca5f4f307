"""A graph for a ranking that is the same for everybody: it reads as far down the list as an answer needs.

Sorting the whole catalogue for every request would cost as much as a model run. The list is sorted once, here; a
request takes its first k + n_seen items, of which at least k were not seen, and selects among those.
"""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

IR_VERSION = 10
OPSET = 20


def write_static_ranking(scores: NDArray[np.float32], target: Path) -> None:
    """Write a graph with the inputs and outputs of `selection.append_selection`.

    Args:
        scores: of each item, (n_items,); of equal ones the lower item number comes first.
        target: the file to write.
    """
    n_items = len(scores)
    order = np.argsort(-scores, kind="stable")
    constants: dict[str, NDArray[Any]] = {
        "order": order + 1,
        "order_scores": scores[order].astype(np.float32),
        "n_items": np.array([n_items]),
        "n_numbers": np.array([n_items + 1]),
        "start": np.array([0]),
        "no_items": np.array([0]),
        "no_scores": np.array([-np.inf], np.float32),
        "never": np.array(-np.inf, np.float32),
        "nothing": np.array(0),
    }
    node = helper.make_node
    nodes = [
        node("Shape", ["history"], ["n_rows"], start=0, end=1),
        node("Shape", ["seen"], ["seen_shape"]),
        node("Shape", ["seen"], ["n_seen"], start=1, end=2),
        node("Add", ["k", "n_seen"], ["n_enough"]),
        node("Min", ["n_enough", "n_items"], ["n_read"]),
        node("Slice", ["order", "start", "n_read"], ["first"]),
        node("Slice", ["order_scores", "start", "n_read"], ["first_scores"]),
        # One column more than there are items: what is left when all were seen.
        node("Concat", ["first", "no_items"], ["candidates"], axis=0),
        node("Concat", ["first_scores", "no_scores"], ["candidate_scores"], axis=0),
        node("Concat", ["n_rows", "n_numbers"], ["mask_shape"], axis=0),
        node("ConstantOfShape", ["mask_shape"], ["nobody_saw"]),
        node("Expand", ["never", "seen_shape"], ["seen_scores"]),
        node("ScatterElements", ["nobody_saw", "seen", "seen_scores"], ["mask"], axis=1),
        node("Gather", ["mask", "candidates"], ["candidate_mask"], axis=1),
        node("Add", ["candidate_mask", "candidate_scores"], ["allowed"]),
        node("Min", ["k", "n_numbers"], ["k_there_is"]),
        node("TopK", ["allowed", "k_there_is"], ["scores", "places"], axis=1),
        node("Gather", ["candidates", "places"], ["best_items"], axis=0),
        node("IsInf", ["scores"], ["is_none"]),
        node("Where", ["is_none", "nothing", "best_items"], ["items"]),
    ]
    integers, floats = TensorProto.INT64, TensorProto.FLOAT
    graph = helper.make_graph(
        nodes,
        "static_ranking",
        [
            helper.make_tensor_value_info("history", integers, ["batch", "length"]),
            helper.make_tensor_value_info("seen", integers, ["batch", "n_seen"]),
            helper.make_tensor_value_info("k", integers, [1]),
        ],
        [
            helper.make_tensor_value_info("items", integers, ["batch", "n_best"]),
            helper.make_tensor_value_info("scores", floats, ["batch", "n_best"]),
        ],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION, producer_name="recserve"
    )
    onnx.checker.check_model(model)
    onnx.save(model, target)
