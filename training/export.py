"""PyTorch modules to ONNX files, each checked against the module it came from.

The graph of a scorer becomes one that is shipped by `selection`. In both, the last attention block computes
the newest position alone (`SasRec`).
"""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import torch
from numpy.typing import NDArray
from torch import nn

from training.errors import TrainingError
from training.sequences import pad

OPSET = 20
TOLERANCE = 1e-3
"Largest difference of scores between the graph and the module that is put down to rounding."


class ExportError(TrainingError):
    """A graph that does not do what its module does, or cannot be written."""


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


def recommend_onnx(
    path: Path, histories: list[NDArray[np.int64]], *, k: int, allow_repeats: bool, max_length: int
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
