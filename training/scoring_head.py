"""A SASRec whose items are scored by a head for large catalogues, in one file like every rung.

    history -> encoder -> query -> head (`training.heads`) -> items, scores

A head answers inner products and nothing else, so such a rung is SASRec alone, without counts. Its weights go
into the graph: the service loads graphs from verified bytes, which leaves nothing beside them to map.
"""

from pathlib import Path
from typing import Literal

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import helper
from torch import Tensor, nn

from training.export import export_scores
from training.heads import (
    HeadError,
    InvertedFileConfig,
    attach_head,
    choose_nprobe,
    write_exact_int8,
    write_inverted_file,
)
from training.sasrec import SasRec

HeadKind = Literal["flat", "exact_int8", "inverted_file"]
TARGET_RECALL_10 = 0.99
"Of an inverted file against exact scores, on validation."


class Encoder(nn.Module):
    """History to query: the part of a SASRec before its item matrix."""

    def __init__(self, sasrec: SasRec) -> None:
        super().__init__()
        self.sasrec = sasrec

    def forward(self, history: Tensor) -> Tensor:
        return self.sasrec.newest(history)


def export_with_head(
    sasrec: SasRec, kind: HeadKind, path: Path, *, folder: Path, histories: NDArray[np.int64], seed: int
) -> None:
    """Write a SASRec with a head as one graph with the signature of a rung.

    Args:
        sasrec: the model.
        kind: `exact_int8` or `inverted_file`.
        path: the graph to write.
        folder: holds what lies on the way.
        histories: of validation, (n, length), for tracing and for choosing how many blocks are probed.
        seed: of the grouping of items.

    Raises:
        ExportError: the encoder's graph does not do what the encoder does.
        HeadError: the head cannot be built, or does not reach `TARGET_RECALL_10`.
    """
    encoder = Encoder(sasrec).eval()
    encoder_path, head_path = folder / f"{path.stem}-encoder.onnx", folder / f"{path.stem}-head.onnx"
    export_scores(encoder, encoder_path, example=histories[:64])
    vectors = sasrec.items.weight[1:].detach().numpy()
    if kind == "exact_int8":
        write_exact_int8(head_path, vectors)
    elif kind == "inverted_file":
        write_inverted_file(head_path, vectors, InvertedFileConfig(), rng=np.random.default_rng(seed))
        with torch.inference_mode():
            queries = encoder(torch.from_numpy(histories)).numpy()
        choose_nprobe(head_path, vectors, queries, target=TARGET_RECALL_10)
    else:
        raise HeadError(f"{kind!r} is no head that is attached; exact_int8 and inverted_file are")
    attached = folder / f"{path.stem}-attached.onnx"
    attach_head(encoder_path, head_path, attached)
    model = onnx.load(attached)  # with its external weights
    if kind == "inverted_file":
        _fill_lists(model.graph)
    onnx.checker.check_model(model)
    onnx.save(model, path)


def _fill_lists(graph: onnx.GraphProto) -> None:
    """Probe at least k + n_seen blocks: each holds an item, so that no list is short while items remain."""
    chosen = next(tensor for tensor in graph.initializer if tensor.name == "nprobe")
    chosen.name = "chosen_nprobe"
    graph.input.remove(next(value for value in graph.input if value.name == "nprobe"))
    nodes = [
        helper.make_node("Shape", ["seen"], ["n_seen"], start=1, end=2),
        helper.make_node("Add", ["k", "n_seen"], ["nprobe_that_fills"]),
        helper.make_node("Max", ["chosen_nprobe", "nprobe_that_fills"], ["nprobe"]),
    ]
    for place, node in enumerate(nodes):
        graph.node.insert(place, node)
