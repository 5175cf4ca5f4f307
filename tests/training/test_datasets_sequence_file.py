from pathlib import Path

import pytest

from tests.conftest import SHARED
from training.datasets import DatasetError, read_dataset
from training.sequences import read_sequences


@pytest.fixture
def beauty() -> Path:
    path = SHARED / "data" / "amazon-beauty" / "Beauty.txt"
    if not path.is_file():
        pytest.skip("Amazon Beauty is not beside this checkout (../shared/data)")
    return path


def test_lines_are_users_and_positions_are_times(tmp_path: Path) -> None:
    path = tmp_path / "shop.txt"
    path.write_text("7 30 10\n\n8  10\t20 30 \r\n")

    dataset = read_dataset(str(path), cache_dir=tmp_path)

    assert dataset.interactions.rows() == [(7, 30, 0), (7, 10, 1), (8, 10, 0), (8, 20, 1), (8, 30, 2)]
    assert dataset.items.row(0) == (10, "Item 10", None, [])
    assert (dataset.name, dataset.allow_repeats) == ("shop", False)
    assert "evaluation only" in dataset.licence


def test_ids_may_be_text(tmp_path: Path) -> None:
    path = tmp_path / "shop.txt"
    path.write_text("ann B00A B00B\nbob B00A")

    assert read_dataset(str(path), cache_dir=tmp_path).interactions.rows()[-1] == ("bob", "B00A", 0)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "shop.txt is empty"),
        (" \n\n", "shop.txt is empty"),
        ("1 2 3\n2\n", "line 2: user '2' has no items"),
        ("1 2\n\n1 3\n", "line 3: user '1' has line 1 already; .* is a table"),
        ("1 2 3\n2 02 3\n", "column item_id: '2' and '02' are the same number"),
    ],
)
def test_bad_lines_are_named(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "shop.txt"
    path.write_text(text)

    with pytest.raises(DatasetError, match=said):
        read_dataset(str(path), kind="sequences", cache_dir=tmp_path)


def test_file_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "shop.txt"
    path.write_bytes(b"1 2 3\n2 \xe9 3\n")

    with pytest.raises(DatasetError, match=r"shop\.txt is not UTF-8 \(byte 0xe9 at offset 8\)"):
        read_dataset(str(path), cache_dir=tmp_path)


def test_beauty_has_the_size_that_is_published(beauty: Path, tmp_path: Path) -> None:
    dataset = read_dataset(str(beauty), cache_dir=tmp_path)
    sequences = read_sequences(dataset)

    assert dataset.interactions.height == 198_502
    assert (len(sequences.users), sequences.n_items) == (22_363, 12_101)
    assert sum(map(len, sequences.users)) == 198_502
