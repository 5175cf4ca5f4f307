from pathlib import Path

import numpy as np
import pytest

from recserve.errors import InvalidModels
from recserve.inference.session import ScoringSession


def test_graph_that_scores_another_number_of_items_is_refused(models_dir: Path) -> None:
    content = (models_dir / "near.onnx").read_bytes()

    with pytest.raises(InvalidModels, match="scores 6 items; the catalogue has 5"):
        ScoringSession("near", content, n_items=5)


def test_bytes_that_are_no_graph_are_refused() -> None:
    with pytest.raises(InvalidModels, match="'near' does not load"):
        ScoringSession("near", b"not a graph", n_items=6)


def test_rows_of_a_batch_do_not_touch_each_other(models_dir: Path) -> None:
    session = ScoringSession("near", (models_dir / "near.onnx").read_bytes(), n_items=6)
    batch = np.array([[0, 1], [3, 2], [0, 6]])

    together = session.score(batch)

    for row in range(len(batch)):
        assert np.array_equal(together[row], session.score(batch[row : row + 1])[0])
