"""PyTorch modules to ONNX files, each checked against the module it came from.

A shipped graph answers with items, not with scores of the whole catalogue: it leaves out what the user has
seen and takes the best k itself. Its last attention block computes the newest position alone (`SasRec`).
"""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from training.sequences import pad

OPSET = 20
TOLERANCE = 1e-3
"Largest difference of scores between the graph and the module that is put down to rounding."


class ExportError(Exception):
    """A graph that does not do what its module does."""


def export_scores(scorer: nn.Module, path: Path, *, example: NDArray[np.int64]) -> None:
    """Write a scorer as ONNX with dynamic batch and length: `history` to `scores`.

    Args:
        scorer: maps history (batch, length) to scores (batch, n_items).
        path: the file to write.
        example: real histories, (n, length), for tracing and for the check.

    Raises:
        ExportError: the graph scores the example differently from the module.
    """
    scorer.eval()
    torch.onnx.export(
        scorer,
        (torch.from_numpy(example[:2]),),
        path,
        input_names=["history"],
        output_names=["scores"],
        dynamic_shapes={"history": {0: torch.export.Dim.DYNAMIC, 1: torch.export.Dim.DYNAMIC}},
        opset_version=OPSET,
        external_data=False,
        dynamo=True,
        verbose=False,
    )
    _strip_traces(path)
    session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    for length in (1, 3, example.shape[1]):
        history = example[:, -length:]
        with torch.inference_mode():
            expected = scorer(torch.from_numpy(history)).numpy()
        difference = np.abs(session.run(["scores"], {"history": history})[0] - expected).max()
        if not difference < TOLERANCE:
            raise ExportError(f"{path.name} differs from its module by {difference} at length {length}")


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


def recommend_onnx(
    path: Path, histories: list[NDArray[np.int64]], *, k: int, allow_repeats: bool, max_length: int = 50
) -> NDArray[np.int64]:
    """The best k items of every user by a shipped graph, (n_users, k); 0 where fewer remain."""
    session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    lists = np.zeros((len(histories), k), np.int64)
    by_length = np.argsort([len(history) for history in histories], kind="stable")
    for users in np.array_split(by_length, max(1, len(by_length) // 64)):
        batch = [histories[user] for user in users]
        seen = np.zeros((len(users), 0), np.int64) if allow_repeats else pad(batch, len(batch[-1]))
        history = pad(batch, min(max_length, len(batch[-1])))
        (items,) = session.run(["items"], {"history": history, "seen": seen, "k": np.array([k])})
        lists[users, : items.shape[1]] = items
    return lists


def _strip_traces(path: Path) -> None:
    """Remove the stack traces that the exporter leaves in the graph: they hold paths of this machine."""
    model = onnx.load(path)
    for node in model.graph.node:
        del node.metadata_props[:]
    for info in (*model.graph.value_info, *model.graph.input, *model.graph.output, *model.graph.initializer):
        del info.metadata_props[:]
    del model.metadata_props[:]
    onnx.save(model, path)
