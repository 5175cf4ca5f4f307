"""PyTorch modules to ONNX files, each checked against the module it came from."""

from pathlib import Path
from typing import cast

import numpy as np
import onnx
import onnxruntime as ort
import torch
from numpy.typing import NDArray
from torch import nn

from training.scorers import score_all

OPSET = 20
TOLERANCE = 1e-3
"Largest difference of scores between the graph and the module that is put down to rounding."


class ExportError(Exception):
    """A graph that does not do what its module does."""


def export_onnx(scorer: nn.Module, path: Path, *, example: NDArray[np.int64]) -> None:
    """Write a scorer as ONNX with dynamic batch and length.

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
    for length in (1, 3, example.shape[1]):
        history = example[:, -length:]
        difference = np.abs(score_onnx(path, history) - score_all(scorer, history)).max()
        if not difference < TOLERANCE:
            raise ExportError(f"{path.name} differs from its module by {difference} at length {length}")


def _strip_traces(path: Path) -> None:
    """Remove the stack traces that the exporter leaves in the graph: they hold paths of this machine."""
    model = onnx.load(path)
    for node in model.graph.node:
        del node.metadata_props[:]
    for info in (*model.graph.value_info, *model.graph.input, *model.graph.output, *model.graph.initializer):
        del info.metadata_props[:]
    del model.metadata_props[:]
    onnx.save(model, path)


def score_onnx(path: Path, history: NDArray[np.int64]) -> NDArray[np.float32]:
    """Scores of an exported graph, (n, n_items)."""
    session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    return cast(NDArray[np.float32], session.run(["scores"], {"history": history})[0])
