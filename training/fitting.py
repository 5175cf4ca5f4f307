"""Fits SASRec on the CPU: full cross-entropy at every position, early stopping on validation NDCG@10."""

import copy
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from training.evaluation import evaluate
from training.sasrec import SasRec, SasRecConfig
from training.scorers import score_all
from training.sequences import Sequences, pad


@dataclass(frozen=True, slots=True, kw_only=True)
class FitConfig:
    max_epochs: int = 200
    batch_size: int = 64
    learning_rate: float = 1e-3
    evaluate_every: int = 4
    "Epochs between looks at validation."
    patience: int = 6
    "Looks without improvement before fitting stops."
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What one look at validation saw."""

    epoch: int
    loss: float
    "Mean cross-entropy of the epoch, in nats."
    ndcg_10: float
    best_ndcg_10: float


def fit_sasrec(
    sequences: Sequences, model_config: SasRecConfig, config: FitConfig, *, on_look: Callable[[Look], None]
) -> SasRec:
    """The model of the epoch that was best on validation.

    Args:
        sequences: what users did; validation and test items are not fitted on.
        model_config: the shape of the model.
        config: how to fit.
        on_look: told of each look at validation.
    """
    torch.manual_seed(config.seed)
    rng = np.random.default_rng(config.seed)
    model = SasRec(sequences.n_items, model_config)
    optimiser = torch.optim.AdamW(
        model.parameters(), lr=config.learning_rate, betas=(0.9, 0.98), weight_decay=0.0
    )
    histories, targets = sequences.held_out("validation")
    padded = pad(histories, model_config.max_length)
    best, best_state, n_worse = -1.0, copy.deepcopy(model.state_dict()), 0
    for epoch in range(1, config.max_epochs + 1):
        windows = cut_windows(sequences.fitting(), model_config.max_length, rng)
        loss = _fit_epoch(model, optimiser, windows, config.batch_size)
        if epoch % config.evaluate_every and epoch != config.max_epochs:
            continue
        ndcg_10 = evaluate(score_all(model, padded), histories, targets).ndcg_10
        n_worse = 0 if ndcg_10 > best else n_worse + 1
        if ndcg_10 > best:
            best, best_state = ndcg_10, copy.deepcopy(model.state_dict())
        on_look(Look(epoch=epoch, loss=loss, ndcg_10=ndcg_10, best_ndcg_10=best))
        if n_worse >= config.patience:
            break
    model.load_state_dict(best_state)
    return model


def cut_windows(
    sequences: list[NDArray[np.int64]], length: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Every sequence cut from a random end into windows of length + 1, shuffled, (n, length + 1).

    A new cut each epoch shows the model its items in new positions. Windows overlap by one item, so that
    each item is predicted once.
    """
    windows = []
    for items in sequences:
        end = len(items) - (int(rng.integers(length)) if len(items) > length else 0)
        windows += [items[max(0, stop - length - 1) : stop] for stop in range(end, 1, -length)]
    padded = pad(windows, length + 1)
    return padded[rng.permutation(len(padded))]


def _fit_epoch(
    model: SasRec, optimiser: torch.optim.Optimizer, windows: NDArray[np.int64], batch_size: int
) -> float:
    model.train()
    losses = []
    for start in range(0, len(windows), batch_size):
        batch = torch.from_numpy(windows[start : start + batch_size])  # (B, L + 1)
        history, following = batch[:, :-1], batch[:, 1:]
        is_real = history > 0
        hidden = model.encode(history)[is_real]  # (N, D)
        loss = F.cross_entropy(model.logits(hidden), following[is_real] - 1)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    return float(np.mean(losses))
