from collections import Counter
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from training.datasets import Dataset, DatasetError, read_movielens
from training.sequences import MIN_INTERACTIONS, pad, read_sequences


def dataset(rows: list, *, allow_repeats: bool = False) -> Dataset:
    return Dataset(
        name="rows",
        source="",
        licence="",
        terms="",
        interactions=pl.DataFrame(rows, schema=["user_id", "item_id", "timestamp"], orient="row"),
        items=pl.DataFrame(),
        sha256="",
        allow_repeats=allow_repeats,
    )


DENSE = [(user, item, item) for user in range(1, 7) for item in (10, 20, 30, 40, 50)]


def test_users_are_read_in_the_order_of_time() -> None:
    backwards = dataset([(user, item, 100 - item) for user, item, _ in DENSE])

    sequences = read_sequences(backwards)

    assert sequences.users[0].tolist() == [5, 4, 3, 2, 1]
    assert sequences.item_ids == [10, 20, 30, 40, 50]


def test_same_second_keeps_the_order_of_the_file() -> None:
    rows = [(user, item, 0) for user in range(1, 7) for item in (30, 10, 50, 20, 40)]

    assert read_sequences(dataset(rows)).users[0].tolist() == [3, 1, 5, 2, 4]


def test_rare_items_and_the_users_they_leave_poor_are_left_out() -> None:
    sequences = read_sequences(dataset([*DENSE, (9, 10, 1), (9, 99, 2)]))

    assert (len(sequences.users), sequences.n_items) == (6, 5)


def test_each_of_too_few_interactions_can_leave_others_too_few() -> None:
    poor = [(7, item, 1) for item in (10, 20, 30, 40)]
    chained = [(user, 60, 1) for user in (1, 2, 3, 4, 7)]

    sequences = read_sequences(dataset([*DENSE, *poor, *chained, (7, 70, 1)]))
    without_user_7 = read_sequences(dataset([*DENSE, *poor, *chained[:-1]]))

    assert (len(sequences.users), sequences.item_ids) == (7, [10, 20, 30, 40, 50, 60])
    assert (len(without_user_7.users), without_user_7.item_ids) == (6, [10, 20, 30, 40, 50])


def test_ids_may_be_text() -> None:
    sequences = read_sequences(dataset([(f"u{user}", f"i{item}", time) for user, item, time in DENSE]))

    assert sequences.item_ids == ["i10", "i20", "i30", "i40", "i50"]
    assert sequences.users[0].tolist() == [1, 2, 3, 4, 5]


REPEATED = [*DENSE, *((1, item, time) for time, item in enumerate((10, 50, 10), start=100))]


def test_only_the_first_interaction_with_an_item_counts() -> None:
    sequences = read_sequences(dataset(REPEATED[::-1]))

    assert sequences.users[0].tolist() == [1, 2, 3, 4, 5]
    assert not sequences.allow_repeats


def test_repeats_stay_where_they_are_allowed() -> None:
    sequences = read_sequences(dataset(REPEATED, allow_repeats=True))

    assert sequences.users[0].tolist() == [1, 2, 3, 4, 5, 1, 5, 1]
    assert sequences.allow_repeats


def test_repeats_do_not_make_an_item_frequent_where_only_the_first_counts() -> None:
    devoted = [(1, 60, time) for time in range(100, 105)]

    assert read_sequences(dataset([*DENSE, *devoted])).n_items == 5
    assert read_sequences(dataset([*DENSE, *devoted], allow_repeats=True)).n_items == 6


@given(
    st.lists(st.tuples(st.integers(1, 8), st.integers(1, 8), st.integers(0, 3)), min_size=150, max_size=400),
    st.booleans(),
)
@settings(max_examples=40, deadline=None)
def test_sequences_are_the_core_in_order(rows: list[tuple[int, int, int]], allow_repeats: bool) -> None:
    ordered = sorted(rows, key=lambda row: (row[0], row[2]))
    pairs = [(user, item) for user, item, _ in ordered]
    pairs = pairs if allow_repeats else list(dict.fromkeys(pairs))
    while True:
        n_of_user, n_of_item = Counter(user for user, _ in pairs), Counter(item for _, item in pairs)
        left = [(u, i) for u, i in pairs if min(n_of_user[u], n_of_item[i]) >= MIN_INTERACTIONS]
        if left == pairs:
            break
        pairs = left
    expected = [[item for user, item in pairs if user == each] for each in dict.fromkeys(u for u, _ in pairs)]
    assume(len(expected) > 1)

    sequences = read_sequences(dataset(rows, allow_repeats=allow_repeats))

    assert [[sequences.item_ids[i - 1] for i in items] for items in sequences.users] == expected


@pytest.mark.parametrize("rows", [[], [(1, item, item) for item in range(9)]], ids=["empty", "one user"])
def test_too_little_data_is_refused(rows: list) -> None:
    with pytest.raises(DatasetError, match="more data is needed"):
        read_sequences(dataset(rows))


def test_held_out_items_are_the_last_two_and_are_not_fitted_on() -> None:
    sequences = read_sequences(dataset(DENSE))
    validation, test = sequences.held_out("validation"), sequences.held_out("test")

    assert sequences.fitting()[0].tolist() == [1, 2, 3]
    assert (validation[0][0].tolist(), validation[1][0]) == ([1, 2, 3], 4)
    assert (test[0][0].tolist(), test[1][0]) == ([1, 2, 3, 4], 5)


def test_padding_keeps_the_newest_on_the_right() -> None:
    histories = [np.array([1, 2, 3]), np.array([4])]

    assert pad(histories, 2).tolist() == [[2, 3], [0, 4]]


def test_movielens_has_the_size_that_is_published(ml_latest_small: Path, tmp_path: Path) -> None:
    sequences = read_sequences(read_movielens(str(ml_latest_small), cache_dir=tmp_path))

    assert (len(sequences.users), sequences.n_items) == (671, 3496)
