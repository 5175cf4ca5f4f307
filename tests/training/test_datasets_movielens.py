import functools
import hashlib
import threading
import zipfile
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.training.conftest import N_ITEMS, N_RATINGS, N_USERS
from training import datasets
from training.datasets import DatasetError, read_movielens, readable_title


@pytest.fixture
def zipped(release: Path) -> Path:
    path = release.with_suffix(".zip")
    with zipfile.ZipFile(path, "w") as archive:
        for file in release.iterdir():
            archive.write(file, f"{release.name}/{file.name}")
    return path


@pytest.fixture
def server(zipped: Path) -> Iterator[str]:
    """Serves the directory of the zip, as GroupLens does."""
    handler = functools.partial(SimpleHTTPRequestHandler, directory=zipped.parent)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as httpd:
        threading.Thread(target=httpd.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{httpd.server_port}"
        httpd.shutdown()


def replace_row(path: Path, number: int, row: str) -> None:
    """Write another data row; rows count from 1, without the header."""
    rows = path.read_text().splitlines()
    rows[number] = row
    path.write_text("\n".join(rows) + "\n")


def test_directory_and_zip_of_a_release_are_the_same_data(
    release: Path, zipped: Path, tmp_path: Path
) -> None:
    from_directory = read_movielens(str(release), cache_dir=tmp_path)
    from_zip = read_movielens(str(zipped), cache_dir=tmp_path)

    assert from_directory.interactions.equals(from_zip.interactions)
    assert from_directory.items.equals(from_zip.items)
    assert from_directory.interactions.height == N_USERS * N_RATINGS
    assert from_directory.items.height == N_ITEMS
    assert from_directory.terms == "terms of the ring\n"


def test_old_format_is_read_as_the_new_one(release: Path, tmp_path: Path) -> None:
    old = tmp_path / "ml-old"
    old.mkdir()
    for name in ("ratings", "movies"):
        rows = (release / f"{name}.csv").read_text().replace('"Ring, The (2002)"', "Ring; The (2002)")
        (old / f"{name}.dat").write_text(
            rows.partition("\n")[2].replace(",", "::").replace("Ring; The", "Ring, The"), encoding="latin-1"
        )

    ours, theirs = (read_movielens(str(path), cache_dir=tmp_path) for path in (release, old))

    assert ours.interactions.equals(theirs.interactions)
    assert ours.items.equals(theirs.items)


def test_release_is_downloaded_once_by_name_and_checked(
    zipped: Path, server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = hashlib.sha256(zipped.read_bytes()).hexdigest()
    monkeypatch.setitem(datasets.RELEASES, "ml-ring-1", f"sha256:{digest}")
    zipped.rename(zipped.with_name("ml-ring-1.zip"))
    cache = tmp_path / "cache"

    first = read_movielens("ml-ring-1", cache_dir=cache, base_url=server)
    again = read_movielens("ml-ring-1", cache_dir=cache, base_url="http://127.0.0.1:1")

    assert first.interactions.equals(again.interactions)


def test_download_that_differs_from_its_digest_is_refused(
    zipped: Path, server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(datasets.RELEASES, "ml-ring-2", f"sha256:{'0' * 64}")
    zipped.rename(zipped.with_name("ml-ring-2.zip"))

    with pytest.raises(DatasetError, match=r"cannot download ml-ring-2: .*hash"):
        read_movielens("ml-ring-2", cache_dir=tmp_path / "cache", base_url=server)


def test_unreachable_server_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="download it by hand"):
        read_movielens("ml-1m", cache_dir=tmp_path, base_url="http://127.0.0.1:1")


def test_name_that_is_nothing_is_refused_with_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="ml-latest-small"):
        read_movielens("ml-nonsense", cache_dir=tmp_path)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("7,8,4.0,yesterday", "row 3, column timestamp: 'yesterday' is not an integer"),
        ("7,8.5,4.0,1000000", r"row 3, column movieId: '8\.5' is not an integer"),
        ("99999999999999999999,8,4.0,5", "row 3, column userId: '99999999999999999999' is not an integer"),
        ("7,,4.0,1000000", "row 3, column movieId: the value is missing"),
        ("7,8,4.0", "row 3, column timestamp: the value is missing"),
    ],
)
def test_bad_rating_is_named_by_row_and_column(release: Path, tmp_path: Path, row: str, said: str) -> None:
    replace_row(release / "ratings.csv", 3, row)

    with pytest.raises(DatasetError, match=rf"ratings\.csv, {said}"):
        read_movielens(str(release), cache_dir=tmp_path)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("7::8::4::yesterday", "row 2, column timestamp: 'yesterday' is not an integer"),
        ("7::8::4", "row 2: 3 fields, not 4"),
        ("7::8::4::5::6", "row 2: 5 fields, not 4"),
        ("7::::4::5", "row 2, column movieId: the value is missing"),
    ],
)
def test_bad_rating_of_the_old_format_is_named(tmp_path: Path, row: str, said: str) -> None:
    (tmp_path / "ratings.dat").write_text(f"1::2::3::4\n{row}\n5::6::5::8\n")
    (tmp_path / "movies.dat").write_text("2::Toy Story (1995)::Comedy\n")

    with pytest.raises(DatasetError, match=rf"ratings\.dat, {said}"):
        read_movielens(str(tmp_path), cache_dir=tmp_path)


@pytest.mark.parametrize(
    ("ratings", "said"),
    [
        (
            "user,movie,rating,time\n1,2,3,4\n",
            "lacks the columns userId, movieId, timestamp; it needs the columns",
        ),
        ("userId,movieId,rating,timestamp\n", "holds no ratings"),
        ("", r"ratings\.csv is empty"),
    ],
)
def test_ratings_file_without_ratings_is_refused(
    release: Path, tmp_path: Path, ratings: str, said: str
) -> None:
    (release / "ratings.csv").write_text(ratings)

    with pytest.raises(DatasetError, match=said):
        read_movielens(str(release), cache_dir=tmp_path)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("two,Film,Drama", "row 1, column movieId: 'two' is not an integer"),
        (",Film,Drama", "row 1, column movieId: the value is missing"),
        ("2,,Drama", "row 1, column title: the value is missing"),
        ("2,Ring, The (2002),Drama", "row 1: 4 fields, but the header has 3"),
    ],
)
def test_bad_film_is_named_by_row_and_column(release: Path, tmp_path: Path, row: str, said: str) -> None:
    replace_row(release / "movies.csv", 1, row)

    with pytest.raises(DatasetError, match=rf"movies\.csv, {said}"):
        read_movielens(str(release), cache_dir=tmp_path)


def test_films_that_are_not_utf8_are_refused(release: Path, tmp_path: Path) -> None:
    path = release / "movies.csv"
    path.write_bytes(path.read_bytes().replace(b"Film 2 ", b"Am\xe9lie "))

    with pytest.raises(DatasetError, match=r"movies\.csv is not UTF-8 \(byte 0xe9 .* Latin-1"):
        read_movielens(str(release), cache_dir=tmp_path)


def test_blank_lines_at_the_end_are_nothing(release: Path, tmp_path: Path) -> None:
    with (release / "ratings.csv").open("a") as file:
        file.write("\n\n")

    assert read_movielens(str(release), cache_dir=tmp_path).interactions.height == N_USERS * N_RATINGS


def test_zip_leaves_nothing_unpacked_behind(zipped: Path, tmp_path: Path) -> None:
    read_movielens(str(zipped), cache_dir=tmp_path / "cache")

    assert list((tmp_path / "cache").iterdir()) == []


def test_ml_latest_small_is_whole(ml_latest_small: Path, tmp_path: Path) -> None:
    dataset = read_movielens(str(ml_latest_small), cache_dir=tmp_path)

    assert (dataset.interactions.height, dataset.items.height) == (100_004, 9_125)
    assert dataset.interactions.row(0) == (1, 31, 1_260_759_144)
    assert dataset.items.row(0)[:3] == (1, "Toy Story (1995)", 1995)
    assert not dataset.allow_repeats
    assert "non-commercial" in dataset.licence


def test_release_without_titles_is_refused(release: Path, tmp_path: Path) -> None:
    (release / "movies.csv").unlink()

    with pytest.raises(DatasetError, match=r"no movies\.csv"):
        read_movielens(str(release), cache_dir=tmp_path)


def test_file_that_is_no_zip_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "ml.zip"
    path.write_bytes(b"PK not really")

    with pytest.raises(DatasetError, match="not a readable zip"):
        read_movielens(str(path), cache_dir=tmp_path)


@pytest.mark.parametrize(
    ("title", "readable"),
    [
        ("Matrix, The (1999)", "The Matrix (1999)"),
        ("Toy Story (1995)", "Toy Story (1995)"),
        ("Good, the Bad and the Ugly, The (1966)", "The Good, the Bad and the Ugly (1966)"),
        (
            "City of Lost Children, The (Cité des enfants perdus, La) (1995)",
            "The City of Lost Children (Cité des enfants perdus, La) (1995)",
        ),
        ("Me, Myself & Irene (2000)", "Me, Myself & Irene (2000)"),
        ("Avventura, L' (Adventure, The) (1960)", "L'Avventura (Adventure, The) (1960)"),
        (" Untitled ", "Untitled"),
    ],
)
def test_titles_read_as_people_say_them(title: str, readable: str) -> None:
    assert readable_title(title) == readable
