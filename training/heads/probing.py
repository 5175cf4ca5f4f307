"""How many blocks an inverted file must look into: measured, never assumed."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from training.heads.contract import HeadError, check_queries
from training.heads.graph import read_graph, write_graph
from training.heads.session import Head, load_head

K = 10
BATCH = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Probing:
    """The number of probes that was chosen, and what it was chosen for."""

    nprobe: int
    recall_10: float
    "Measured share of the exact ten best that the head finds."
    target: float
    n_queries: int
    tried: dict[int, float]
    "Recall at every number of probes that was tried."


def choose_nprobe(
    path: Path, vectors: NDArray[np.float32], queries: NDArray[np.float32], *, target: float = 0.99
) -> Probing:
    """Find the smallest nprobe that reaches a recall@10, and make it the head's default.

    Doubles nprobe until the target is reached, then halves the interval. That is right because a
    probe more can only add candidates; it misses by little where rounding lets a wrong one win.

    Args:
        path: an inverted file of `vectors`; its graph is rewritten, its weights are not.
        queries: queries that took no part in building it, (n, dim).
        target: recall@10 to reach, against exact float32.

    Raises:
        HeadError: no number of probes reaches the target, or the queries do not fit.
    """
    head = load_head(path)
    if head.info.kind != "inverted_file" or vectors.shape != (head.info.n_items, head.info.dim):
        raise HeadError(
            f"{path} is a head of kind {head.info.kind} with {head.info.n_items} items of {head.info.dim} "
            f"dimensions; an inverted file of the given {vectors.shape} is needed"
        )
    check_queries(queries, dim=head.info.dim)
    if not 0 < target <= 1 or head.info.n_items < K:
        raise HeadError(f"recall@{K} of {target} on {head.info.n_items} items cannot be measured")
    exact = exact_items(vectors, queries, k=K)
    tried: dict[int, float] = {}

    def reaches(nprobe: int) -> bool:
        tried[nprobe] = recall(_find_all(head, queries, nprobe), exact)
        return tried[nprobe] >= target

    low, high = 0, 1
    while not reaches(high):
        if high == head.info.n_blocks:
            raise HeadError(
                f"all {high} blocks reach a recall@{K} of {tried[high]:.4f}, {target} was asked for; "
                "build the head with rerank, or ask for less"
            )
        low, high = high, min(2 * high, head.info.n_blocks)
    while high - low > 1:
        middle = (low + high) // 2
        if reaches(middle):
            high = middle
        else:
            low = middle
    probing = Probing(
        nprobe=high,
        recall_10=tried[high],
        target=target,
        n_queries=len(queries),
        tried=dict(sorted(tried.items())),
    )
    _record(path, head, probing)
    return probing


def exact_items(vectors: NDArray[np.float32], queries: NDArray[np.float32], *, k: int) -> NDArray[np.int64]:
    """The k best item numbers in float32, best first, (n, k)."""
    best = np.empty((len(queries), k), np.int64)
    for start in range(0, len(queries), BATCH):
        scores = queries[start : start + BATCH] @ vectors.T
        top = np.argpartition(-scores, k - 1, axis=1)[:, :k]
        order = np.argsort(-np.take_along_axis(scores, top, axis=1), axis=1, kind="stable")
        best[start : start + BATCH] = np.take_along_axis(top, order, axis=1) + 1
    return best


def recall(found: NDArray[np.int64], exact: NDArray[np.int64]) -> float:
    """Mean share of the exact items that were found, both (n, k), in any order."""
    hits = [np.isin(exact_row, found_row).mean() for found_row, exact_row in zip(found, exact, strict=True)]
    return float(np.mean(hits))


def _find_all(head: Head, queries: NDArray[np.float32], nprobe: int) -> NDArray[np.int64]:
    batches = [queries[start : start + BATCH] for start in range(0, len(queries), BATCH)]
    return np.concatenate([head.find(batch, k=K, nprobe=nprobe).items for batch in batches])


def _record(path: Path, head: Head, probing: Probing) -> None:
    """Make the chosen nprobe the default, and write beside it what was measured."""
    model = read_graph(path)
    for tensor in model.graph.initializer:
        if tensor.name == "nprobe":
            tensor.CopyFrom(numpy_helper.from_array(np.array([probing.nprobe]), "nprobe"))
    info = replace(head.info, recall_10=probing.recall_10, n_queries=probing.n_queries)
    helper.set_model_props(model, info.to_metadata())
    write_graph(path, model)
