"""Structured pruning: whole attention heads and feed-forward neurons leave, and what is left is dense.

Unstructured zeros save neither bytes nor time on a CPU; a smaller matrix saves both. A head's importance is
the norm of what it can add to the residual stream, |value| x |projection|; a neuron's is
|its input weights| x |its output weights|: a weight-only form of Michel et al. (2019) that needs no data.
Fine-tuning afterwards (`fitting`, with the distillation objective) is part of the method, not an extra.
"""

import msgspec
import torch
from torch import Tensor, nn

from training.sasrec import Block, SasRec, Size


class PruneConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    n_heads: Size = 1
    "Heads that stay in every block."
    ffn_width: Size = 64
    "Neurons that stay in every block's feed-forward part."


def prune(model: SasRec, config: PruneConfig) -> SasRec:
    """A smaller copy with the most important heads and neurons of every block.

    Raises:
        ValueError: more should stay than there are.
    """
    if not 1 <= config.n_heads <= model.config.n_heads or not 1 <= config.ffn_width <= model.config.ffn_width:
        raise ValueError(
            f"cannot keep {config.n_heads} heads and {config.ffn_width} neurons of a model that has "
            f"{model.config.n_heads} and {model.config.ffn_width}"
        )
    smaller_config = msgspec.structs.replace(model.config, n_heads=config.n_heads, ffn_width=config.ffn_width)
    smaller = SasRec(model.n_items, smaller_config)
    with torch.no_grad():
        for name in ("items", "positions", "norm"):
            getattr(smaller, name).load_state_dict(getattr(model, name).state_dict())
        for block, kept in zip(model.blocks, smaller.blocks, strict=True):
            assert isinstance(block, Block)
            assert isinstance(kept, Block)
            _copy_block(block, kept)
    return smaller


def head_importance(block: Block) -> Tensor:
    """(n_heads,)"""
    value = block.value.weight.unflatten(0, (block.n_heads, block.head_dim))  # (H, E, D)
    projection = block.projection.weight.unflatten(1, (block.n_heads, block.head_dim))  # (D, H, E)
    return value.norm(dim=(1, 2)) * projection.norm(dim=(0, 2))


def neuron_importance(block: Block) -> Tensor:
    """(ffn_width,)"""
    return block.ffn_in.weight.norm(dim=1) * block.ffn_out.weight.norm(dim=0)


def _copy_block(block: Block, kept: Block) -> None:
    heads = head_importance(block).topk(kept.n_heads).indices.sort().values
    rows = (heads[:, None] * block.head_dim + torch.arange(block.head_dim)).flatten()
    neurons = neuron_importance(block).topk(len(kept.ffn_in.weight)).indices.sort().values
    for name in ("query", "key", "value"):
        _copy_linear(getattr(block, name), getattr(kept, name), outputs=rows)
    _copy_linear(block.projection, kept.projection, inputs=rows)
    _copy_linear(block.ffn_in, kept.ffn_in, outputs=neurons)
    _copy_linear(block.ffn_out, kept.ffn_out, inputs=neurons)
    kept.attention_norm.load_state_dict(block.attention_norm.state_dict())
    kept.ffn_norm.load_state_dict(block.ffn_norm.state_dict())


def _copy_linear(
    source: nn.Linear, target: nn.Linear, *, outputs: Tensor | None = None, inputs: Tensor | None = None
) -> None:
    weight: Tensor = source.weight
    bias: Tensor = source.bias
    if outputs is not None:
        weight, bias = weight[outputs], bias[outputs]
    if inputs is not None:
        weight = weight[:, inputs]
    target.weight.copy_(weight)
    target.bias.copy_(bias)
