"""Keys of bags as columns: the same answers, whatever a file has columns for."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import msgspec
import pytest

from emulator.app_insights.bags import MAX_KEYS, Key
from emulator.app_insights.queries import Queries
from emulator.app_insights.store import Store, StoreSettings

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
PHASE, PROCESS = Key("Properties", "phase"), Key("Properties", "a.process")
MS, SIZE = Key("Measurements", "ms"), Key("Measurements", "size")
BAGS: list[tuple[Mapping[str, object] | None, Mapping[str, object] | None]] = [
    ({"phase": "request", "a.process": "p1"}, {"ms": 1.5, "size": 8.0}),
    ({"phase": "request"}, {"ms": 2.25}),
    ({"phase": "phase", "rare": "x"}, {}),
    ({}, {"size": 4.0, "ms": None}),
    (None, None),
    ({"it's": "odd", 'q"': "odd", "phase": ""}, {"ms": -0.125}),
]
QUESTIONS = [
    "T | order by Name asc | project Name, Properties, Measurements",
    "T | where tostring(Properties['phase']) == 'request' | summarize n = count(), ms = sum(todouble(Measurements.ms))",
    "T | summarize n = count() by p = tostring(Properties.phase) | order by p asc",
    "T | summarize count() by tostring(Properties.phase) | order by Properties_phase asc",
    "T | extend p = tostring(Properties['a.process']), s = todouble(Measurements['size']) | order by Name asc "
    "| project Name, p, s, isempty(p), isnull(s)",
    "T | where todouble(Measurements.ms) > 1 | order by Name asc",
    "T | where tostring(Properties.phase) == 'request' | summarize arg_max(TimeGenerated, *)",
    "T | where tostring(Properties.phase) != '' | count",
    "T | where tostring(Properties.phase) == 'request' | distinct Name | order by Name asc",
    "T | extend Properties = Measurements | extend s = tostring(Properties.size) | order by Name asc | project s",
    "T | project Properties = Measurements, Name | order by Name asc | project s = tostring(Properties.size)",
    "T | where tostring(Properties.phase) == 'request' | join kind=inner (T | project Name, Measurements) on Name "
    "| order by Name asc | project Name, m = todouble(Measurements1.ms), k = tostring(Properties.phase)",
    "let t = T | where tostring(Properties.phase) == 'request'; t | union (t | where todouble(Measurements.ms) > 2) "
    "| order by Name asc | project Name, todouble(Measurements.ms)",
    "T | where todouble(Measurements.ms) > toscalar(T | summarize min(todouble(Measurements.ms))) | count",
    "T | where Properties has 'odd' | project Properties, x = tostring(Properties[\"it's\"])",
    "T | where todouble(Measurements.ms) == 1.5 and todouble(Measurements.MS) == 1.5 | count",
    "union withsource=t (T | where tostring(Properties.phase) == 'phase'), (AppEvents) | project t, Name",
    "T | getschema | count",
]


def line(n: int, properties: object, measurements: object) -> bytes:
    row = {"Type": "AppRequests", "TimeGenerated": f"{NOON:%Y-%m-%d %H:%M}:{n:02}", "Name": f"n{n}"}
    bags = {"Properties": properties, "Measurements": measurements}
    return msgspec.json.encode(row | {name: bag for name, bag in bags.items() if bag is not None}) + b"\n"


def lines() -> list[bytes]:
    return [line(n, *bags) for n, bags in enumerate(BAGS)]


def ask(store: Store, question: str) -> list[tuple[object, ...]]:
    return list(Queries(store).answer(question.replace("T |", "AppRequests |"), None).rows)


def keys_of(store: Store) -> list[frozenset[Key]]:
    return list(store.keys_of(store.snapshot(None, None).files["AppRequests"]).values())


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Rows that have no columns for keys: what the others are held against."""
    store = Store(tmp_path_factory.mktemp("journal"), StoreSettings())
    store.append(lines())
    return store


@pytest.fixture(scope="module")
def one_file(tmp_path_factory: pytest.TempPathFactory) -> Store:
    store = Store(tmp_path_factory.mktemp("one"), StoreSettings())
    store.append(lines())
    store.flush()
    return store


@pytest.fixture(scope="module")
def file_each(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A file a row, so that files differ in their columns; the last is in the journal."""
    store = Store(tmp_path_factory.mktemp("each"), StoreSettings())
    for each in lines()[:-1]:
        store.append([each])
        store.flush()
    store.append(lines()[-1:])
    return store


@pytest.fixture(scope="module")
def compacted(tmp_path_factory: pytest.TempPathFactory) -> Store:
    store = Store(tmp_path_factory.mktemp("compacted"), StoreSettings(compact_files=2))
    for each in lines():
        store.append([each])
        store.flush()
    store.maintain(NOON)
    return store


@pytest.fixture(scope="module")
def file_of_old(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A file whose bags are JSON only beside one that has columns."""
    data = tmp_path_factory.mktemp("old")
    store = Store(data, StoreSettings())
    store.append(lines()[:3])
    store.flush()
    store.close()
    [path] = data.rglob("*.parquet")
    bags = [
        (n, *(bag and msgspec.json.encode(bag).decode() for bag in of_row)) for n, of_row in enumerate(BAGS)
    ]
    with duckdb.connect() as database:
        database.execute("CREATE TABLE bags (n INTEGER, p JSON, m JSON)")
        database.executemany("INSERT INTO bags VALUES (?, ?, ?)", bags)
        database.execute(f"CREATE TABLE rows AS SELECT COLUMNS(lambda c: NOT contains(c, '.')) FROM '{path}'")
        old = "SELECT rows.* REPLACE (p AS Properties, m AS Measurements) FROM rows JOIN bags ON Name = 'n' || n"
        database.execute(f"COPY ({old}) TO '{path.with_name('draft')}' (FORMAT parquet)")
    path.with_name("draft").replace(path)
    store = Store(data, StoreSettings())
    store.append(lines()[3:])
    store.flush()
    return store


@pytest.mark.parametrize("question", QUESTIONS)
@pytest.mark.parametrize("kept", ["one_file", "file_each", "compacted", "file_of_old"])
def test_answers_are_those_of_the_bags_themselves(
    request: pytest.FixtureRequest, journal: Store, kept: str, question: str
) -> None:
    expected = ask(journal, question)

    assert _read(ask(request.getfixturevalue(kept), question)) == _read(expected)


def _read(rows: list[tuple[object, ...]]) -> list[list[object]]:
    """Rows with bags as what they mean: neither the order of keys nor a key without a value counts."""

    def value(cell: object) -> object:
        if not isinstance(cell, str) or not cell.startswith("{"):
            return cell
        return {key: held for key, held in msgspec.json.decode(cell).items() if held is not None}

    return [[value(cell) for cell in row] for row in rows]


def test_stores_differ_in_the_columns_of_their_files(
    one_file: Store, file_each: Store, compacted: Store, file_of_old: Store
) -> None:
    all_keys = {PHASE, PROCESS, MS, SIZE, Key("Properties", "rare")}  # not those that need quoting

    assert keys_of(one_file) == keys_of(compacted) == [all_keys]
    assert keys_of(file_each)[:2] == [{PHASE, PROCESS, MS, SIZE}, {PHASE, MS}]
    assert keys_of(file_of_old)[0] == frozenset()


def test_numbers_are_moved_out_of_the_bag_and_text_is_copied(one_file: Store) -> None:
    [path] = one_file.snapshot(None, None).files["AppRequests"]

    with duckdb.connect() as database:
        first = database.execute(
            f"""SELECT Measurements, "Measurements.ms", Properties, "Properties.phase" FROM '{path}' ORDER BY Name"""
        ).fetchone()

    assert first == ("{}", 1.5, '{"phase":"request","a.process":"p1"}', "request")


def learned(data: Path, rows: list[tuple[object, object]]) -> frozenset[Key]:
    store = Store(data, StoreSettings())
    store.append(line(n % 60, *bags) for n, bags in enumerate(rows))
    store.flush()
    return keys_of(store)[0]


def test_key_of_more_than_one_type_stays_in_its_bag(tmp_path: Path) -> None:
    rows: list[tuple[object, object]] = [
        ({"a": "x", "b": "y"}, {"c": 1.5, "d": 2.5}),
        ({"a": 1}, {"c": "NaN"}),
    ]

    assert learned(tmp_path, rows) == {Key("Properties", "b"), Key("Measurements", "d")}


def test_text_that_never_repeats_stays_in_its_bag(tmp_path: Path) -> None:
    assert learned(tmp_path, [({"id": f"{n}", "phase": "a"}, {}) for n in range(500)]) == {PHASE}


def test_keys_that_differ_in_case_alone_stay_in_their_bag(tmp_path: Path) -> None:
    assert learned(tmp_path, [({"Phase": "b", "phase": "a"}, {"ms": 1.5})]) == {MS}


def test_sender_of_a_million_keys_gets_no_million_columns(tmp_path: Path) -> None:
    rows: list[tuple[object, object]] = [({}, {"ms": 1.5, f"k{n}": 1.5}) for n in range(3 * MAX_KEYS)]

    keys = learned(tmp_path, rows)

    assert len(keys) == MAX_KEYS
    assert MS in keys


def test_bag_that_is_no_object_is_kept(tmp_path: Path) -> None:
    store = Store(tmp_path, StoreSettings())
    store.append([line(0, [1], [2]), line(1, "text", {"ms": 1.5})])
    store.flush()

    assert ask(store, QUESTIONS[0]) == [("n0", "[1]", "[2]"), ("n1", '"text"', '{"ms":1.5}')]
