"""Nothing that was acknowledged is lost, and nothing is there twice."""

import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.emulator.app_insights.emulator_process import EmulatorProcess, envelope

COUNT = "AppRequests | summarize rows = count(), names = dcount(Name)"
Start = Callable[..., EmulatorProcess]


def test_killed_emulator_has_every_acknowledged_row_again(start: Start) -> None:
    first = start()
    acknowledged: list[str] = []

    def send(n: int) -> None:
        try:
            if first.track(*(envelope(name=f"{n}-{i}") for i in range(20))).status_code == 200:
                acknowledged.extend(f"{n}-{i}" for i in range(20))
        except httpx.TransportError:
            pass

    with ThreadPoolExecutor(4) as senders:
        sending = [senders.submit(send, n) for n in range(200)]
        while len(acknowledged) < 1000:
            sending[0].result()
        first.process.kill()
    again = start()

    names = [name for [name] in again.rows("AppRequests | project Name")]
    assert len(acknowledged) < 4000
    assert set(acknowledged) <= set(names)
    assert len(names) == len(set(names))
    again.wait_for_parquet()


def test_restart_keeps_what_is_parquet_and_numbers_go_on(start: Start) -> None:
    first = start()
    first.track(envelope(name="a"))
    assert first.stop() == 0
    second = start()
    second.track(envelope(name="b"))
    assert second.stop() == 0

    third = start()

    assert third.rows(COUNT) == [[2, 2]]
    assert [path.stem for path in third.wait_for_parquet(2)] == ["00000001", "00000002"]


def test_torn_last_line_is_cut_off(start: Start) -> None:
    first = start()
    first.track(envelope(name="whole"))
    first.kill()
    [segment] = first.data.glob("journal/*.jsonl")
    with segment.open("ab") as file:
        file.write(b'{"Type": "AppRequests", "Name": "to')

    again = start()

    assert again.rows("AppRequests | project Name") == [["whole"]]
    assert again.log == ""


def test_crash_between_parquet_and_the_drop_of_its_segment_leaves_each_row_once(start: Start) -> None:
    first = start()
    first.track(envelope(name="once"))
    [segment] = first.data.glob("journal/*.jsonl")
    kept = segment.read_bytes()
    assert first.stop() == 0
    segment.write_bytes(kept)

    again = start()

    assert again.rows(COUNT) == [[1, 1]]


def test_damaged_parquet_file_is_set_aside_with_one_line(start: Start) -> None:
    first = start()
    first.track(envelope(name="gone"))
    first.stop()
    [path] = first.data.rglob("*.parquet")
    path.write_bytes(path.read_bytes()[:-20])

    again = start()

    assert again.rows(COUNT) == [[0, 0]]
    assert again.log.count("\n") == 1
    assert f"{path} is no whole Parquet file; it is set aside" in again.log


@pytest.mark.skipif(sys.platform == "win32", reason="no RLIMIT_FSIZE")
def test_full_disk_is_answered_503_and_what_was_acknowledged_stays(start: Start) -> None:
    limit_blocks = 64  # of 1 KiB: a segment cannot grow beyond
    full = start(prefix=("bash", "-c", f'ulimit -f {limit_blocks}; exec "$@"', "bash"))
    large = {"text": "x" * 10_000}

    statuses = [full.track(envelope(name=f"n{n}", properties=large)).status_code for n in range(10)]
    refused = full.track(*(envelope(name="refused", properties=large) for _ in range(20)))
    after = full.track(envelope(name="after"))

    assert refused.status_code == 503
    assert refused.headers["retry-after"] == "10"
    assert refused.json()["itemsAccepted"] == 0
    assert after.status_code == 200
    assert "the journal cannot be written: File too large" in full.log
    full.kill()
    names = [name for [name] in start().rows("AppRequests | project Name")]
    taken = [f"n{n}" for n, status in enumerate(statuses) if status == 200]
    assert sorted(names) == sorted([*taken, "after"])


def test_second_emulator_on_the_same_data_is_refused_in_one_line(start: Start) -> None:
    first = start()

    second = start()

    assert second.process.wait(20) == 1
    assert second.log == (
        f"error: another emulator keeps its data in {first.data}; stop it, or choose another --data\n"
    )
