from pathlib import Path

import numpy as np
import pytest

from recserve.errors import InvalidModels
from recserve.inference.session import ScoringSession

NOBODY = np.zeros((1, 0), np.int64)


@pytest.fixture
def session(models_dir: Path) -> ScoringSession:
    return ScoringSession("near", (models_dir / "near.onnx").read_bytes(), n_items=6)


def test_best_items_come_first_with_their_scores(session: ScoringSession) -> None:
    ranked = session.recommend(np.array([[1, 2]]), NOBODY, 3)

    assert ranked.items.tolist() == [[3, 4, 5]]
    assert ranked.scores.tolist() == [[6.0, 5.0, 4.0]]


def test_seen_items_do_not_come_back(session: ScoringSession) -> None:
    ranked = session.recommend(np.array([[2]]), np.array([[0, 3, 5]]), 3)

    assert ranked.items.tolist() == [[4, 6, 1]]


def test_where_fewer_remain_the_rest_is_item_zero(session: ScoringSession) -> None:
    ranked = session.recommend(np.array([[2]]), np.array([[1, 2, 3, 4, 5]]), 3)

    assert ranked.items.tolist() == [[6, 0, 0]]
    assert ranked.scores[0, 1:].tolist() == [-np.inf, -np.inf]


def test_more_than_everything_is_everything(session: ScoringSession) -> None:
    ranked = session.recommend(np.array([[2]]), NOBODY, 100)

    assert sorted(ranked.items[0].tolist()) == [0, 1, 2, 3, 4, 5, 6]


def test_graph_that_knows_another_number_of_items_is_refused(models_dir: Path) -> None:
    content = (models_dir / "near.onnx").read_bytes()

    with pytest.raises(InvalidModels, match="knows 6 items; the catalogue has 7"):
        ScoringSession("near", content, n_items=7)


def test_bytes_that_are_no_graph_are_refused() -> None:
    with pytest.raises(InvalidModels, match="'near' does not load"):
        ScoringSession("near", b"not a graph", n_items=6)


def test_rows_of_a_batch_do_not_touch_each_other(session: ScoringSession) -> None:
    history, seen = np.array([[0, 1], [3, 2], [0, 6]]), np.array([[1, 0], [2, 3], [0, 0]])

    together = session.recommend(history, seen, 4)

    for row in range(len(history)):
        alone = session.recommend(history[row : row + 1], seen[row : row + 1], 4)
        assert np.array_equal(together.items[row], alone.items[0])
