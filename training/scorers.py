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
from training.sequences import pad

N_SCORES_AT_ONCE = 8_000_000
"Scores of a batch, users times items, when many users are scored: about 32 MB."


class CountsScorer(nn.Module):
    """Item-to-item counts; neighbour lists are gathered and added up.

    The table is the model's size, so item numbers are kept as 16 bits where they fit, and weights as 8 bits
    with a float16 scale for each item.

    Args:
        counts: the table.
        n_neighbours: how many of the heaviest neighbours of an item to keep; None keeps all.
    """

    neighbours: Tensor  # (n_items + 1, N)
    weights: Tensor  # (n_items + 1, N)
    scales: Tensor  # (n_items + 1, 1)
    decay: Tensor  # (R,)

    def __init__(self, counts: Counts, *, n_neighbours: int | None = None) -> None:
        super().__init__()
        config = counts.config
        number_type = np.int16 if len(counts.neighbours) <= np.iinfo(np.int16).max else np.int32
        neighbours, weights = counts.neighbours[:, :n_neighbours], counts.weights[:, :n_neighbours]
        scales = np.maximum(weights.max(1, keepdims=True) / 255, 1e-6).astype(np.float16)
        self.n_recent = config.n_recent
        self.register_buffer("neighbours", torch.from_numpy(neighbours.astype(number_type)))
        self.register_buffer(
            "weights", torch.from_numpy(np.rint(weights / scales).clip(0, 255).astype(np.uint8))
        )
        self.register_buffer("scales", torch.from_numpy(scales))
        ages = torch.arange(config.n_recent - 1, -1, -1)  # newest last, like the history
        self.register_buffer("decay", config.decay**ages)

    def forward(self, history: Tensor) -> Tensor:
        items, weights = self.contributions(history)
        empty = torch.zeros(history.shape[0], len(self.weights))
        return empty.scatter_add(1, items, weights)[:, 1:]

    def contributions(self, history: Tensor) -> tuple[Tensor, Tensor]:
        """Item numbers, some of them twice, and what each adds to its item's score, both (B, R * N)."""
        recent = history[:, -self.n_recent :]  # (B, R)
        items = self.neighbours[recent].long().flatten(1)
        decay = self.decay[-recent.shape[1] :, None]  # (R, 1)
        scales = self.scales[recent].float() * decay  # (B, R, 1)
        return items, (self.weights[recent].float() * scales).flatten(1)


class PopularScorer(nn.Module):
    """The same scores for everybody: how often each item was taken in the training data."""

    def __init__(self, popularity: NDArray[np.int64]) -> None:
        super().__init__()
        self.register_buffer("popularity", torch.from_numpy(popularity.astype(np.float32)))  # (n_items,)

    def scores(self) -> NDArray[np.float32]:
        """The scores that everybody gets, (n_items,)."""
        return cast(NDArray[np.float32], cast(Tensor, self.popularity).numpy())

    def forward(self, history: Tensor) -> Tensor:
        return cast(Tensor, self.popularity).expand(history.shape[0], -1)


class BlendScorer(nn.Module):
    """SASRec plus `weight` times counts, the counts brought to the spread of SASRec's scores for each user.

    With hidden state h, item matrix W of covariance S, and contributions c_i of the counts,

        score = W h + weight x spread x c / rms,  spread = sqrt(h' S h),  rms = sqrt(sum c_i^2 / n_items)

    so that no pass over the catalogue is needed to know the spread: it costs as much as D x D numbers, and
    the counts are added to the few items they speak of.
    """

    covariance: Tensor  # (D, D)

    def __init__(self, sasrec: SasRec, counts: CountsScorer, weight: float) -> None:
        super().__init__()
        self.sasrec = sasrec
        self.counts = counts
        self.weight = weight
        self.register_buffer("covariance", torch.cov(sasrec.items.weight[1:].detach().T, correction=0))

    def forward(self, history: Tensor) -> Tensor:
        hidden = self.sasrec.newest(history)  # (B, D)
        spread = ((hidden @ self.covariance) * hidden).sum(1, keepdim=True).clamp(min=0).sqrt()  # (B, 1)
        items, added = self.counts.contributions(history)  # (B, R * N)
        rms = ((added * added).sum(1, keepdim=True) / self.sasrec.n_items).sqrt()  # (B, 1)
        boost = added * (self.weight * spread / (rms + 1e-6))
        return self.sasrec.logits(hidden).scatter_add(1, (items - 1).clamp(min=0), boost)


def recommend(
    scorer: nn.Module,
    histories: list[NDArray[np.int64]],
    *,
    k: int,
    allow_repeats: bool,
    max_length: int,
) -> NDArray[np.int64]:
    """The best k items of every user, best first, (n_users, k) item numbers; 0 where fewer remain.

    Of items with equal scores the one with the lower number comes first, as in the exported graphs.

    Args:
        scorer: any variant.
        histories: item numbers, oldest first.
        k: how many.
        allow_repeats: whether items of the history may come back.
        max_length: newest items of a history that the variant reads.
    """
    scorer.eval()
    by_length = np.argsort([len(history) for history in histories], kind="stable")
    lists = np.zeros((len(histories), k), np.int64)
    start = 0
    with torch.inference_mode():
        n_items = scorer(torch.ones(1, 1, dtype=torch.long)).shape[1]
        while start < len(by_length):
            users = by_length[start : start + max(1, N_SCORES_AT_ONCE // n_items)]
            batch = [histories[user] for user in users]
            longest = min(max_length, len(batch[-1]))
            scores = scorer(torch.from_numpy(pad(batch, longest))).clone()
            if not allow_repeats:
                for row, history in enumerate(batch):
                    scores[row, torch.from_numpy(history - 1)] = -torch.inf
            columns = best_columns(scores, min(k, n_items))
            items = torch.where(scores.gather(1, columns).isinf(), 0, columns + 1)
            lists[users, : items.shape[1]] = items.numpy()
            start += len(users)
    return lists


def best_columns(scores: Tensor, k: int) -> Tensor:
    """The k best columns of each row, (n, k), best first; of equals the lower column, as ONNX's TopK has it.

    torch.topk leaves the order of equals open, and a stable sort of whole rows takes 30 times as long. So only
    rows with equals among their k + 1 best are sorted.
    """
    best = scores.topk(min(k + 1, scores.shape[1]), dim=1)
    columns = best.indices[:, :k]
    has_equals = (best.values.diff(dim=1) == 0).any(1)
    columns[has_equals] = scores[has_equals].sort(dim=1, descending=True, stable=True).indices[:, :k]
    return columns
