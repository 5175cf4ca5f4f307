import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from recserve.inference.ranking import rank


def test_best_items_come_first() -> None:
    columns, scores = rank(np.array([0.1, 0.9, 0.5], np.float32), 2)

    assert columns.tolist() == [1, 2]
    assert scores.tolist() == [np.float32(0.9), np.float32(0.5)]


def test_excluded_items_do_not_come_back() -> None:
    columns, _ = rank(np.array([0.1, 0.9, 0.5], np.float32), 3, exclude={2})

    assert columns.tolist() == [2, 0]


def test_everything_excluded_leaves_nothing() -> None:
    columns, scores = rank(np.ones(3, np.float32), 2, exclude={1, 2, 3})

    assert (columns.size, scores.size) == (0, 0)


def test_equal_scores_keep_catalogue_order() -> None:
    columns, _ = rank(np.ones(50, np.float32), 4)

    assert columns.tolist() == [0, 1, 2, 3]


def test_scores_of_the_caller_stay_as_they_are() -> None:
    scores = np.array([0.1, 0.9], np.float32)

    rank(scores, 1, exclude={2})

    assert scores.tolist() == [np.float32(0.1), np.float32(0.9)]


@given(
    scores=st.lists(st.integers(-5, 5), min_size=1, max_size=40),
    k=st.integers(1, 50),
    data=st.data(),
)
def test_ranking_is_what_sorting_everything_gives(scores: list[int], k: int, data: st.DataObject) -> None:
    exclude = data.draw(st.sets(st.integers(1, len(scores))))
    expected = sorted((j for j in range(len(scores)) if j + 1 not in exclude), key=lambda j: (-scores[j], j))[
        :k
    ]

    columns, _ = rank(np.array(scores, np.float32), k, exclude=exclude)

    assert columns.tolist() == expected
