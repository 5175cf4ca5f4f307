from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recserve.inference.session import ScoringSession

onnx = pytest.importorskip("onnx")
from training.static_ranking import write_static_ranking  # noqa: E402

SCORES = np.array([3, 9, 1, 9, 5, 0, 2], np.float32)
BEST_FIRST = [2, 4, 5, 1, 7, 3, 6]


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> ScoringSession:
    path = tmp_path_factory.mktemp("graph") / "popular.onnx"
    write_static_ranking(SCORES, path)
    return ScoringSession("popular", path.read_bytes(), n_items=len(SCORES))


def test_best_come_first_and_of_equals_the_lower_number(session: ScoringSession) -> None:
    ranked = session.recommend(np.array([[0]]), np.zeros((1, 0), np.int64), 4)

    assert ranked.items.tolist() == [BEST_FIRST[:4]]
    assert ranked.scores.tolist() == [[9, 9, 5, 3]]


@settings(max_examples=200, deadline=None)
@given(
    seen=st.lists(st.lists(st.integers(0, len(SCORES)), min_size=3, max_size=3), min_size=1, max_size=4),
    k=st.integers(1, len(SCORES) + 1),
)
def test_every_user_gets_the_best_they_have_not_seen(
    session: ScoringSession, seen: list[list[int]], k: int
) -> None:
    ranked = session.recommend(np.ones((len(seen), 2), np.int64), np.array(seen), k)

    for row, items in zip(seen, ranked.items.tolist(), strict=True):
        expected = [item for item in BEST_FIRST if item not in row][:k]
        assert items == expected + [0] * (k - len(expected))


def test_reading_on_does_not_depend_on_the_size_of_the_catalogue(tmp_path: Path) -> None:
    path = tmp_path / "popular.onnx"
    write_static_ranking(np.arange(50_000, dtype=np.float32), path)
    session = ScoringSession("popular", path.read_bytes(), n_items=50_000)
    ranked = session.recommend(np.array([[1]]), np.array([[50_000, 49_998]]), 3)

    assert ranked.items.tolist() == [[49_999, 49_997, 49_996]]
