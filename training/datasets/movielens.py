"""MovieLens: a release as a directory, a zip or a name to download."""

import re
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import ClassVar

import polars as pl
import pooch

from training.datasets.dataset import Dataset, DatasetError
from training.datasets.files import (
    bad_cell,
    digest,
    first_bytes,
    read_columns,
    require_columns,
    scan_csv,
    unreadable,
    without_blank_end,
)

BASE_URL = "https://files.grouplens.org/datasets/movielens"
RELEASES = {
    "ml-latest-small": "sha256:696d65a3dfceac7c45750ad32df2c259311949efec81f0f144fdfb91ebc9e436",
    "ml-1m": "md5:c4d9eecfca2ab87c1945afe126590906",
    "ml-32m": "md5:d472be332d4daa821edc399621853b57",
}
"Digests of the zips that GroupLens serves; of `ml-latest-small`, the release of September 2018."

RATING_COLUMNS = ("userId", "movieId", "timestamp")
ARTICLE = re.compile(
    r"^(?P<name>[^(]+?), (?P<article>The|An?|Les?|La|L'|El|Los|Il|Das|Die|Der)(?P<rest>( \(.*)?)$"
)
YEAR = re.compile(r"\((\d{4})\)\s*$")


class MovieLens:
    """Ratings of films; what somebody rated is what they took."""

    kind: ClassVar[str] = "movielens"
    accepts: ClassVar[str] = (
        f"a MovieLens release as a directory or zip, or its name to download it: {', '.join(RELEASES)}"
    )

    def __init__(self, *, cache_dir: Path, base_url: str = BASE_URL) -> None:
        self.cache_dir, self.base_url = cache_dir, base_url

    def recognises(self, source: str) -> bool:
        path = Path(source)
        if path.is_dir():
            return _ratings_file(path) is not None
        if path.is_file():
            return first_bytes(path, 2) == b"PK" or path.suffix.lower() == ".zip"
        return source in RELEASES

    def read(self, source: str) -> Dataset:
        return read_movielens(source, cache_dir=self.cache_dir, base_url=self.base_url)


def read_movielens(source: str, *, cache_dir: Path, base_url: str = BASE_URL) -> Dataset:
    """Read a MovieLens release.

    Args:
        source: a directory, a zip file, or the name of a release to download.
        cache_dir: keeps what was downloaded, and for a moment what a zip holds.
        base_url: where releases are downloaded from.

    Raises:
        DatasetError: nothing readable is there; the message names file, row and remedy.
    """
    path = Path(source)
    if not path.exists():
        if source not in RELEASES:
            raise DatasetError(
                f"{source!r} is neither a file, nor a directory, nor a release I know; "
                f"releases are {', '.join(RELEASES)}"
            )
        path = _download(source, cache_dir, base_url)
    if path.is_dir():
        return _read_release(path, place=path)
    with _unzipped(path, cache_dir) as directory:
        return _read_release(directory, place=path)


def _read_release(directory: Path, *, place: Path) -> Dataset:
    ratings = _ratings_file(directory)
    if ratings is None:
        raise DatasetError(f"{place} holds no ratings.csv or ratings.dat; is it a MovieLens release?")
    movies = ratings.with_stem("movies")
    if not movies.exists():
        raise DatasetError(f"{place} holds {ratings.name} but no {movies.name}; titles come from there")
    readme = next(
        (file for file in sorted(directory.iterdir()) if file.name.lower().startswith("readme")), None
    )
    return Dataset(
        name=place.name.removesuffix(".zip"),
        source="https://grouplens.org/datasets/movielens/",
        licence="MovieLens terms: research, non-commercial; redistribution under the same terms",
        terms=readme.read_text(encoding="utf-8", errors="replace") if readme else "",
        interactions=_read_ratings(ratings),
        items=_read_items(movies),
        sha256=digest(ratings),
    )


def _ratings_file(directory: Path) -> Path | None:
    paths = (directory / "ratings.csv", directory / "ratings.dat")
    return next((path for path in paths if path.is_file()), None)


def _download(name: str, cache_dir: Path, base_url: str) -> Path:
    try:
        found = pooch.retrieve(
            f"{base_url}/{name}.zip",
            known_hash=RELEASES[name],
            fname=f"{name}.zip",
            path=cache_dir,
            progressbar=False,
        )
    except Exception as err:  # pooch passes on what requests raises
        raise DatasetError(f"cannot download {name}: {err}; download it by hand and pass the file") from err
    return Path(found)


@contextmanager
def _unzipped(path: Path, cache_dir: Path) -> Iterator[Path]:
    """The wanted files of a zip as files: the 32 million ratings are read from disk, not held twice."""
    cache_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".unzipped-", dir=cache_dir) as directory:
        try:
            with zipfile.ZipFile(path) as archive:
                for member in archive.infolist():
                    member.filename = PurePosixPath(member.filename).name
                    if member.filename.lower().startswith(("ratings.", "movies.", "readme")):
                        archive.extract(member, directory)
        except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError) as err:
            raise DatasetError(f"{path} is not a readable zip file: {err}") from err
        except OSError as err:
            raise DatasetError(f"{path} cannot be unpacked into {cache_dir}: {err}") from err
        yield Path(directory)


def _read_ratings(path: Path) -> pl.DataFrame:
    try:
        # Of the millions of rows in a CSV file only the wanted columns are parsed.
        options = pl.QueryOptFlags(projection_pushdown=path.suffix == ".csv")
        frame = without_blank_end(
            _scan_ratings(path, pl.Int64).collect(engine="streaming", optimizations=options)
        )
    except pl.exceptions.PolarsError as err:
        raise _bad_rating(path) or unreadable(path, err) from err
    if frame.is_empty():
        raise DatasetError(f"{path.name} holds no ratings")
    if sum(frame.null_count().row(0)) and (bad := _bad_rating(path)):
        raise bad
    return frame.rename(dict(zip(RATING_COLUMNS, ("user_id", "item_id", "timestamp"), strict=True)))


def _scan_ratings(path: Path, dtype: type[pl.DataType]) -> pl.LazyFrame:
    """The wanted columns, typed as they are parsed."""
    if path.suffix == ".csv":
        frame = scan_csv(path, dict.fromkeys(RATING_COLUMNS, dtype))
        require_columns(frame, path, RATING_COLUMNS)
        return frame.select(RATING_COLUMNS)
    # MovieLens 1M's own format has `::` between fields; read as `:`, every second field is empty.
    names = ("userId", "", "movieId", " ", "rating", "  ", "timestamp")
    types = {name: dtype if name in RATING_COLUMNS else pl.String for name in names}
    return pl.scan_csv(
        path, separator=":", has_header=False, quote_char=None, schema=types, glob=False
    ).select(RATING_COLUMNS)


def _bad_rating(path: Path) -> DatasetError | None:
    """Search, once it is known that something is wrong, for the row and column where."""
    if path.suffix == ".dat":
        _read_dat(path, ("userId", "movieId", "rating", "timestamp"))  # refuses a row of another length
    try:
        rows = _scan_ratings(path, pl.String).with_row_index("row")
        for column in RATING_COLUMNS:
            is_bad = pl.col(column).cast(pl.Int64, strict=False).is_null()
            found = rows.filter(is_bad).select("row", column).head(1).collect(engine="streaming")
            if found.height:
                row, value = found.row(0)
                return bad_cell(path, row, column, value, "is not an integer" if value else "is missing")
    except pl.exceptions.PolarsError as err:
        return unreadable(path, err)
    return None


def _read_items(path: Path) -> pl.DataFrame:
    columns = ("movieId", "title", "genres")
    frame = _read_dat(path, columns) if path.suffix == ".dat" else read_columns(path, columns)
    item_ids = frame["movieId"].cast(pl.Int64, strict=False)
    for column, is_bad in (("movieId", item_ids.is_null()), ("title", frame["title"].is_null())):
        if is_bad.any():
            row = is_bad.arg_max() or 0
            problem = "is missing" if frame[column][row] is None else "is not an integer"
            raise bad_cell(path, row, column, frame[column][row], problem)
    titles = frame["title"].to_list()
    return pl.DataFrame(
        {
            "item_id": item_ids,
            "title": [readable_title(title) for title in titles],
            "year": [int(found[1]) if (found := YEAR.search(title)) else None for title in titles],
            "genres": [
                [] if genres in (None, "(no genres listed)") else genres.split("|")
                for genres in frame["genres"]
            ],
        },
        schema_overrides={"year": pl.Int32, "genres": pl.List(pl.String)},
    )


def _read_dat(path: Path, columns: tuple[str, ...]) -> pl.DataFrame:
    """MovieLens 1M's films: `::` between fields, Latin-1, no header."""
    rows = [line.split("::") for line in path.read_text(encoding="latin-1").splitlines() if line]
    for number, row in enumerate(rows, start=1):
        if len(row) != len(columns):
            raise DatasetError(f"{path.name}, row {number}: {len(row)} fields, not {len(columns)}: {row!r}")
    return pl.DataFrame(rows, schema=dict.fromkeys(columns, pl.String), orient="row")


def readable_title(title: str) -> str:
    """A title as people say it: "Matrix, The (1999)" becomes "The Matrix (1999)"."""
    found = ARTICLE.match(title.strip())
    if not found:
        return title.strip()
    gap = "" if found["article"].endswith("'") else " "
    return f"{found['article']}{gap}{found['name']}{found['rest']}"
