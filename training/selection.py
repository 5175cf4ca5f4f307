"""Selection inside the graph: a shipped graph answers with items, not with scores of the whole catalogue.

It leaves out what the user has seen and takes the best k itself, so that a run hands over a few numbers
instead of one for every item.
"""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def append_selection(source: Path, target: Path) -> None:
    """Turn a graph of scores into one of items.

    The new graph has the inputs `history` (batch, length), `seen` (batch, n_seen) item numbers that must not
    come back, 0 pads, and `k` (1,), all int64; and the outputs `items` int64 and `scores` float32, both
    (batch, min(k, n_items + 1)), best first. Where fewer items remain, the rest is item 0 with score -inf.
    """
    model = onnx.load(source)
    graph = model.graph
    for node in graph.node:
        node.output[:] = ["all_scores" if name == "scores" else name for name in node.output]
    constants = {
        "column_before": np.array([0, 1, 0, 0]),
        "never": np.array(-np.inf, np.float32),
        "nothing": np.array(0),
    }
    graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in constants.items())
    graph.node.extend(
        [
            # Column j becomes item number j; column 0, padding, can never win.
            helper.make_node("Pad", ["all_scores", "column_before", "never"], ["by_number"]),
            helper.make_node("Shape", ["seen"], ["seen_shape"]),
            helper.make_node("Expand", ["never", "seen_shape"], ["seen_scores"]),
            helper.make_node("ScatterElements", ["by_number", "seen", "seen_scores"], ["allowed"], axis=1),
            helper.make_node("Shape", ["allowed"], ["n_numbers"], start=1, end=2),
            helper.make_node("Min", ["k", "n_numbers"], ["k_there_is"]),
            helper.make_node("TopK", ["allowed", "k_there_is"], ["scores", "best_items"], axis=1),
            helper.make_node("IsInf", ["scores"], ["is_none"]),
            helper.make_node("Where", ["is_none", "nothing", "best_items"], ["items"]),
        ]
    )
    del graph.output[:]
    graph.input.extend(
        [
            helper.make_tensor_value_info("seen", TensorProto.INT64, ["batch", "n_seen"]),
            helper.make_tensor_value_info("k", TensorProto.INT64, [1]),
        ]
    )
    graph.output.extend(
        [
            helper.make_tensor_value_info("items", TensorProto.INT64, ["batch", "n_best"]),
            helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["batch", "n_best"]),
        ]
    )
    del graph.value_info[:]
    onnx.checker.check_model(model)
    onnx.save(model, target)
