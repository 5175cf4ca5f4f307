"""What computing only the newest position in the last block saves: the two graphs, in turns.

Weights do not matter for time, so the models are not fitted; they have the shape of the teacher that
`training` makes by default, with one block and with two.
"""

import tempfile
from pathlib import Path
from time import perf_counter
from typing import Any

import msgspec
import numpy as np
import onnxruntime as ort
import torch
from torch import Tensor, nn

from benchmarks.results import percentiles
from training.config import RunConfig
from training.export import export_scores
from training.sasrec import SasRec

LENGTHS = (50, 200)
N_BURN_IN = 20
N_ITEMS = 3_496
"As many as ml-latest-small has."


class EveryPosition(nn.Module):
    """The same model without the saving."""

    def __init__(self, model: SasRec) -> None:
        super().__init__()
        self.model = model

    def forward(self, history: Tensor) -> Tensor:
        return self.model.logits(self.model.encode(history)[:, -1])


def run(rounds: int) -> dict[str, Any]:
    """Latencies of both graphs by number of blocks and length, and the ratio of their medians."""
    figures = {}
    for n_blocks in (1, 2):
        for length in LENGTHS:
            figures[f"{n_blocks} blocks, length {length}"] = _compare(n_blocks, length, rounds)
    return figures


def _compare(n_blocks: int, length: int, rounds: int) -> dict[str, Any]:
    config = msgspec.structs.replace(RunConfig().teacher, n_blocks=n_blocks, max_length=length)
    torch.manual_seed(0)
    model = SasRec(N_ITEMS, config)
    history = np.random.default_rng(0).integers(1, N_ITEMS + 1, (4, length))
    with tempfile.TemporaryDirectory() as folder:
        sessions = {}
        for name, scorer in (("every_position", EveryPosition(model)), ("last_position", model)):
            path = Path(folder) / f"{name}.onnx"
            export_scores(scorer, path, example=history)
            options = ort.SessionOptions()
            options.intra_op_num_threads = 1
            sessions[name] = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    samples_ms: dict[str, list[float]] = {name: [] for name in sessions}
    order = list(sessions)
    for round_number in range(N_BURN_IN + rounds):
        order.reverse()  # neither graph always comes first
        for name in order:
            started_s = perf_counter()
            sessions[name].run(None, {"history": history[:1]})
            if round_number >= N_BURN_IN:
                samples_ms[name].append((perf_counter() - started_s) * 1e3)
    measured = {name: percentiles(of_graph) for name, of_graph in samples_ms.items()}
    ratio = measured["every_position"]["p50_ms"] / measured["last_position"]["p50_ms"]
    return measured | {"ratio": round(ratio, 3)}
