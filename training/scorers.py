"""Model variants as PyTorch modules with one signature: history in, scores of all items out.

`history` is (batch, length) int64, newest item last, 0 pads on the left; the answer is (batch, n_items)
float32, column j for item number j + 1. `export` turns each into ONNX.
"""

from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from training.counts import Counts
from training.sasrec import SasRec


class CountsScorer(nn.Module):
    """Item-to-item counts; neighbour lists are gathered and added up.

    Item numbers are kept as 16 bits where they fit and weights as float16: the table is the model's size.
    """

    neighbours: Tensor  # (n_items + 1, N)
    weights: Tensor  # (n_items + 1, N)
    decay: Tensor  # (R,)

    def __init__(self, counts: Counts) -> None:
        super().__init__()
        config = counts.config
        number_type = np.int16 if len(counts.neighbours) <= np.iinfo(np.int16).max else np.int32
        self.n_recent = config.n_recent
        self.register_buffer("neighbours", torch.from_numpy(counts.neighbours.astype(number_type)))
        self.register_buffer("weights", torch.from_numpy(counts.weights.astype(np.float16)))
        ages = torch.arange(config.n_recent - 1, -1, -1)  # newest last, like the history
        self.register_buffer("decay", config.decay**ages)

    def forward(self, history: Tensor) -> Tensor:
        recent = history[:, -self.n_recent :]  # (B, R)
        neighbours = self.neighbours[recent].long().flatten(1)  # (B, R * N)
        decay = self.decay[-recent.shape[1] :, None]  # (R, 1)
        weights = (self.weights[recent].float() * decay).flatten(1)  # (B, R * N)
        empty = torch.zeros(history.shape[0], len(self.weights))
        return empty.scatter_add(1, neighbours, weights)[:, 1:]


class PopularScorer(nn.Module):
    """The same scores for everybody: how many users of the training data took each item."""

    def __init__(self, popularity: NDArray[np.int64]) -> None:
        super().__init__()
        self.register_buffer("popularity", torch.from_numpy(popularity.astype(np.float32)))  # (n_items,)

    def forward(self, history: Tensor) -> Tensor:
        return cast(Tensor, self.popularity).expand(history.shape[0], -1)


class BlendScorer(nn.Module):
    """SASRec plus `weight` times counts, each standardised over the catalogue for each user."""

    def __init__(self, sasrec: SasRec, counts: CountsScorer, weight: float) -> None:
        super().__init__()
        self.sasrec = sasrec
        self.counts = counts
        self.weight = weight

    def forward(self, history: Tensor) -> Tensor:
        return standardise(self.sasrec(history)) + self.weight * standardise(self.counts(history))


def standardise(scores: Tensor) -> Tensor:
    """Zero mean and unit deviation over the items of each row; a constant row becomes zeros."""
    centred = scores - scores.mean(1, keepdim=True)
    deviation = (centred * centred).mean(1, keepdim=True).sqrt()
    return centred / (deviation + 1e-6)


def score_all(scorer: nn.Module, history: NDArray[np.int64], *, batch_size: int = 256) -> NDArray[np.float32]:
    """Scores of many users, (n, n_items), without gradients."""
    scorer.eval()
    with torch.inference_mode():
        parts = [scorer(torch.from_numpy(part)) for part in _batches(history, batch_size)]
    return cast(NDArray[np.float32], torch.cat(parts).numpy())


def _batches(history: NDArray[np.int64], batch_size: int) -> list[NDArray[np.int64]]:
    return [history[start : start + batch_size] for start in range(0, len(history), batch_size)]
