"""Segments, Parquet files, compaction and retention, without a server."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import msgspec
import pytest

from emulator.app_insights import queries
from emulator.app_insights.errors import QueryCancelled, QueryTooLarge, StoreError
from emulator.app_insights.layout import Compaction, Layout
from emulator.app_insights.queries import Queries, QueryRun
from emulator.app_insights.store import Store, StoreSettings

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
COUNT = "AppRequests | summarize rows = count(), names = dcount(Name)"


def line(name: str, time: datetime = NOON) -> bytes:
    row = {"Type": "AppRequests", "TimeGenerated": f"{time:%Y-%m-%d %H:%M:%S}", "Name": name}
    return msgspec.json.encode(row) + b"\n"


def counts(store: Store, timespan: str | None = None) -> tuple[int, int]:
    rows, names = Queries(store).answer(COUNT, timespan).rows[0]
    return rows, names


def written_store(data: Path, n_segments: int, **settings: int) -> Store:
    store = Store(data, StoreSettings(**settings))  # type: ignore[arg-type]
    for n in range(n_segments):
        store.append([line(f"n{n}"), line(f"m{n}", NOON + timedelta(hours=1))])
        store.flush()
    return store


def test_rows_are_seen_before_and_after_they_are_parquet(tmp_path: Path) -> None:
    store = Store(tmp_path, StoreSettings())
    store.append([line("a")])
    before = counts(store)
    store.flush()

    assert (before, counts(store)) == ((1, 1), (1, 1))
    assert [path.parent.name for path in tmp_path.rglob("*.parquet")] == ["2026-11-22T12"]


def test_small_files_of_an_hour_become_one(tmp_path: Path) -> None:
    store = written_store(tmp_path, 9, compact_files=8)

    store.maintain(NOON)

    assert counts(store) == (18, 18)
    assert sorted(path.stem for path in tmp_path.rglob("*.parquet")) == ["00000001-00000009"] * 2


def test_compaction_that_is_cut_off_leaves_each_row_once(tmp_path: Path) -> None:
    """At its worst moment: the output is there, and so are the inputs."""
    store = written_store(tmp_path, 3, compact_files=99)
    store.close()
    layout = Layout(tmp_path)
    partition = layout.partition("AppRequests", NOON)
    inputs = sorted(partition.glob("*.parquet"))
    output = partition / "00000001-00000003.parquet"
    with duckdb.connect() as database:
        database.execute(f"COPY (FROM read_parquet('{partition}/*.parquet')) TO '{output}'")
    names = [str(path.relative_to(tmp_path)) for path in (output, *inputs)]
    layout.write_compaction(Compaction(output=names[0], inputs=names[1:]))

    again = Store(tmp_path, StoreSettings())

    assert counts(again) == (6, 6)
    assert list(partition.iterdir()) == [output]


def test_compaction_that_had_no_output_yet_is_forgotten(tmp_path: Path) -> None:
    written_store(tmp_path, 2).close()
    layout = Layout(tmp_path)
    partition = layout.partition("AppRequests", NOON)
    inputs = [str(path.relative_to(tmp_path)) for path in partition.iterdir()]
    layout.write_compaction(Compaction(output="tables/AppRequests/2026-11-22T12/x.parquet", inputs=inputs))
    (partition / "00000001-00000002.draft").write_bytes(b"half")

    assert counts(Store(tmp_path, StoreSettings())) == (4, 4)
    assert not list(tmp_path.rglob("*.draft"))


def test_hours_older_than_the_retention_are_dropped(tmp_path: Path) -> None:
    store = written_store(tmp_path, 1, retention_days=1)

    store.maintain(NOON + timedelta(hours=25))

    assert counts(store) == (1, 1)
    assert [path.parent.name for path in tmp_path.rglob("*.parquet")] == ["2026-11-22T13"]


@pytest.mark.parametrize(
    ("timespan", "n"),
    [
        ("2026-11-22T12:00:00Z/2026-11-22T13:00:00Z", 1),
        ("2026-11-22T12:00:00Z/PT1H0M1S", 2),
        ("PT2H/2026-11-22T13:00:00+00:00", 1),
        ("2026-11-22T14:00:00Z/P1D", 0),
        ("P36500D", 2),
        (None, 2),
    ],
)
def test_timespan_bounds_every_table(tmp_path: Path, timespan: str | None, n: int) -> None:
    store = written_store(tmp_path, 1)
    store.append([line("in the journal", NOON - timedelta(hours=2))])

    expected = n + (timespan is None or timespan == "P36500D")
    assert counts(store, timespan)[0] == expected


def test_query_starts_again_when_its_files_are_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = written_store(tmp_path, 9, compact_files=8)
    taken = store.snapshot

    def outdated(since: datetime | None, until: datetime | None) -> object:
        snapshot = taken(since, until)
        monkeypatch.setattr(store, "snapshot", taken)
        store.maintain(NOON)
        return snapshot

    monkeypatch.setattr(store, "snapshot", outdated)

    assert counts(store) == (18, 18)


def test_failing_flush_leaves_the_rows_in_the_journal(tmp_path: Path) -> None:
    store = Store(tmp_path, StoreSettings())
    store.append([line("a")])
    (tmp_path / "tables" / "AppRequests").write_text("in the way")

    with pytest.raises(OSError, match="AppRequests"):
        store.flush()

    assert counts(store) == (1, 1)
    (tmp_path / "tables" / "AppRequests").unlink()
    store.flush()
    assert counts(store) == (1, 1)


def test_line_that_is_no_row_does_not_keep_the_others_from_parquet(tmp_path: Path) -> None:
    store = Store(tmp_path, StoreSettings())
    store.append(
        [line("a"), b'{"Type": "AppRequests", "Name": "\\ud800"}\n', b'{"Type": "Shoes"}\n', line("b")]
    )

    store.flush()

    assert counts(store) == (2, 2)
    assert not list(tmp_path.glob("journal/*"))


def test_compaction_whose_inputs_could_not_be_removed_is_finished_before_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = written_store(tmp_path, 3, compact_files=3)
    unlink = Path.unlink

    def refuse(path: Path, missing_ok: bool = False) -> None:
        if path.suffix == ".parquet":
            raise PermissionError(f"{path} is held open")
        unlink(path, missing_ok=missing_ok)

    monkeypatch.setattr(Path, "unlink", refuse)
    with pytest.raises(PermissionError):
        store.maintain(NOON)
    monkeypatch.setattr(Path, "unlink", unlink)
    store.maintain(NOON)
    store.close()

    assert counts(Store(tmp_path, StoreSettings())) == (6, 6)
    assert sorted(path.stem for path in tmp_path.rglob("*.parquet")) == ["00000001-00000003"] * 2


def test_file_that_no_emulator_has_written_is_told(tmp_path: Path) -> None:
    folder = tmp_path / "tables" / "AppRequests" / "2026-11-22T12"
    folder.mkdir(parents=True)
    (folder / "mine.parquet").write_bytes(b"PAR1 - - - - PAR1")

    with pytest.raises(StoreError, match="holds a file that no emulator has written"):
        Store(tmp_path, StoreSettings())


def test_volume_is_told_while_files_go(tmp_path: Path) -> None:
    store = written_store(tmp_path, 1)
    for path in tmp_path.rglob("*.parquet"):
        path.unlink()

    assert store.volume()["AppRequests"] == (0, 0)


def test_answer_over_the_limit_of_bytes_is_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queries, "MAX_BYTES", 1_000_000)
    ask = "range x from 1 to 300000 step 1 | project x, text = 'ten bytes.'"

    answer = Queries(Store(tmp_path, StoreSettings())).answer(ask, None)

    assert answer.is_cut
    assert 0 < len(answer.rows) < 300_000


def test_query_that_needs_more_than_its_memory_is_ended_and_the_store_goes_on(tmp_path: Path) -> None:
    store = Store(tmp_path, StoreSettings(memory_limit="100MB", spill_limit="1MB"))
    store.append([line("a")])
    greedy = (
        "range x from 1 to 6000000 step 1 | summarize texts = make_list(strcat('text that takes memory ', x)) "
        "| project array_length(texts)"
    )

    with pytest.raises(QueryTooLarge, match="needs more memory than it may have"):
        Queries(store).answer(greedy, None)

    assert counts(store) == (1, 1)


def test_query_that_was_cancelled_before_it_began_does_not_begin(tmp_path: Path) -> None:
    run = QueryRun()
    run.cancel()

    with pytest.raises(QueryCancelled):
        Queries(Store(tmp_path, StoreSettings())).answer("print 1", None, run=run)
