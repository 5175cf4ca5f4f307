"""A head that looks only where the query points: an inverted file whose lists are blocks.

    centroid scores -> the `nprobe` best blocks -> their items in int8 -> the best again in float16

Lists of an inverted file differ in size, which a plain graph can only serve padded to the longest. Here
each list is cut into full blocks with a centroid each (`clustering`), so that what is gathered has one
shape. Recall depends on how clustered the catalogue is: measure it with `choose_nprobe`.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from training.heads.blocks import as_columns, fill_blocks, quantise, row_scales
from training.heads.clustering import group_items
from training.heads.contract import HeadError, HeadInfo, check_items
from training.heads.graph import GraphBuilder
from training.heads.selection import add_answer, add_contract_inputs, count_candidates, quantise_query


@dataclass(frozen=True, slots=True, kw_only=True)
class InvertedFileConfig:
    block_size: int = 128
    "Most items in a block."
    n_lists: int | None = None
    """Lists of k-means before they are cut into blocks; None is twice the square root of the number of items.

    More lists than natural clusters: Lloyd's k-means leaves some clusters joined in one list, and halving such a
    list mixes them. A million items in 1,000 clusters took 578 probes with 1,000 lists, 11 with 2,000.
    """
    n_sampled: int = 65_536
    "Items that k-means sees."
    n_rounds: int = 10
    "Rounds of k-means."
    nprobe: int = 32
    "Blocks that a query looks into, until `choose_nprobe` measures how many it takes."
    rerank: bool = True
    "Score the best again from float16 rows; without it, recall ends where int8 does."


def write_inverted_file(
    path: Path,
    vectors: NDArray[np.float32],
    config: InvertedFileConfig,
    *,
    rng: np.random.Generator,
    k: int = 1,
) -> None:
    """Group the items and write the head.

    Args:
        path: of the graph; weights go beside it.
        vectors: item i is row i - 1, (n_items, dim).
        k: the most items that answers will have; checked against n_items.

    Raises:
        HeadError: bad vectors or settings, or a disk that refuses.
    """
    check_items(vectors, k=k)
    n_items, dim = vectors.shape
    n_lists = config.n_lists if config.n_lists is not None else round(2 * n_items**0.5)
    if min(config.block_size, n_lists, config.n_sampled, config.n_rounds, config.nprobe) < 1:
        raise HeadError(f"{config} has a number below 1; every count must be at least 1")
    groups = group_items(
        vectors,
        config.block_size,
        n_lists=n_lists,
        n_sampled=config.n_sampled,
        n_rounds=config.n_rounds,
        rng=rng,
    )
    blocks = fill_blocks(groups, config.block_size)
    centroids = np.stack([vectors[group].mean(axis=0) for group in groups])
    scales = row_scales(vectors)
    steps = quantise(vectors, scales[:, None])

    graph = GraphBuilder()
    add_contract_inputs(graph, dim)
    nprobe = graph.option("nprobe", np.array([min(config.nprobe, blocks.count)]))
    n_candidates = count_candidates(graph, rerank=config.rerank)
    coarse = graph.add("MatMul", "query", graph.weights("centroids", centroids.T))  # (batch, n_blocks)
    n_probed = graph.add("Min", nprobe, graph.constant(np.array([blocks.count])))
    _, probed = graph.add_many("TopK", coarse, n_probed, n_outputs=2, sorted=0)  # (batch, nprobe)
    matrix = graph.add("Gather", graph.weights("matrix", as_columns(steps, blocks)), probed, axis=0)
    query, zero, query_scale = quantise_query(graph)
    row = graph.add("Unsqueeze", query, graph.constant(np.array([1, 2])))  # (batch, 1, 1, dim)
    products = graph.add("MatMulInteger", row, matrix, zero)  # (batch, nprobe, 1, block_size)
    products = graph.add("Squeeze", products, graph.constant(np.array([2])))
    item_scales = graph.add("Gather", graph.weights("scales", scales[blocks.rows]), probed, axis=0)
    step = graph.add("Mul", item_scales, graph.add("Unsqueeze", query_scale, graph.constant(np.array([2]))))
    scores = graph.add("Mul", graph.add("Cast", products, to=TensorProto.FLOAT), step)
    numbers = graph.add("Gather", graph.weights("numbers", blocks.numbers), probed, axis=0)
    add_answer(graph, scores, numbers, n_candidates, fine=vectors if config.rerank else None)
    info = HeadInfo(
        kind="inverted_file",
        n_items=n_items,
        dim=dim,
        block_size=blocks.size,
        n_blocks=blocks.count,
        prepack=False,
        rerank=config.rerank,
    )
    graph.write(path, info)
