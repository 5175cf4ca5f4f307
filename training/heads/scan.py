"""Heads that look at every item, in float32 or int8.

Both score all items in one matrix product, take each block's largest score, and look for the k best
items in the k best blocks only: an item among the k best is in a block that is among the k best. That
spares the sort over the catalogue, and nothing but the product passes over all of it.

int8 rows have a scale each. Blocks are cut from rows in order of scale and share the largest of their
block, so that rows lose next to nothing to it, and a scale is applied to n_blocks numbers, not n_items.
"""

from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from training.heads.blocks import as_columns, cut_in_order, quantise, row_scales
from training.heads.contract import HeadInfo, check_items
from training.heads.graph import GraphBuilder
from training.heads.selection import add_answer, add_contract_inputs, count_candidates, quantise_query

SCAN_BLOCK_SIZE = 64


def write_flat(path: Path, vectors: NDArray[np.float32], *, k: int = 1) -> None:
    """Write the control: float32, exact.

    Args:
        path: of the graph; weights go beside it.
        vectors: item i is row i - 1, (n_items, dim).
        k: the most items that answers will have; checked against n_items.

    Raises:
        HeadError: bad vectors, or a disk that refuses.
    """
    check_items(vectors, k=k)
    n_items, dim = vectors.shape
    blocks = cut_in_order(np.arange(n_items), SCAN_BLOCK_SIZE)
    graph = GraphBuilder()
    add_contract_inputs(graph, dim)
    matrix = graph.weights("matrix", vectors[blocks.rows.ravel()].T)  # (dim, n_blocks * block_size)
    n_candidates = count_candidates(graph, rerank=False)
    products = graph.add("MatMul", "query", matrix)
    scores, chosen = _best_blocks(graph, products, blocks.count, n_candidates, scales=None, is_by_block=False)
    numbers = graph.add("Gather", graph.weights("numbers", blocks.numbers), chosen, axis=0)
    add_answer(graph, scores, numbers, n_candidates, fine=None)
    info = HeadInfo(
        kind="flat",
        n_items=n_items,
        dim=dim,
        block_size=blocks.size,
        n_blocks=blocks.count,
        prepack=False,
        rerank=False,
    )
    graph.write(path, info)


def write_exact_int8(
    path: Path,
    vectors: NDArray[np.float32],
    *,
    k: int = 1,
    layout: Literal["packed", "mapped"] = "packed",
    rerank: bool = False,
) -> None:
    """Write a head that scores every item in int8.

    Args:
        path: of the graph; weights go beside it.
        vectors: item i is row i - 1, (n_items, dim).
        k: the most items that answers will have; checked against n_items.
        layout: `packed` is a matrix that ONNX Runtime reorders at load, for the fastest scan; `mapped` is
            scanned as it lies in the file, slower, but loads at once and leaves memory to the page cache.
        rerank: score the best again from float16 rows, so that what remains to lose is lost to no rounding.

    Raises:
        HeadError: bad vectors, or a disk that refuses.
    """
    check_items(vectors, k=k)
    n_items, dim = vectors.shape
    own_scales = row_scales(vectors)
    blocks = cut_in_order(np.argsort(-own_scales, kind="stable"), SCAN_BLOCK_SIZE)
    block_scales = own_scales[blocks.rows].max(axis=1)
    scales = np.empty(n_items, np.float32)
    scales[blocks.rows.ravel()] = np.repeat(block_scales, blocks.size)
    steps = quantise(vectors, scales[:, None])

    graph = GraphBuilder()
    add_contract_inputs(graph, dim)
    query, zero, query_scale = quantise_query(graph)
    n_candidates = count_candidates(graph, rerank=rerank)
    if layout == "packed":
        matrix = graph.weights("matrix", steps[blocks.rows.ravel()].T)  # (dim, n_blocks * block_size)
    else:
        matrix = graph.weights("matrix", as_columns(steps, blocks))  # (n_blocks, dim, block_size)
    products = graph.add("MatMulInteger", query, matrix, zero)
    scores, chosen = _best_blocks(
        graph,
        products,
        blocks.count,
        n_candidates,
        scales=graph.weights("scales", block_scales),
        is_by_block=layout == "mapped",
    )
    scores = graph.add("Mul", scores, graph.add("Unsqueeze", query_scale, graph.constant(np.array([2]))))
    numbers = graph.add("Gather", graph.weights("numbers", blocks.numbers), chosen, axis=0)
    add_answer(graph, scores, numbers, n_candidates, fine=vectors if rerank else None)
    info = HeadInfo(
        kind="exact_int8",
        n_items=n_items,
        dim=dim,
        block_size=blocks.size,
        n_blocks=blocks.count,
        prepack=layout == "packed",
        rerank=rerank,
    )
    graph.write(path, info)


def _best_blocks(
    graph: GraphBuilder,
    products: str,
    n_blocks: int,
    n_candidates: str,
    *,
    scales: str | None,
    is_by_block: bool,
) -> tuple[str, str]:
    """The blocks with the largest scores.

    Args:
        products: (batch, n_blocks * block_size), or (n_blocks, batch, block_size) when `is_by_block`.
        scales: of the blocks, (n_blocks,).

    Returns:
        Their scores, float32 (batch, n_chosen, block_size), and their numbers, int64 (batch, n_chosen).
    """
    batch = graph.add("Shape", "query", start=0, end=1)
    count = graph.constant(np.array([n_blocks]))
    size = graph.constant(np.array([-1]))
    lines = graph.add("Reshape", products, graph.add("Concat", graph.add("Mul", batch, count), size, axis=0))
    largest = graph.add("ReduceMax", lines, graph.constant(np.array([1])), keepdims=0)  # (batch * n_blocks,)
    if is_by_block:
        by_block = graph.add("Reshape", largest, graph.add("Concat", count, batch, axis=0))
        largest = graph.add("Transpose", by_block, perm=[1, 0])
    else:
        largest = graph.add("Reshape", largest, graph.add("Concat", batch, count, axis=0))
    if scales is not None:
        largest = graph.add("Mul", graph.add("Cast", largest, to=TensorProto.FLOAT), scales)
    _, chosen = graph.add_many("TopK", largest, graph.add("Min", n_candidates, count), n_outputs=2, sorted=0)
    user = graph.add(
        "Range",
        graph.constant(np.int64(0)),
        graph.add("Squeeze", batch),
        graph.constant(np.int64(1)),
    )
    user = graph.add("Unsqueeze", user, graph.constant(np.array([1])))
    if is_by_block:
        line = graph.add("Add", graph.add("Mul", chosen, batch), user)
    else:
        line = graph.add("Add", chosen, graph.add("Mul", user, count))
    scores = graph.add("Gather", lines, line, axis=0)
    if scales is not None:
        chosen_scales = graph.add("Gather", scales, chosen, axis=0)
        scores = graph.add(
            "Mul",
            graph.add("Cast", scores, to=TensorProto.FLOAT),
            graph.add("Unsqueeze", chosen_scales, graph.constant(np.array([2]))),
        )
    return scores, chosen
