"""What fitting minimises at each position: how far the item that followed is from the top.

All losses take hidden states (N, D) and the numbers of the items that followed, (N,), and return the mean
over positions.
"""

import math
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from training.sasrec import SasRec

LossName = Literal["cross_entropy", "sampled_softmax", "gbce"]

GBCE_CALIBRATION = 0.75
"t of gSASRec; 0 is plain binary cross-entropy, 1 fully calibrated."


def loss_for(n_items: int) -> LossName:
    """Full cross-entropy where the catalogue is small enough to score whole at every position."""
    return "cross_entropy" if n_items <= 5_000 else "sampled_softmax"


def position_loss(
    name: LossName, model: SasRec, hidden: Tensor, following: Tensor, *, n_negatives: int
) -> Tensor:
    """The loss by its name."""
    if name == "cross_entropy":
        return F.cross_entropy(model.logits(hidden), following - 1)
    positive, negative = _sampled_logits(model, hidden, following, n_negatives)
    if name == "sampled_softmax":
        logits = torch.cat([positive[:, None], negative], 1)  # (N, 1 + K)
        return F.cross_entropy(logits, torch.zeros(len(logits), dtype=torch.long))
    return _gbce(positive, negative, model.n_items)


def _sampled_logits(
    model: SasRec, hidden: Tensor, following: Tensor, n_negatives: int
) -> tuple[Tensor, Tensor]:
    """Scores of the items that followed, (N,), and of uniformly drawn others, (N, K), shared by the batch.

    A draw that hits the item that followed counts for nothing at that position.
    """
    drawn = torch.randint(1, model.n_items + 1, (n_negatives,))  # (K,)
    positive = (hidden * model.items(following)).sum(1)
    negative = hidden @ model.items(drawn).T
    return positive, negative.masked_fill(drawn == following[:, None], -math.inf)


def _gbce(positive: Tensor, negative: Tensor, n_items: int) -> Tensor:
    """Generalised binary cross-entropy (Petrov and Macdonald, RecSys 2023): log(sigmoid ** beta).

    beta = alpha (t (1 - 1 / alpha) + 1 / alpha), with alpha the share of the catalogue that was drawn.
    """
    alpha = min(1.0, negative.shape[1] / max(n_items - 1, 1))
    beta = alpha * (GBCE_CALIBRATION * (1 - 1 / alpha) + 1 / alpha)
    return -(beta * F.logsigmoid(positive) + F.logsigmoid(-negative).sum(1)).mean()
