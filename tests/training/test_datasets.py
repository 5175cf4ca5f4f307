"""Which adapter reads a source."""

import shutil
from pathlib import Path

import polars as pl
import pytest

from training.datasets import KINDS, DatasetError, read_dataset

TABLE = "user_id,item_id,timestamp\n1,2,3\n"


@pytest.mark.parametrize(
    ("name", "content", "source"),
    [
        ("interactions.csv", TABLE, "interactions.csv"),
        ("interactions.txt", TABLE, "interactions.txt"),
        ("Beauty.txt", "1 2 3 4\n2 3\n", "Beauty.txt"),
        ("Beauty", "ann 2\n", "Beauty"),
    ],
)
def test_file_is_known_by_its_first_line(tmp_path: Path, name: str, content: str, source: str) -> None:
    (tmp_path / name).write_text(content)

    assert read_dataset(str(tmp_path / name), cache_dir=tmp_path).source == source


def test_parquet_file_is_known_without_its_suffix(tmp_path: Path) -> None:
    pl.DataFrame({"user_id": [1], "item_id": [2], "timestamp": [3]}).write_parquet(tmp_path / "events")

    assert read_dataset(str(tmp_path / "events"), cache_dir=tmp_path).interactions.rows() == [(1, 2, 3)]


def test_movielens_is_known_as_directory_and_zip(release: Path, tmp_path: Path) -> None:
    zipped = shutil.make_archive(str(release), "zip", release.parent, release.name)
    from_directory = read_dataset(str(release), cache_dir=tmp_path / "cache")
    from_zip = read_dataset(zipped, cache_dir=tmp_path / "cache")

    assert from_directory.interactions.equals(from_zip.interactions)
    assert list((tmp_path / "cache").iterdir()) == []


@pytest.mark.parametrize(
    "content", ["", "hello\n", "1::1193::5::978300760\n", "userId,movieId\n1,2\n", "é à\n"]
)
def test_file_of_no_kind_is_refused_with_the_kinds(tmp_path: Path, content: str) -> None:
    path = tmp_path / "what.txt"
    path.write_text(content)

    with pytest.raises(DatasetError, match="looks like no kind of data; kinds are ") as refused:
        read_dataset(str(path), cache_dir=tmp_path)
    assert all(f"{kind}: " in str(refused.value) for kind in KINDS)


def test_directory_without_ratings_is_refused_with_the_kinds(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"looks like no kind of data; .*movielens: "):
        read_dataset(str(tmp_path), cache_dir=tmp_path)


def test_name_that_is_nothing_is_refused_with_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"^'ml-nonsense' is neither .*ml-32m.*complete-journey"):
        read_dataset("ml-nonsense", cache_dir=tmp_path)


def test_ambiguous_source_asks_for_the_kind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "complete-journey").write_text("1 2 3\n")

    with pytest.raises(DatasetError, match="'complete-journey' is ambiguous; say which kind"):
        read_dataset("complete-journey", cache_dir=tmp_path)
    assert read_dataset("complete-journey", kind="sequences", cache_dir=tmp_path).interactions.height == 2


def test_unknown_kind_is_refused_with_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="unknown kind 'movies'; kinds are movielens: "):
        read_dataset("ml-1m", kind="movies", cache_dir=tmp_path)


@pytest.mark.parametrize("kind", ["sequences", "table"])
def test_file_that_is_not_there_is_named(tmp_path: Path, kind: str) -> None:
    with pytest.raises(DatasetError, match=r"nowhere\.txt cannot be read: No such file"):
        read_dataset(str(tmp_path / "nowhere.txt"), kind=kind, cache_dir=tmp_path)


def test_items_of_a_kind_that_brings_its_own_are_refused(release: Path, tmp_path: Path) -> None:
    with pytest.raises(
        DatasetError, match=r"items belong to the kind table, and .* is of the kind movielens"
    ):
        read_dataset(str(release), items=tmp_path / "items.csv", cache_dir=tmp_path)


def test_what_a_kind_says_of_repeats_can_be_overruled(release: Path, tmp_path: Path) -> None:
    assert not read_dataset(str(release), cache_dir=tmp_path).allow_repeats
    assert read_dataset(str(release), allow_repeats=True, cache_dir=tmp_path).allow_repeats
