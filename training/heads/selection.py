"""Parts of graphs that the heads share: the query in int8, and from block scores to the answer."""

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from training.heads.graph import GraphBuilder

QUERY_ZERO = 64
"The uint8 that stands for 0 in a quantised query."
QUERY_LARGEST = 63
"""Largest magnitude of a quantised query: 7 bits.

ONNX Runtime's fast kernels take uint8 x int8, signed queries run 7 times slower. On CPUs without VNNI they add
pairs of products in 16 bits, which 8-bit queries overflow and 7-bit ones cannot: 2 x 127 x 127 < 2 ** 15.
"""
RERANK_FACTOR = 2
"Candidates that are scored again, for each item asked for or seen."


def add_contract_inputs(graph: GraphBuilder, dim: int) -> None:
    graph.input("query", TensorProto.FLOAT, ("batch", dim))
    graph.input("seen", TensorProto.INT64, ("batch", "n_seen"))
    graph.input("k", TensorProto.INT64, (1,))


def quantise_query(graph: GraphBuilder) -> tuple[str, str, str]:
    """Each row of the query in steps of its own scale.

    Returns:
        uint8 values (batch, dim), their zero point, and the scales (batch, 1).
    """
    largest = graph.add("ReduceMax", graph.add("Abs", "query"), graph.constant(np.array([1])), keepdims=1)
    tiny = graph.constant(np.float32(np.finfo(np.float32).tiny * QUERY_LARGEST))
    scale = graph.add("Div", graph.add("Max", largest, tiny), graph.constant(np.float32(QUERY_LARGEST)))
    steps = graph.add("Round", graph.add("Div", "query", scale))
    shifted = graph.add("Add", steps, graph.constant(np.float32(QUERY_ZERO)))
    return graph.add("Cast", shifted, to=TensorProto.UINT8), graph.constant(np.uint8(QUERY_ZERO)), scale


def count_candidates(graph: GraphBuilder, *, rerank: bool) -> str:
    """How many candidates cover k items after seen ones are left out, int64 (1,)."""
    n_seen = graph.add("Shape", "seen", start=1, end=2)
    wanted = graph.add("Add", "k", n_seen)
    return graph.add("Mul", wanted, graph.constant(np.array([RERANK_FACTOR]))) if rerank else wanted


def add_answer(
    graph: GraphBuilder,
    scores: str,
    numbers: str,
    n_candidates: str,
    *,
    fine: NDArray[np.float32] | None,
) -> None:
    """From scores of some blocks to `items` and `scores`.

    Args:
        scores: float32 (batch, n_chosen, block_size).
        numbers: item numbers of the same shape, int32; 0 is nobody.
        n_candidates: from `count_candidates`.
        fine: the item matrix, where candidates are to be scored again.
    """
    flat_shape = graph.constant(np.array([0, -1]))
    flat_scores = graph.add("Reshape", scores, flat_shape)
    flat_numbers = graph.add("Reshape", numbers, flat_shape)
    nobody = graph.constant(np.int32(0))
    lowest = graph.constant(np.float32(-np.inf))
    known = graph.add("Where", graph.add("Equal", flat_numbers, nobody), lowest, flat_scores)
    there = graph.add("Shape", known, start=1, end=2)
    n_best = graph.add("Min", n_candidates, there)
    best, places = graph.add_many("TopK", known, n_best, n_outputs=2, sorted=0)
    items = graph.add("GatherElements", flat_numbers, places, axis=1)
    if fine is not None:
        best = _score_again(graph, items, fine)
        best = graph.add("Where", graph.add("Equal", items, nobody), lowest, best)
    _leave_out_seen(graph, best, graph.add("Cast", items, to=TensorProto.INT64), lowest)


def _score_again(graph: GraphBuilder, items: str, fine: NDArray[np.float32]) -> str:
    """Scores of (batch, n) items from float16 rows, of which only those asked for are ever read."""
    unit = np.float32(np.abs(fine).max() or 1)
    rows = graph.weights("fine_rows", (fine / unit).astype(np.float16))
    index = graph.add(
        "Max", graph.add("Sub", items, graph.constant(np.int32(1))), graph.constant(np.int32(0))
    )
    chosen = graph.add("Cast", graph.add("Gather", rows, index, axis=0), to=TensorProto.FLOAT)
    column = graph.add("Unsqueeze", "query", graph.constant(np.array([2])))
    products = graph.add("Squeeze", graph.add("MatMul", chosen, column), graph.constant(np.array([2])))
    return graph.add("Mul", products, graph.constant(unit))


def _leave_out_seen(graph: GraphBuilder, scores: str, items: str, lowest: str) -> None:
    """The k best of some candidates that are not seen, and nobody where there are too few."""
    pairs = graph.add(
        "Equal",
        graph.add("Unsqueeze", items, graph.constant(np.array([2]))),
        graph.add("Unsqueeze", "seen", graph.constant(np.array([1]))),
    )
    matches = graph.add("Cast", pairs, to=TensorProto.INT32)
    hits = graph.add("ReduceSum", matches, graph.constant(np.array([2])), keepdims=0)
    is_seen = graph.add("Cast", hits, to=TensorProto.BOOL)
    unseen = graph.add("Where", is_seen, lowest, scores)
    batch = graph.add("Shape", "query", start=0, end=1)
    rest = graph.add("Concat", batch, "k", axis=0)
    filled = graph.add("Concat", unseen, graph.add("Expand", lowest, rest), axis=1)
    numbers = graph.add("Concat", items, graph.add("Expand", graph.constant(np.int64(0)), rest), axis=1)
    best, places = graph.add_many("TopK", filled, "k", n_outputs=2)
    chosen = graph.add("GatherElements", numbers, places, axis=1)
    is_nobody = graph.add("Equal", best, lowest)
    answer = graph.add("Where", is_nobody, graph.constant(np.int64(0)), chosen)
    graph.output("items", answer, TensorProto.INT64, ("batch", "n_answer"))
    graph.output("scores", best, TensorProto.FLOAT, ("batch", "n_answer"))
