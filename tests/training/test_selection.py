"""The nodes that turn scores into items, on a graph small enough to check by hand."""

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper

from training.selection import append_selection


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> ort.InferenceSession:
    """A graph whose scores are its input: history is cast to float and taken as scores of 5 items."""
    path = tmp_path_factory.mktemp("graph") / "scores.onnx"
    graph = helper.make_graph(
        [helper.make_node("Cast", ["history"], ["scores"], to=TensorProto.FLOAT)],
        "scores",
        [helper.make_tensor_value_info("history", TensorProto.INT64, ["batch", 5])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["batch", 5])],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9), path)
    append_selection(path, path)
    return ort.InferenceSession(path)


def select(
    session: ort.InferenceSession, scores: list[list[int]], seen: list[list[int]], k: int
) -> tuple[list, list]:
    feeds = {
        "history": np.array(scores, np.int64),
        "seen": np.array(seen, np.int64).reshape(len(scores), -1),
        "k": np.array([k]),
    }
    items, best = session.run(["items", "scores"], feeds)
    return items.tolist(), best.tolist()


def test_best_items_come_first(session: ort.InferenceSession) -> None:
    assert select(session, [[10, 50, 20, 40, 30]], [[]], 3) == ([[2, 4, 5]], [[50.0, 40.0, 30.0]])


def test_seen_items_are_left_out_and_padding_is_not_an_item(session: ort.InferenceSession) -> None:
    assert select(session, [[10, 50, 20, 40, 30]], [[0, 2, 4]], 2)[0] == [[5, 3]]


def test_users_of_a_batch_have_their_own_lists(session: ort.InferenceSession) -> None:
    scores = [[5, 4, 3, 2, 1], [1, 2, 3, 4, 5]]

    assert select(session, scores, [[1], [0]], 2)[0] == [[2, 3], [5, 4]]


@given(
    scores=st.lists(st.integers(-9, 9), min_size=5, max_size=5),
    seen=st.lists(st.integers(0, 5), max_size=6),
    k=st.integers(1, 9),
)
def test_selection_is_what_sorting_gives(
    session: ort.InferenceSession, scores: list[int], seen: list[int], k: int
) -> None:
    allowed = [item for item in range(1, 6) if item not in seen]
    expected = sorted(allowed, key=lambda item: (-scores[item - 1], item))[:k]

    items, _ = select(session, [scores], [seen], k)

    assert [item for item in items[0] if item] == expected
    assert len(items[0]) == min(k, 6)
