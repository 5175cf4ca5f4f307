"""Fits a sequence model on the CPU: windows of like length together, early stopping on validation NDCG@10, resumable.

Teacher, student and pruned model are fitted by the same loop; what differs is the objective.
"""

import copy
import hashlib
import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import msgspec
import numpy as np
import torch
from msgspec import Meta
from numpy.typing import NDArray
from torch import Tensor

from training.errors import TrainingError
from training.evaluation import mean_ndcg_10
from training.losses import LossName, loss_for, position_loss
from training.sasrec import SasRec
from training.scorers import recommend
from training.sequences import Sequences, pad
from training.writing import write_whole

Objective = Callable[[SasRec, Tensor, Tensor], Tensor]
"Loss of a batch: history (B, L) and the items that followed each position, (B, L); 0 pads both."


Positive = Annotated[int, Meta(ge=1)]


class FitConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    loss: LossName | None = None
    "None: cross-entropy for small catalogues, sampled softmax for large ones."
    n_negatives: Positive = 256
    max_epochs: Positive = 120
    batch_positions: Positive = 4096
    "Numbers a step, padding included; windows of like length go together up to this."
    learning_rate: Annotated[float, Meta(gt=0)] = 1e-3
    evaluate_every: Positive = 4
    "Epochs between looks at validation."
    patience: Positive = 4
    "Looks without improvement before fitting stops."
    n_validation_users: Positive = 5000
    "Users that a look judges by, the same ones every time."
    seed: int = 0
    "Of shuffling, dropout and negatives; a run sets it to its own, and its TOML may not."


class CheckpointError(TrainingError):
    """A checkpoint that cannot be gone on from; the message names it and the remedy."""


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """What one look at validation saw."""

    epoch: int
    loss: float
    "Mean loss of the epochs since the last look."
    ndcg_10: float
    best_ndcg_10: float


def weights_digest(model: SasRec) -> str:
    """Digest of all weights: what a model is, for whatever depends on it."""
    digest = hashlib.sha256()
    for weights in model.state_dict().values():
        digest.update(weights.numpy().tobytes())
    return digest.hexdigest()


def next_item_objective(n_items: int, config: FitConfig) -> Objective:
    """Predict each item of a sequence from those before it."""
    name = config.loss or loss_for(n_items)

    def objective(model: SasRec, history: Tensor, following: Tensor) -> Tensor:
        is_real = history > 0
        hidden = model.encode(history)[is_real]  # (N, D)
        return position_loss(name, model, hidden, following[is_real], n_negatives=config.n_negatives)

    return objective


def fit(
    model: SasRec,
    sequences: Sequences,
    config: FitConfig,
    objective: Objective,
    *,
    objective_id: str = "",
    checkpoint: Path | None,
    on_look: Callable[[Look], None],
    on_restart: Callable[[str], None] = lambda _: None,
) -> list[Look]:
    """Fit in place, and leave the weights of the look that was best on validation.

    Args:
        model: what to fit; fitting goes on from its weights.
        sequences: what users did; validation and test items are not fitted on.
        config: how to fit.
        objective: what to minimise.
        objective_id: names the objective with all its settings; a checkpoint of another is not used.
        checkpoint: written at every look, read at the start. A run that was killed goes on from its last
            look and ends as if it had not been; one of another configuration is replaced at the first look.
        on_look: told of each look at validation.
        on_restart: told, in one line, when the checkpoint is of another configuration.

    Returns:
        All looks, those before a resume too.

    Raises:
        CheckpointError: the checkpoint is damaged.
        OSError: the disk refuses a checkpoint; the one before is as it was.
    """
    state = _FitState.fresh(model, config)
    fingerprint = _fingerprint(model, sequences, config, objective_id)
    if checkpoint is not None and checkpoint.exists() and not state.restore(checkpoint, fingerprint):
        on_restart(f"checkpoint of another configuration, starting over: {checkpoint}")
    validation = _validation_users(sequences, config)
    while not state.is_over(config):
        losses = []
        for _ in range(min(config.evaluate_every, config.max_epochs - state.epoch)):
            losses.append(_fit_epoch(state, sequences, config, objective))
            state.epoch += 1
        state.look(float(np.mean(losses)), _validate(model, sequences, *validation))
        if checkpoint is not None:
            state.save(checkpoint, fingerprint)
        on_look(state.looks[-1])
    model.load_state_dict(state.best_weights)
    return state.looks


@dataclass(slots=True)
class _FitState:
    """All that a run needs to go on: weights, optimiser, random states, and what was seen so far."""

    model: SasRec
    optimiser: torch.optim.Optimizer
    rng: np.random.Generator
    best_weights: dict[str, Tensor]
    looks: list[Look]
    epoch: int = 0
    n_worse: int = 0

    @classmethod
    def fresh(cls, model: SasRec, config: FitConfig) -> "_FitState":
        torch.manual_seed(config.seed)
        optimiser = torch.optim.AdamW(
            model.parameters(), lr=config.learning_rate, betas=(0.9, 0.98), weight_decay=0.0
        )
        weights = copy.deepcopy(model.state_dict())
        return cls(model, optimiser, np.random.default_rng(config.seed), weights, [])

    def is_over(self, config: FitConfig) -> bool:
        return self.epoch >= config.max_epochs or self.n_worse >= config.patience

    def look(self, loss: float, ndcg_10: float) -> None:
        best = self.looks[-1].best_ndcg_10 if self.looks else -1.0
        if ndcg_10 > best:
            best, self.n_worse = ndcg_10, 0
            self.best_weights = copy.deepcopy(self.model.state_dict())
        else:
            self.n_worse += 1
        self.looks.append(Look(epoch=self.epoch, loss=loss, ndcg_10=ndcg_10, best_ndcg_10=best))

    def save(self, path: Path, fingerprint: str) -> None:
        """Write the checkpoint; a kill leaves the old one or the new one, whole."""
        content = {
            "fingerprint": fingerprint,
            "model": self.model.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "best_weights": self.best_weights,
            "torch_rng": torch.get_rng_state(),
            "numpy_rng": msgspec.json.encode(self.rng.bit_generator.state, enc_hook=int).decode(),
            "looks": msgspec.to_builtins(self.looks),
            "epoch": self.epoch,
            "n_worse": self.n_worse,
        }
        buffer = io.BytesIO()  # writing itself, torch says nothing of a full disk but "unexpected pos"
        torch.save(content, buffer)
        write_whole(path, buffer.getvalue())

    def restore(self, path: Path, fingerprint: str) -> bool:
        """Take over what a checkpoint holds; False where it is of another configuration."""
        content = _read_checkpoint(path)
        if content["fingerprint"] != fingerprint:
            return False
        self.model.load_state_dict(content["model"])
        self.optimiser.load_state_dict(content["optimiser"])
        self.best_weights = content["best_weights"]
        torch.set_rng_state(content["torch_rng"])
        self.rng.bit_generator.state = msgspec.json.decode(content["numpy_rng"])
        self.looks = msgspec.convert(content["looks"], list[Look])
        self.epoch, self.n_worse = content["epoch"], content["n_worse"]
        return True


def _read_checkpoint(path: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = torch.load(path, weights_only=True)
        content["fingerprint"]
    except OSError as err:
        raise CheckpointError(f"cannot read the checkpoint {path}: {err.strerror or err}") from err
    except Exception as err:  # zip, pickle and torch each have exceptions of their own
        raise CheckpointError(
            f"the checkpoint {path} is damaged; delete it to fit anew, or restore it"
        ) from err
    return content


def _fingerprint(model: SasRec, sequences: Sequences, config: FitConfig, objective_id: str) -> str:
    settings = (model.config, config, sequences.n_items, sequences.allow_repeats, objective_id)
    digest = hashlib.sha256(repr(settings).encode())
    for items in sequences.users:
        digest.update(items.tobytes())
    digest.update(weights_digest(model).encode())
    return digest.hexdigest()


def _validation_users(
    sequences: Sequences, config: FitConfig
) -> tuple[list[NDArray[np.int64]], NDArray[np.int64]]:
    histories, targets = sequences.held_out("validation")
    n_users = min(config.n_validation_users, len(histories))
    chosen = np.sort(np.random.default_rng(config.seed).choice(len(histories), n_users, replace=False))
    return [histories[user] for user in chosen], targets[chosen]


def _validate(
    model: SasRec, sequences: Sequences, histories: list[NDArray[np.int64]], targets: NDArray[np.int64]
) -> float:
    lists = recommend(
        model,
        histories,
        k=10,
        allow_repeats=sequences.allow_repeats,
        max_length=model.config.max_length,
    )
    return mean_ndcg_10(lists, targets)


def _fit_epoch(state: _FitState, sequences: Sequences, config: FitConfig, objective: Objective) -> float:
    state.model.train()
    windows = cut_windows(sequences.fitting(), state.model.config.max_length, state.rng)
    total, n_positions = 0.0, 0
    for batch in pack_windows(windows, config.batch_positions, state.rng):
        history, following = torch.from_numpy(batch[:, :-1]), torch.from_numpy(batch[:, 1:])  # (B, L)
        loss = objective(state.model, history, following)
        state.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        state.optimiser.step()
        n_real = int((history > 0).sum())
        total, n_positions = total + loss.item() * n_real, n_positions + n_real
    return total / n_positions


def cut_windows(
    sequences: list[NDArray[np.int64]], length: int, rng: np.random.Generator
) -> list[NDArray[np.int64]]:
    """Every sequence cut from a random end into windows of at most length + 1 items.

    A new cut each epoch shows the model its items in new positions. Windows overlap by one item, so that
    each item is predicted at most once.
    """
    windows = []
    for items in sequences:
        end = len(items) - (int(rng.integers(length)) if len(items) > length else 0)
        windows += [items[max(0, stop - length - 1) : stop] for stop in range(end, 1, -length)]
    return windows


def pack_windows(
    windows: list[NDArray[np.int64]], batch_positions: int, rng: np.random.Generator
) -> list[NDArray[np.int64]]:
    """Batches of windows of like length, in random order, each about `batch_positions` numbers large."""
    lengths = np.array([len(window) for window in windows])
    order = np.argsort(lengths + rng.random(len(windows)), kind="stable")
    starts, size = [0], 0
    for place, window in enumerate(order):
        size += 1
        if size * lengths[window] >= batch_positions:
            starts.append(place + 1)
            size = 0
    groups = [group for group in np.split(order, starts[1:]) if len(group)]
    return [
        pad([windows[window] for window in groups[g]], int(lengths[groups[g]].max()))
        for g in rng.permutation(len(groups))
    ]
