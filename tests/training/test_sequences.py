from pathlib import Path

import numpy as np
import polars as pl
import pytest

from training.datasets import Dataset, DatasetError, read_movielens
from training.sequences import pad, read_sequences


def dataset(rows: list[tuple[int, int, int]]) -> Dataset:
    return Dataset(
        name="rows",
        source="",
        licence="",
        terms="",
        interactions=pl.DataFrame(rows, schema=["user_id", "item_id", "timestamp"], orient="row"),
        items=pl.DataFrame(),
        sha256="",
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
