"""Where interactions come from: a MovieLens release, as a directory, a zip or a name to download."""

import hashlib
import re
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import polars as pl
import pooch

BASE_URL = "https://files.grouplens.org/datasets/movielens"
RELEASES = {
    "ml-latest-small": "sha256:696d65a3dfceac7c45750ad32df2c259311949efec81f0f144fdfb91ebc9e436",
    "ml-1m": "md5:c4d9eecfca2ab87c1945afe126590906",
    "ml-32m": "md5:d472be332d4daa821edc399621853b57",
}
"Digests of the zips that GroupLens serves; of `ml-latest-small`, the release of September 2018."

ARTICLE = re.compile(
    r"^(?P<name>[^(]+?), (?P<article>The|An?|Les?|La|L'|El|Los|Il|Das|Die|Der)(?P<rest>( \(.*)?)$"
)
YEAR = re.compile(r"\((\d{4})\)\s*$")


class DatasetError(Exception):
    """Data that cannot be trained on; the message names file, row and remedy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """Interactions as they were recorded, and what is known of the items."""

    name: str
    source: str
    licence: str
    terms: str
    "The licence's text, carried beside whatever is made from the data."
    interactions: pl.DataFrame
    "Columns user_id, item_id, timestamp (Unix seconds), in the order of the file."
    items: pl.DataFrame
    "Columns item_id, title, year, genres; one row an item."
    sha256: str
    "Digest of the interactions file."


def read_movielens(source: str, *, cache_dir: Path, base_url: str = BASE_URL) -> Dataset:
    """Read a MovieLens release.

    Args:
        source: a directory, a zip file, or the name of a release to download.
        cache_dir: keeps what was downloaded.
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
    files = _read_directory(path) if path.is_dir() else _read_zip(path)
    ratings_name = next((name for name in ("ratings.csv", "ratings.dat") if name in files), None)
    if ratings_name is None:
        raise DatasetError(f"{path} holds no ratings.csv or ratings.dat; is it a MovieLens release?")
    items_name = ratings_name.replace("ratings", "movies")
    if items_name not in files:
        raise DatasetError(f"{path} holds {ratings_name} but no {items_name}; titles come from there")
    readme = next((name for name in files if name.lower().startswith("readme")), None)
    return Dataset(
        name=path.name.removesuffix(".zip"),
        source="https://grouplens.org/datasets/movielens/",
        licence="MovieLens terms: research, non-commercial; redistribution under the same terms",
        terms=files[readme].decode("utf-8", errors="replace") if readme else "",
        interactions=_read_ratings(files[ratings_name], ratings_name),
        items=_read_items(files[items_name], items_name),
        sha256=hashlib.sha256(files[ratings_name]).hexdigest(),
    )


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


def _read_directory(path: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in path.iterdir() if _is_wanted(file.name)}


def _read_zip(path: Path) -> dict[str, bytes]:
    try:
        with zipfile.ZipFile(path) as archive:
            members = {PurePosixPath(name).name: name for name in archive.namelist()}
            return {name: archive.read(member) for name, member in members.items() if _is_wanted(name)}
    except (zipfile.BadZipFile, OSError) as err:
        raise DatasetError(f"{path} is not a readable zip file: {err}") from err


def _is_wanted(name: str) -> bool:
    return name.lower().startswith(("ratings.", "movies.", "readme"))


def _read_ratings(content: bytes, name: str) -> pl.DataFrame:
    if name.endswith(".dat"):
        frame = _read_dat(content, name, ["userId", "movieId", "rating", "timestamp"])
    else:
        frame = _read_csv(content, name, ["userId", "movieId", "timestamp"])
    columns = {"user_id": "userId", "item_id": "movieId", "timestamp": "timestamp"}
    for column in columns.values():
        numbers = frame[column].cast(pl.Int64, strict=False)
        if numbers.null_count():
            row = int(numbers.is_null().arg_max() or 0)
            raise DatasetError(
                f"{name}, row {row + 1}, column {column}: {frame[column][row]!r} is not an integer"
            )
    if frame.is_empty():
        raise DatasetError(f"{name} holds no ratings")
    return frame.select(pl.col(old).cast(pl.Int64).alias(new) for new, old in columns.items())


def _read_items(content: bytes, name: str) -> pl.DataFrame:
    columns = ["movieId", "title", "genres"]
    frame = (_read_dat if name.endswith(".dat") else _read_csv)(content, name, columns)
    titles = frame["title"].to_list()
    return pl.DataFrame(
        {
            "item_id": frame["movieId"].cast(pl.Int64),
            "title": [readable_title(title) for title in titles],
            "year": [int(found[1]) if (found := YEAR.search(title)) else None for title in titles],
            "genres": [
                [] if genres == "(no genres listed)" else genres.split("|") for genres in frame["genres"]
            ],
        },
        schema_overrides={"year": pl.Int32, "genres": pl.List(pl.String)},
    )


def _read_csv(content: bytes, name: str, columns: list[str]) -> pl.DataFrame:
    try:
        return pl.read_csv(content, columns=columns, infer_schema=False)
    except pl.exceptions.PolarsError as err:
        raise DatasetError(f"{name} cannot be read; it needs the columns {columns}: {err}") from err


def _read_dat(content: bytes, name: str, columns: list[str]) -> pl.DataFrame:
    """MovieLens 1M's own format: `::` between fields, Latin-1, no header."""
    rows = [line.split("::") for line in content.decode("latin-1").splitlines() if line]
    for number, row in enumerate(rows, start=1):
        if len(row) != len(columns):
            raise DatasetError(f"{name}, row {number}: {len(row)} fields, not {len(columns)}: {row!r}")
    return pl.DataFrame(rows, schema=dict.fromkeys(columns, pl.String), orient="row")


def readable_title(title: str) -> str:
    """A title as people say it: "Matrix, The (1999)" becomes "The Matrix (1999)"."""
    found = ARTICLE.match(title.strip())
    if not found:
        return title.strip()
    gap = "" if found["article"].endswith("'") else " "
    return f"{found['article']}{gap}{found['name']}{found['rest']}"
