"""The user's own tables: what is read, and what is refused with which words."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.datasets import Dataset, DatasetError, read_dataset
from training.datasets.columns import EARLIEST_S, LATEST_S, read_ids, read_times_us
from training.datasets.files import read_columns
from training.sequences import read_sequences

INTERACTIONS = "user_id,item_id,timestamp\nann,10,1700000000\nann,11,1700000060\nbob,10,1700000120\n"
ITEMS = "item_id,title,year,genres\n10,Tea,1999,Drinks|Hot\n11,Milk,,\n"


class Tables:
    """Writes tables into a directory and reads them as a dataset."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def write(self, name: str, content: str | bytes | pl.DataFrame) -> Path:
        path = self.directory / name
        if isinstance(content, pl.DataFrame):
            content.write_parquet(path)
        else:
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def read(
        self,
        interactions: str | bytes | pl.DataFrame = INTERACTIONS,
        items: str | bytes | pl.DataFrame | None = ITEMS,
    ) -> Dataset:
        path = self.write(f"interactions.{_suffix(interactions)}", interactions)
        return read_dataset(
            str(path),
            items=None if items is None else self.write(f"items.{_suffix(items)}", items),
            cache_dir=self.directory,
        )


def _suffix(content: object) -> str:
    return "parquet" if isinstance(content, pl.DataFrame) else "csv"


@pytest.fixture
def tables(tmp_path: Path) -> Tables:
    return Tables(tmp_path)


def test_two_csv_files_make_a_dataset(tables: Tables) -> None:
    dataset = tables.read()

    assert dataset.interactions.rows() == [
        ("ann", 10, 1_700_000_000),
        ("ann", 11, 1_700_000_060),
        ("bob", 10, 1_700_000_120),
    ]
    assert dataset.items.rows() == [(10, "Tea", 1999, ["Drinks", "Hot"]), (11, "Milk", None, [])]
    assert (dataset.name, dataset.allow_repeats) == ("interactions", False)


def test_parquet_files_make_the_same_dataset(tables: Tables) -> None:
    from_csv = tables.read()
    interactions = from_csv.interactions.with_columns(pl.from_epoch("timestamp").cast(pl.Datetime("ns")))
    from_parquet = tables.read(interactions, from_csv.items)

    assert from_parquet.interactions.equals(from_csv.interactions)
    assert from_parquet.items.equals(from_csv.items)


def test_other_columns_and_their_order_do_not_matter(tables: Tables) -> None:
    swapped = "price,timestamp,item_id,user_id\n1.5,5,10,ann\n,6,11,bob\n"

    assert tables.read(swapped).interactions.rows() == [("ann", 10, 5), ("bob", 11, 6)]


def test_without_an_items_file_items_are_called_by_their_ids(tables: Tables) -> None:
    assert tables.read(items=None).items.rows() == [(10, "Item 10", None, []), (11, "Item 11", None, [])]


def test_rows_come_in_the_order_of_time_and_ties_in_that_of_the_file(tables: Tables) -> None:
    rows = ["ann,4,7.9", "ann,3,7.2", "ann,1,5", "ann,2,5", "ann,5,8"]
    dataset = tables.read("user_id,item_id,timestamp\n" + "\n".join(rows), items=None)

    assert dataset.interactions["item_id"].to_list() == [1, 2, 3, 4, 5]
    assert dataset.interactions["timestamp"].to_list() == [5, 5, 7, 7, 8]


@pytest.mark.parametrize("end", ["", "\n", "\n\n", "\r\n\r\n\r\n"])
def test_blank_lines_at_the_end_are_nothing(tables: Tables, end: str) -> None:
    assert tables.read(INTERACTIONS.rstrip() + end).interactions.height == 3


def test_repeats_can_be_allowed(tables: Tables, tmp_path: Path) -> None:
    path = tables.write("shop.csv", INTERACTIONS)

    assert read_dataset(str(path), allow_repeats=True, cache_dir=tmp_path).allow_repeats


@pytest.mark.parametrize(
    "written",
    [
        "1483265096",
        "1483265096.0",
        "2017-01-01T10:04:56",
        "2017-01-01 10:04:56",
        "2017-01-01T10:04:56Z",
        "2017-01-01 10:04:56+00:00",
        "2017-01-01T12:04:56.000+02:00",
        "2016-12-31T23:04:56-1100",
        "2016-W52-7T10:04:56",
        "20170101T100456Z",
    ],
)
def test_one_moment_written_in_many_ways(tables: Tables, written: str) -> None:
    dataset = tables.read(f"user_id,item_id,timestamp\nann,10,{written}\nbob,11,5\n", items=None)

    assert dataset.interactions["timestamp"].to_list() == [5, 1_483_265_096]


def test_a_date_is_its_midnight(tables: Tables) -> None:
    days = pl.DataFrame({"user_id": [1], "item_id": [2], "timestamp": [date(2017, 1, 1)]})
    text = "user_id,item_id,timestamp\n1,2,2017-01-01\n"

    assert tables.read(days, None).interactions.rows() == [(1, 2, 1_483_228_800)]
    assert tables.read(text, None).interactions.rows() == [(1, 2, 1_483_228_800)]


@pytest.mark.parametrize("dtype", [pl.Int8, pl.UInt16, pl.Int32, pl.UInt64, pl.Float32, pl.Decimal(9, 2)])
def test_positions_of_any_number_type_are_times(tables: Tables, dtype: pl.DataType) -> None:
    frame = pl.DataFrame({"user_id": [1, 1], "item_id": [2, 3], "timestamp": pl.Series([9, 5]).cast(dtype)})

    assert tables.read(frame, None).interactions.rows() == [(1, 3, 5), (1, 2, 9)]


def test_parquet_times_with_a_zone_are_moments(tables: Tables) -> None:
    berlin = datetime(2017, 1, 1, 11, 4, 56, tzinfo=timezone(timedelta(hours=1)))
    frame = pl.DataFrame(
        {"user_id": [1], "item_id": [2], "timestamp": pl.Series([berlin]).dt.convert_time_zone("Asia/Tokyo")}
    )

    assert tables.read(frame, None).interactions["timestamp"].to_list() == [1_483_265_096]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("ann,11,5\n\nbob,11,5", "row 3, column user_id: the value is missing"),
        ("ann,11,yesterday", "row 2, column timestamp: 'yesterday' is neither Unix seconds nor an ISO 8601"),
        ("ann,11,2017-02-30", "row 2, column timestamp: '2017-02-30' is neither"),
        ("ann,11,nan", "row 2, column timestamp: 'nan' is no time in Unix seconds"),
        ("ann,11,1700000000000", r"row 2, column timestamp: '1700000000000' .* milliseconds must be divided"),
        ("ann,11,", "row 2, column timestamp: the value is missing"),
        ("ann,11", "row 2, column timestamp: the value is missing"),
        ("ann,,5", "row 2, column item_id: the value is missing"),
        ('"",11,5', "row 2, column user_id: the value is missing"),
        ("ann, 11,5", "row 2, column item_id: ' 11' has blanks around it"),
        ("ann,11,5,6", "row 2: 4 fields, but the header has 3"),
        ('"ann,11,5', "row 2: unexpected end of data; double quotes"),
        ('"an"n",11,5', "row 2: ',' expected after '\"'"),
    ],
)
def test_bad_row_of_a_csv_file_is_named(tables: Tables, row: str, said: str) -> None:
    with pytest.raises(DatasetError, match=rf"interactions\.csv, {said}"):
        tables.read(f"user_id,item_id,timestamp\nann,10,5\n{row}\nbob,10,7\n", items=None)


@pytest.mark.parametrize(
    ("column", "values", "said"),
    [
        ("timestamp", [5, None], "row 2, column timestamp: the value is missing"),
        ("timestamp", [5.0, float("nan")], "row 2, column timestamp: nan is no time in Unix seconds"),
        ("timestamp", [True, False], "column timestamp: times are .* type is Boolean"),
        ("user_id", ["ann", None], "row 2, column user_id: the value is missing"),
        ("item_id", [1.0, 2.0], "column item_id: ids are integers or text, but the column's type is Float64"),
        (
            "item_id",
            pl.Series([1, 2**64 - 1], dtype=pl.UInt64),
            "row 2, column item_id: 18446744073709551615 is",
        ),
        ("item_id", pl.Series([b"1", b"2"]), "column item_id: ids are .* Binary"),
    ],
)
def test_bad_column_of_a_parquet_file_is_named(
    tables: Tables, column: str, values: object, said: str
) -> None:
    frame = pl.DataFrame({"user_id": ["ann", "bob"], "item_id": [1, 2], "timestamp": [5, 6], column: values})

    with pytest.raises(DatasetError, match=rf"interactions\.parquet, {said}"):
        tables.read(frame, None)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", r"interactions\.csv is empty"),
        ("\n\n", r"interactions\.csv is empty"),
        ("user_id,item_id,timestamp\n", r"interactions\.csv holds no interactions"),
        (
            "user,item_id,time\n1,2,3\n",
            "lacks the columns user_id, timestamp; it needs .* has 'user', 'item_id', 'time'$",
        ),
        ("user_id;item_id;timestamp\n1;2;3\n", "lacks the columns .*; ';' stands between its fields"),
        (
            "user_id,item_id,timestamp\nzoë,2,3\n".encode("latin-1"),
            r"not UTF-8 \(byte 0xeb at offset 28\); .*Latin-1",
        ),
        ("user_id,item_id,timestamp\nzoë,2,3\n".encode("utf-16"), "not UTF-8 .* UTF-16"),
        ("user_id,item_id," + ",".join(f"c{i}" for i in range(40)) + "\n", "'c9' and 30 more$"),
    ],
)
def test_file_that_is_no_table_is_refused(tables: Tables, content: str | bytes, said: str) -> None:
    with pytest.raises(DatasetError, match=said):
        tables.read(content, items=None)


def test_quote_that_stands_alone_is_hinted_at(tables: Tables) -> None:
    with pytest.raises(DatasetError, match="perhaps one double quote stands alone in a row"):
        tables.read('user_id,item_id,timestamp\nan"n,10,5\nbob,11,6\n', items=None)


def test_byte_order_mark_of_excel_is_no_part_of_a_name(tables: Tables) -> None:
    assert tables.read(INTERACTIONS.encode("utf-8-sig")).interactions.height == 3


@pytest.mark.parametrize("content", [b"", b"PAR1 and then nothing"])
def test_damaged_parquet_file_is_refused(tables: Tables, content: bytes, tmp_path: Path) -> None:
    path = tables.write("interactions.parquet", content)

    with pytest.raises(DatasetError, match=r"interactions\.parquet is not a readable Parquet file"):
        read_dataset(str(path), cache_dir=tmp_path)


def test_parquet_file_cut_short_is_refused(tables: Tables, tmp_path: Path) -> None:
    path = tables.write("big.parquet", pl.DataFrame({"user_id": range(9999), "item_id": 1, "timestamp": 1}))
    path.write_bytes(path.read_bytes()[:-100])

    with pytest.raises(DatasetError, match="not a readable Parquet file"):
        read_dataset(str(path), cache_dir=tmp_path)


def test_items_file_that_is_not_there_is_named(tables: Tables, tmp_path: Path) -> None:
    path = tables.write("interactions.csv", INTERACTIONS)

    with pytest.raises(DatasetError, match=r"nowhere\.csv cannot be read: No such file"):
        read_dataset(str(path), items=tmp_path / "nowhere.csv", cache_dir=tmp_path)


@pytest.mark.parametrize(
    ("items", "said"),
    [
        (
            "item_id,title\n10,Tea\n",
            r"items\.csv lacks 1 of the 2 items in interactions\.csv, the first is 11;",
        ),
        ("item_id,title\n10,Tea\n11,Milk\n10,Tea\n", "rows 1 and 3: item 10 stands there twice"),
        ("item_id,title\n10,Tea\n11,\n", "row 2, column title: the value is missing"),
        ("item_id,name\n10,Tea\n", "lacks the column title; it needs the columns item_id, title and has"),
        ("item_id,title,year\n10,Tea,soon\n", "row 1, column year: 'soon' is not a year"),
        ("item_id,title,year\n10,Tea,19999\n", "row 1, column year: '19999' is not a year"),
        ("item_id,title\n10,Tea\n11,Milk, whole\n", "row 2: 3 fields, but the header has 2"),
        ("item_id,title\n", "holds no items"),
        ("", r"items\.csv is empty"),
    ],
)
def test_bad_items_file_is_refused(tables: Tables, items: str, said: str) -> None:
    with pytest.raises(DatasetError, match=said):
        tables.read(items=items)


def test_genres_of_a_wrong_type_are_refused(tables: Tables) -> None:
    items = pl.DataFrame({"item_id": [10, 11], "title": ["Tea", "Milk"], "genres": [1, 2]})

    with pytest.raises(DatasetError, match=r"items\.parquet, column genres: .* type is Int64"):
        tables.read(items=items)


def test_years_with_gaps_may_be_stored_as_floats(tables: Tables) -> None:
    items = pl.DataFrame({"item_id": [10, 11], "title": ["Tea", "Milk"], "year": [1999.0, None]})

    assert tables.read(items=items).items["year"].to_list() == [1999, None]


@pytest.mark.parametrize(
    ("ids", "said"),
    [
        ("1 1.0", "'1' and '1.0' are the same number"),
        ("7 A 007", "'7' and '007' are the same number"),
        ("a 5 +5", r"'5' and '\+5' are the same number"),
    ],
)
def test_one_number_written_in_two_ways_is_refused(tables: Tables, ids: str, said: str) -> None:
    rows = "".join(f"ann,{item},5\n" for item in ids.split())

    with pytest.raises(DatasetError, match=rf"interactions\.csv, column item_id: {said}"):
        tables.read("user_id,item_id,timestamp\n" + rows, items=None)


def test_numbers_of_a_csv_file_are_text_where_the_other_file_has_text(tables: Tables) -> None:
    dataset = tables.read(items="item_id,title\n10,Tea\n11,Milk\nA1,Cups\n")

    assert dataset.interactions["item_id"].to_list() == ["10", "11", "10"]
    assert dataset.items["item_id"].to_list() == ["10", "11", "A1"]


def test_same_number_written_otherwise_in_the_other_file_is_refused(tables: Tables) -> None:
    with pytest.raises(
        DatasetError, match=r"interactions\.csv and items\.csv, .* '10' and '010' are the same"
    ):
        tables.read(items="item_id,title\n010,Tea\n011,Milk\n")


@pytest.mark.parametrize("is_number_in_items", [True, False])
def test_parquet_number_and_text_are_different_ids(tables: Tables, is_number_in_items: bool) -> None:
    numbers, texts = pl.Series("item_id", [10, 11]), pl.Series("item_id", ["10", "11"])
    taken, described = (texts, numbers) if is_number_in_items else (numbers, texts)
    interactions = pl.DataFrame({"user_id": ["ann", "bob"], "timestamp": [1, 2]}).with_columns(taken)
    items = pl.DataFrame({"title": ["Tea", "Milk"]}).with_columns(described)

    with pytest.raises(DatasetError, match="10 and '10' are different ids"):
        tables.read(interactions, items)


def test_single_user_is_refused_when_sequences_are_read(tables: Tables) -> None:
    dataset = tables.read("user_id,item_id,timestamp\n" + "".join(f"1,{i},5\n" for i in range(9)), items=None)

    with pytest.raises(DatasetError, match=r"interactions has 1 user, .* more data is needed"):
        read_sequences(dataset)


Write = Callable[[pl.DataFrame, Path], object]
FORMATS = {"csv": pl.DataFrame.write_csv, "parquet": pl.DataFrame.write_parquet}
TEXT_IDS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1).filter(
    lambda t: t == t.strip()
)


def _written(directory: Path, column: pl.Series, form: str) -> tuple[pl.Series, Path]:
    path = directory / f"written.{form}"
    FORMATS[form](column.to_frame(), path)
    return read_columns(path, [column.name])[column.name], path


@pytest.mark.parametrize("form", FORMATS)
@settings(max_examples=60, deadline=None)
@given(ids=st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1))
def test_numbers_as_ids_come_back(
    form: str, ids: list[int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    assert (
        read_ids(*_written(tmp_path_factory.getbasetemp(), pl.Series("item_id", ids), form)).to_list() == ids
    )


@pytest.mark.parametrize("form", FORMATS)
@settings(max_examples=60, deadline=None)
@given(ids=st.lists(TEXT_IDS.map(lambda text: f"a{text}"), min_size=1))
def test_texts_as_ids_come_back(form: str, ids: list[str], tmp_path_factory: pytest.TempPathFactory) -> None:
    assert (
        read_ids(*_written(tmp_path_factory.getbasetemp(), pl.Series("item_id", ids), form)).to_list() == ids
    )


@settings(max_examples=60, deadline=None)
@given(
    moments=st.lists(
        st.datetimes(
            datetime(1, 1, 2),
            datetime(9999, 12, 30),
            timezones=st.integers(-14 * 60, 14 * 60).map(lambda m: timezone(timedelta(minutes=m)))
            | st.none(),
        ),
        min_size=1,
    ),
    separator=st.sampled_from("T "),
)
def test_iso_times_come_back(
    moments: list[datetime], separator: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    column = pl.Series("timestamp", [moment.isoformat(separator) for moment in moments])
    start = datetime(1970, 1, 1, tzinfo=UTC)
    aware = [moment if moment.tzinfo else moment.replace(tzinfo=UTC) for moment in moments]

    times_us = read_times_us(*_written(tmp_path_factory.getbasetemp(), column, "csv"))

    assert times_us.to_list() == [(moment - start) // timedelta(microseconds=1) for moment in aware]


@pytest.mark.parametrize("form", FORMATS)
@settings(max_examples=60, deadline=None)
@given(seconds=st.lists(st.integers(EARLIEST_S, LATEST_S), min_size=1))
def test_unix_seconds_come_back(
    form: str, seconds: list[int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    column = pl.Series("timestamp", seconds)
    times_us = read_times_us(*_written(tmp_path_factory.getbasetemp(), column, form))

    assert (times_us // 1_000_000).to_list() == seconds


def test_walk_through_of_the_documentation_works(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = (repository / "docs" / "bring-your-own-data.md").read_text()
    shop = page.partition("<!-- shop.py -->\n```python\n")[2].partition("```")[0]
    monkeypatch.chdir(tmp_path)
    exec(compile(shop, "shop.py", "exec"), {})

    dataset = read_dataset("interactions.csv", items=Path("items.csv"), cache_dir=tmp_path)
    sequences = read_sequences(dataset)

    assert (len(sequences.users), sequences.n_items) == (40, 10)
    assert dataset.items.row(0) == (1, "Espresso", None, ["Drinks"])
    for name in ("interactions.csv", "items.csv"):
        assert all(line in page for line in (tmp_path / name).read_text().splitlines()[:3])
