"""Distillation: a small student learns the teacher's ranking, not only the item that followed.

At positions drawn from each batch the student minimises

    weight x T^2 x KL(softmax(teacher / T) || softmax(student / T)) + (1 - weight) x the next-item loss

with the softmax over the teacher's `n_top` best items: its dark knowledge lies in the head of its ranking,
and the tail would cost a pass over the catalogue. After Hinton et al. (2015); top-k as in Tang and Wang,
"Ranking Distillation" (KDD 2018). It misleads where the teacher is confidently wrong, which the next-item
part holds against.
"""

from typing import Annotated

import msgspec
import torch
from msgspec import Meta
from torch import Tensor
from torch.nn import functional as F

from training.fitting import FitConfig, Objective, Positive, weights_digest
from training.losses import loss_for, position_loss
from training.sasrec import SasRec


class DistilConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    n_top: Positive = 100
    "Items of the teacher's ranking that are learned at each position."
    temperature: Annotated[float, Meta(gt=0)] = 1.0
    weight: Annotated[float, Meta(ge=0, le=1)] = 0.7
    "Share of the teacher in the loss; the rest is the item that followed."
    n_positions: Positive = 1024
    "Positions of a batch, drawn at random, where the teacher is asked: its passes over the catalogue cost most."


def distillation_id(teacher: SasRec, config: DistilConfig) -> str:
    """Names a distillation objective with all that it depends on."""
    return f"{config} from {weights_digest(teacher)}"


def inherit_items(teacher: SasRec, student: SasRec) -> None:
    """Start the student's item embeddings at the principal components of the teacher's.

    What the teacher knows of items is mostly in that matrix; a student that starts there needs a fraction
    of the epochs.
    """
    width = min(teacher.config.dim, student.config.dim, teacher.n_items)
    with torch.no_grad():
        left, strength, _ = torch.linalg.svd(
            teacher.items.weight[1:], full_matrices=False
        )  # (n_items, D), (D,)
        student.items.weight[1:, :width] = left[:, :width] * strength[:width]


def distillation_objective(teacher: SasRec, config: DistilConfig, fit_config: FitConfig) -> Objective:
    """Learn from a teacher that stays as it is."""
    teacher.eval()
    name = fit_config.loss or loss_for(teacher.n_items)
    n_top = min(config.n_top, teacher.n_items)

    def objective(student: SasRec, history: Tensor, following: Tensor) -> Tensor:
        is_real = history > 0
        hidden = student.encode(history)[is_real]  # (N, D)
        asked = torch.randperm(len(hidden))[: config.n_positions]  # (M,)
        with torch.no_grad():
            wanted, top = teacher.logits(teacher.encode(history)[is_real][asked]).topk(
                n_top, dim=1
            )  # (M, n_top)
        given = (hidden[asked, None] @ student.items(top + 1).transpose(1, 2))[:, 0]  # (M, n_top)
        divergence = F.kl_div(
            F.log_softmax(given / config.temperature, 1),
            F.log_softmax(wanted / config.temperature, 1),
            reduction="batchmean",
            log_target=True,
        )
        next_item = position_loss(
            name, student, hidden, following[is_real], n_negatives=fit_config.n_negatives
        )
        return config.weight * config.temperature**2 * divergence + (1 - config.weight) * next_item

    return objective
