"""SASRec: self-attention over a user's recent items predicts the next one.

Kang and McAuley, "Self-Attentive Sequential Recommendation" (ICDM 2018), in today's form: pre-norm
blocks, tied item embeddings, full cross-entropy over the catalogue at every position.

Item numbers start at 1; 0 pads on the left, so the newest item is always last. Positions count back
from the newest item. Padding therefore changes no score, and short histories need none.
"""

from typing import Annotated, cast

import msgspec
import torch
from msgspec import Meta
from torch import Tensor, nn
from torch.nn import functional as F

MASKED = -1e9
"Added to attention logits of padding: finite, since a row of -inf turns into NaN under softmax."


Size = Annotated[int, Meta(ge=1)]


class SasRecConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    dim: Size = 64
    "Width of item embeddings and of every block."
    n_blocks: Size = 1
    n_heads: Size = 2
    head_dim: Size = 32
    "Width of one attention head; heads times this need not be `dim`."
    ffn_width: Size = 256
    "Hidden neurons of a block's feed-forward part."
    max_length: Size = 50
    "Most recent items the model reads."
    dropout: Annotated[float, Meta(ge=0, lt=1)] = 0.4


class Block(nn.Module):
    """One pre-norm transformer block; with `last_only` it computes the newest position alone."""

    def __init__(self, config: SasRecConfig) -> None:
        super().__init__()
        self.n_heads, self.head_dim = config.n_heads, config.head_dim
        self.dropout = config.dropout
        attention_dim = config.n_heads * config.head_dim
        self.attention_norm = nn.LayerNorm(config.dim)
        self.query = nn.Linear(config.dim, attention_dim)
        self.key = nn.Linear(config.dim, attention_dim)
        self.value = nn.Linear(config.dim, attention_dim)
        self.projection = nn.Linear(attention_dim, config.dim)
        self.ffn_norm = nn.LayerNorm(config.dim)
        self.ffn_in = nn.Linear(config.dim, config.ffn_width)
        self.ffn_out = nn.Linear(config.ffn_width, config.dim)

    def forward(self, x: Tensor, mask: Tensor, *, last_only: bool = False) -> Tensor:  # x: (B, L, D)
        normed = self.attention_norm(x)
        if last_only:
            x, mask = x[:, -1:], mask[:, :, -1:]
        q = self._split_heads(self.query(normed[:, -1:] if last_only else normed))  # (B, H, Q, E), Q = 1 or L
        k = self._split_heads(self.key(normed))  # (B, H, L, E)
        v = self._split_heads(self.value(normed))
        logits = q @ k.transpose(2, 3) / self.head_dim**0.5 + mask  # (B, H, Q, L)
        weights = self._drop(logits.softmax(-1))
        mixed = (weights @ v).transpose(1, 2).flatten(2)  # (B, Q, H * E)
        x = x + self._drop(self.projection(mixed))
        hidden = self._drop(F.gelu(self.ffn_in(self.ffn_norm(x))))  # (B, Q, ffn_width)
        return x + self._drop(self.ffn_out(hidden))

    def _split_heads(self, x: Tensor) -> Tensor:  # (B, L, H * E) -> (B, H, L, E)
        return x.unflatten(2, (self.n_heads, self.head_dim)).transpose(1, 2)

    def _drop(self, x: Tensor) -> Tensor:
        return F.dropout(x, self.dropout, self.training)


class SasRec(nn.Module):
    def __init__(self, n_items: int, config: SasRecConfig) -> None:
        super().__init__()
        self.n_items = n_items
        self.config = config
        self.items = nn.Embedding(n_items + 1, config.dim, padding_idx=0)
        self.positions = nn.Embedding(config.max_length, config.dim)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.n_blocks))
        self.norm = nn.LayerNorm(config.dim)
        for embedding in (self.items, self.positions):
            nn.init.normal_(embedding.weight, std=config.dim**-0.5)
        with torch.no_grad():
            self.items.weight[0].zero_()

    def forward(self, history: Tensor) -> Tensor:
        """Score every item for the newest position: (B, L) item numbers -> (B, n_items)."""
        return self.logits(self.newest(history))

    def newest(self, history: Tensor) -> Tensor:
        """Hidden state of the newest position: (B, L) item numbers -> (B, D)."""
        return self.encode(history[:, -self.config.max_length :], last_only=True)[:, -1]

    def encode(self, history: Tensor, *, last_only: bool = False) -> Tensor:
        """Hidden states, (B, L, D), or (B, 1, D) with `last_only`."""
        length = history.shape[1]
        from_newest = torch.arange(length - 1, -1, -1, device=history.device)
        x = self.items(history) * self.config.dim**0.5 + self.positions(from_newest)  # (B, L, D)
        x = F.dropout(x, self.config.dropout, self.training)
        future = from_newest[None, :] < from_newest[:, None]  # (L, L): key newer than query
        hidden = future[None, None] | (history == 0)[:, None, None]  # (B, 1, L, L)
        mask = hidden.to(x.dtype) * MASKED
        for i, block in enumerate(self.blocks):
            x = block(x, mask, last_only=last_only and i == len(self.blocks) - 1)
        return cast(Tensor, self.norm(x))

    def logits(self, hidden: Tensor) -> Tensor:
        """Tied output: (..., D) -> (..., n_items); column j is item number j + 1."""
        return hidden @ self.items.weight[1:].T
