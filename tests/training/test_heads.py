"""Every head keeps one contract; what differs is how exact its scores are."""

import errno
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from training.heads import (
    HeadError,
    InvertedFileConfig,
    attach_head,
    choose_nprobe,
    exact_items,
    load_head,
    recall,
    write_exact_int8,
    write_flat,
    write_inverted_file,
)
from training.heads import graph as head_graph
from training.heads.blocks import cut_in_order, row_scales
from training.heads.clustering import group_items
from training.heads.graph import data_path
from training.heads.scan import SCAN_BLOCK_SIZE
from training.synthetic import SyntheticConfig, make_catalogue

N_ITEMS, DIM = 5_003, 16  # no multiple of a block
CATALOGUE = make_catalogue(
    SyntheticConfig(n_items=N_ITEMS, dim=DIM, n_clusters=25), np.random.default_rng(11)
)
VECTORS = CATALOGUE.vectors
QUERIES = CATALOGUE.draw_queries(64, np.random.default_rng(12))
CHOOSING = CATALOGUE.draw_queries(64, np.random.default_rng(13))

Write = Callable[[Path, NDArray[np.float32]], None]


def inverted_file(path: Path, vectors: NDArray[np.float32], **settings: int) -> None:
    config = InvertedFileConfig(**({"block_size": 32, "nprobe": 10_000} | settings))
    write_inverted_file(path, vectors, config, rng=np.random.default_rng(1))


HEADS: dict[str, Write] = {
    "flat": write_flat,
    "packed": write_exact_int8,
    "mapped": lambda path, vectors: write_exact_int8(path, vectors, layout="mapped"),
    "reranked": lambda path, vectors: write_exact_int8(path, vectors, rerank=True),
    "inverted_file": inverted_file,
}


@pytest.fixture(scope="module")
def heads(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("heads")
    paths = {name: root / f"{name}.onnx" for name in HEADS}
    for name, write in HEADS.items():
        write(paths[name], VECTORS)
    return paths


@pytest.fixture(params=HEADS)
def path(request: pytest.FixtureRequest, heads: dict[str, Path]) -> Path:
    return heads[request.param]


def numpy_int8_scores(queries: NDArray[np.float32]) -> NDArray[np.float64]:
    """What the int8 head should compute, in numpy's integers."""
    own = row_scales(VECTORS)
    blocks = cut_in_order(np.argsort(-own, kind="stable"), SCAN_BLOCK_SIZE)
    scales = np.empty(N_ITEMS, np.float32)
    scales[blocks.rows] = own[blocks.rows].max(axis=1, keepdims=True)
    rows = np.rint(VECTORS / scales[:, None]).astype(np.int64)
    query_scales = np.abs(queries).max(axis=1, keepdims=True) / np.float32(63)
    steps = np.rint(queries / query_scales).astype(np.int64)
    return (steps @ rows.T) * scales.astype(np.float64) * query_scales


def test_answer_is_what_the_contract_says(path: Path) -> None:
    found = load_head(path).find(QUERIES[:3], k=7)

    assert (found.items.shape, found.items.dtype) == ((3, 7), np.int64)
    assert (found.scores.shape, found.scores.dtype) == ((3, 7), np.float32)
    assert found.items.min() >= 1
    assert found.items.max() <= N_ITEMS
    assert (np.diff(found.scores) <= 0).all()
    assert all(len(set(row)) == 7 for row in found.items.tolist())


def test_scores_are_inner_products_of_the_items_they_stand_beside(path: Path) -> None:
    found = load_head(path).find(QUERIES, k=20)

    products = np.einsum("nd,nkd->nk", QUERIES, VECTORS[found.items - 1])
    np.testing.assert_allclose(found.scores, products, atol=0.05)


def test_flat_is_exact(heads: dict[str, Path]) -> None:
    found = load_head(heads["flat"]).find(QUERIES, k=50)

    np.testing.assert_array_equal(found.items, exact_items(VECTORS, QUERIES, k=50))


@pytest.mark.parametrize("layout", ["packed", "mapped"])
@pytest.mark.parametrize("prepack", [True, False])
def test_exact_int8_ranks_as_integer_arithmetic_does(
    heads: dict[str, Path], layout: str, prepack: bool
) -> None:
    scores = numpy_int8_scores(QUERIES)

    found = load_head(heads[layout], prepack=prepack).find(QUERIES, k=100)

    best = -np.sort(-scores, axis=1)[:, :100]
    np.testing.assert_allclose(found.scores, best, rtol=1e-5)
    np.testing.assert_allclose(np.take_along_axis(scores, found.items - 1, axis=1), best, rtol=1e-5)


def test_recall_against_float32_is_high_and_higher_with_rerank(heads: dict[str, Path]) -> None:
    exact = exact_items(VECTORS, QUERIES, k=10)
    reached = {name: recall(load_head(path).find(QUERIES, k=10).items, exact) for name, path in heads.items()}

    assert reached["flat"] == 1
    assert reached["packed"] == reached["mapped"] >= 0.95
    assert reached["reranked"] >= 0.995
    assert reached["inverted_file"] >= 0.995  # it looks into all blocks here


def test_seen_items_never_return_and_the_next_best_take_their_place(path: Path) -> None:
    head = load_head(path)
    first = head.find(QUERIES, k=60).items
    seen = np.concatenate([first[:, :30], np.zeros((len(first), 3), np.int64)], axis=1)

    rest = head.find(QUERIES, k=30, seen=seen).items

    np.testing.assert_array_equal(np.sort(rest, axis=1), np.sort(first[:, 30:], axis=1))


def test_each_row_leaves_out_its_own_seen_items(path: Path) -> None:
    head = load_head(path)
    query = np.repeat(QUERIES[:1], 2, axis=0)
    best = head.find(QUERIES[:1], k=2).items[0]

    found = head.find(query, k=1, seen=np.array([[0], [best[0]]])).items

    assert found.ravel().tolist() == best.tolist()


@pytest.mark.parametrize("name", HEADS)
def test_answer_ends_in_nobody_when_fewer_than_k_remain(name: str, tmp_path: Path) -> None:
    HEADS[name](tmp_path / "small.onnx", VECTORS[:70])
    head = load_head(tmp_path / "small.onnx")

    found = head.find(-QUERIES[:2], k=100, seen=np.array([[1, 2, 3], [4, 0, 0]]))

    for row, n_left in ((0, 67), (1, 69)):
        assert len(set(found.items[row, :n_left])) == n_left
        assert 0 not in found.items[row, :n_left]
        assert np.isfinite(found.scores[row, :n_left]).all()
        assert not found.items[row, n_left:].any()
        assert np.isneginf(found.scores[row, n_left:]).all()


def test_one_item_of_zeros_is_found(tmp_path: Path) -> None:
    for name, write in HEADS.items():
        write(tmp_path / f"{name}.onnx", np.zeros((1, DIM), np.float32))

        found = load_head(tmp_path / f"{name}.onnx").find(np.zeros((1, DIM), np.float32), k=2)

        assert (found.items.tolist(), found.scores.tolist()) == ([[1, 0]], [[0.0, -np.inf]])


def test_rows_of_a_batch_are_independent(path: Path) -> None:
    head = load_head(path)
    loud = QUERIES.copy()
    loud[1::2] *= 1e4  # one scale for the whole batch would drown the others

    together = head.find(loud, k=20)

    for row in range(0, 8):
        alone = head.find(loud[row : row + 1], k=20)
        np.testing.assert_allclose(together.scores[row], alone.scores[0], rtol=1e-5)
        assert len(np.intersect1d(together.items[row], alone.items[0])) >= 19  # ties may fall either way


@pytest.mark.parametrize("name", ["packed", "mapped", "reranked", "inverted_file"])
def test_integer_product_is_in_the_graph_that_runs(name: str, heads: dict[str, Path], tmp_path: Path) -> None:
    options = ort.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    options.log_severity_level = 3
    ort.InferenceSession(heads[name], options, providers=["CPUExecutionProvider"])

    optimised = onnx.load(tmp_path / "optimised.onnx", load_external_data=False)

    operators = [node.op_type for node in optimised.graph.node]
    types = {tensor.name: tensor.data_type for tensor in optimised.graph.initializer}
    assert "MatMulInteger" in operators
    assert "DequantizeLinear" not in operators
    assert types["head/matrix"] == TensorProto.INT8


def test_weights_lie_beside_the_graph(path: Path) -> None:
    data = data_path(path)

    assert data is not None
    assert data.stat().st_size >= N_ITEMS * DIM
    assert path.stat().st_size < 20_000
    model = onnx.load(path, load_external_data=False)
    offsets = [
        int(entry.value)
        for tensor in model.graph.initializer
        for entry in tensor.external_data
        if entry.key == "offset"
    ]
    assert offsets
    assert all(offset % 4096 == 0 for offset in offsets)
    onnx.checker.check_model(path)


def test_head_says_how_to_load_it(heads: dict[str, Path]) -> None:
    assert load_head(heads["packed"]).info.session_config() == {"session.disable_prepacking": "0"}
    assert load_head(heads["mapped"]).info.session_config() == {"session.disable_prepacking": "1"}


@pytest.mark.parametrize("name", HEADS)
def test_equal_seeds_write_equal_files(name: str, tmp_path: Path) -> None:
    contents = []
    for directory in (tmp_path / "a", tmp_path / "b"):
        HEADS[name](directory / "head.onnx", VECTORS[:700])
        contents.append({file.name: file.read_bytes() for file in directory.iterdir()})

    assert contents[0] == contents[1]


def test_writing_again_replaces_graph_and_weights(tmp_path: Path) -> None:
    path = tmp_path / "head.onnx"
    write_exact_int8(path, VECTORS[:200])
    in_use = load_head(path)

    write_exact_int8(path, VECTORS[200:500])

    assert load_head(path).info.n_items == 300
    assert len(list(tmp_path.iterdir())) == 2
    assert in_use.find(QUERIES[:1], k=200).items.max() == 200  # a loaded head keeps its weights


@pytest.mark.parametrize("failing", ["_write_weights", "write_graph"])
def test_full_disk_leaves_the_old_head(failing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "head.onnx"
    write_exact_int8(path, VECTORS[:200])
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}

    def refuse(target: Path, *_: object) -> None:
        target.with_name(target.name).write_bytes(b"half") if failing == "_write_weights" else None
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(head_graph, failing, refuse)
    with pytest.raises(HeadError, match="No space left on device; what was there"):
        write_exact_int8(path, VECTORS[200:500])

    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before


def _with_nan() -> NDArray[np.float32]:
    vectors = VECTORS[:20].copy()
    vectors[6, 2] = np.nan
    return vectors


@pytest.mark.parametrize(
    ("vectors", "k", "message"),
    [
        (VECTORS[:20], 0, "k is 0"),
        (VECTORS[:20], 21, "has 20 items, answers are to have k = 21"),
        (_with_nan(), 5, "1 items have vectors that are not finite, the first is item 7"),
        (VECTORS[0], 1, r"shape \(16,\)"),
        (VECTORS[:0], 1, r"shape \(0, 16\)"),
        (VECTORS[:20].astype(np.float64), 1, "float64"),
    ],
)
def test_bad_items_are_refused(vectors: NDArray[np.float32], k: int, message: str, tmp_path: Path) -> None:
    path = tmp_path / "head.onnx"
    for write in (
        lambda: write_flat(path, vectors, k=k),
        lambda: write_exact_int8(path, vectors, k=k),
        lambda: write_inverted_file(path, vectors, InvertedFileConfig(), rng=np.random.default_rng(), k=k),
    ):
        with pytest.raises(HeadError, match=message):
            write()

    assert not list(tmp_path.iterdir())


def test_bad_settings_and_queries_are_refused(heads: dict[str, Path], tmp_path: Path) -> None:
    head = load_head(heads["packed"])

    with pytest.raises(HeadError, match="below 1"):
        inverted_file(tmp_path / "head.onnx", VECTORS, block_size=0)
    with pytest.raises(HeadError, match="16 dimensions"):
        head.find(QUERIES[:, :5], k=1)
    with pytest.raises(HeadError, match="not finite"):
        head.find(np.full((1, DIM), np.inf, np.float32), k=1)
    with pytest.raises(HeadError, match="k is 0"):
        head.find(QUERIES, k=0)


def test_missing_files_are_named(heads: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(HeadError, match=r"cannot read .*nowhere.onnx"):
        load_head(tmp_path / "nowhere.onnx")
    (tmp_path / "alone.onnx").write_bytes(heads["packed"].read_bytes())
    with pytest.raises(HeadError, match="does not load"):
        load_head(tmp_path / "alone.onnx")


def test_groups_hold_every_item_once_and_fit_a_block() -> None:
    groups = group_items(VECTORS, 32, n_lists=40, n_sampled=2_000, n_rounds=5, rng=np.random.default_rng(2))

    assert sorted(np.concatenate(groups).tolist()) == list(range(N_ITEMS))
    assert max(map(len, groups)) <= 32
    assert N_ITEMS / (32 * len(groups)) > 0.6


def test_equal_items_can_be_grouped() -> None:
    groups = group_items(
        np.ones((100, 4), np.float32), 8, n_lists=5, n_sampled=50, n_rounds=3, rng=np.random.default_rng(2)
    )

    assert sorted(np.concatenate(groups).tolist()) == list(range(100))
    assert max(map(len, groups)) <= 8


def test_chosen_nprobe_is_the_smallest_that_reaches_the_target(tmp_path: Path) -> None:
    path = tmp_path / "head.onnx"
    inverted_file(path, VECTORS, nprobe=1)
    weights = data_path(path)
    exact = exact_items(VECTORS, CHOOSING, k=10)

    probing = choose_nprobe(path, VECTORS, CHOOSING, target=0.95)

    head = load_head(path)
    assert 1 < probing.nprobe < head.info.n_blocks
    assert recall(head.find(CHOOSING, k=10).items, exact) == pytest.approx(probing.recall_10)
    assert probing.recall_10 >= 0.95
    assert recall(head.find(CHOOSING, k=10, nprobe=probing.nprobe - 1).items, exact) < 0.95
    assert (head.info.recall_10, head.info.n_queries) == (probing.recall_10, 64)
    assert data_path(path) == weights


def test_recall_out_of_reach_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "head.onnx"
    write_inverted_file(
        path, VECTORS, InvertedFileConfig(block_size=32, rerank=False), rng=np.random.default_rng(1)
    )
    before = path.read_bytes()

    with pytest.raises(HeadError, match="build the head with rerank"):
        choose_nprobe(path, VECTORS, CHOOSING, target=1.0)

    assert path.read_bytes() == before


def test_nprobe_is_chosen_for_the_catalogue_that_was_built(heads: dict[str, Path]) -> None:
    with pytest.raises(HeadError, match="an inverted file of the given"):
        choose_nprobe(heads["inverted_file"], VECTORS[:10], CHOOSING)
    with pytest.raises(HeadError, match="head of kind flat"):
        choose_nprobe(heads["flat"], VECTORS, CHOOSING)


def write_encoder(path: Path, table: NDArray[np.float32], *, opset: int = 20) -> None:
    """The mean of the history's vectors; its value names clash with the head's on purpose."""
    nodes = [
        helper.make_node("Gather", ["seen", "past"], ["k"], axis=0),
        helper.make_node("ReduceMean", ["k", "scores"], ["items"], keepdims=0),
    ]
    graph = helper.make_graph(
        nodes,
        "encoder",
        [helper.make_tensor_value_info("past", TensorProto.INT64, ("batch", "length"))],
        [helper.make_tensor_value_info("items", TensorProto.FLOAT, ("batch", table.shape[1]))],
        [numpy_helper.from_array(table, "seen"), numpy_helper.from_array(np.array([1]), "scores")],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9), path)


def test_encoder_and_head_run_as_one_graph(path: Path, tmp_path: Path) -> None:
    table = np.concatenate([np.zeros((1, DIM), np.float32), VECTORS])
    write_encoder(tmp_path / "encoder.onnx", table)
    history = np.array([[5, 9, 2], [70, 70, 7]])

    attach_head(tmp_path / "encoder.onnx", path, tmp_path / "whole" / "model.onnx")

    whole = load_head(tmp_path / "whole" / "model.onnx").session
    assert [value.name for value in whole.get_inputs()] == ["history", "seen", "k"]
    items, scores = whole.run(["items", "scores"], {"history": history, "seen": history, "k": np.array([10])})
    alone = load_head(path).find(table[history].mean(axis=1), k=10, seen=history)
    np.testing.assert_allclose(scores, alone.scores, rtol=1e-4)
    assert np.mean(items == alone.items) > 0.9
    assert (tmp_path / "whole" / "model.onnx").stat().st_size < len(table) * DIM * 4 + 40_000


def test_misfits_are_not_attached(heads: dict[str, Path], tmp_path: Path) -> None:
    out = tmp_path / "out" / "model.onnx"
    write_encoder(tmp_path / "narrow.onnx", VECTORS[:, :5])
    write_encoder(tmp_path / "old.onnx", VECTORS, opset=18)

    with pytest.raises(HeadError, match="float32 queries"):
        attach_head(tmp_path / "narrow.onnx", heads["packed"], out)
    with pytest.raises(HeadError, match="opset 18, the head 20"):
        attach_head(tmp_path / "old.onnx", heads["packed"], out)
    with pytest.raises(HeadError, match="not a head"):
        attach_head(tmp_path / "old.onnx", tmp_path / "old.onnx", out)

    assert not out.exists()
