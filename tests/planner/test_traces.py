"""Traces of all schemas, and what is said of those that cannot be read."""

from pathlib import Path

import pytest

from planner.traces import TraceError, read_trace

SHARED = Path(__file__).resolve().parents[3] / "shared" / "traces"


def write(folder: Path, text: str) -> Path:
    path = folder / "trace.csv"
    path.write_text(text)
    return path


def test_dates_keep_every_digit(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "TIMESTAMP,ContextTokens,GeneratedTokens\n"
        "2023-11-16 18:15:46.6805900,374,44\n2023-11-16 18:15:50.9951690,396,109\n",
    )
    trace = read_trace(path)

    assert (trace.schema, trace.name, trace.durations_s) == ("azure-llm", "trace", None)
    assert trace.arrivals_s.tolist() == [0, 4.314579]


def test_invocations_arrive_their_duration_before_their_end_and_in_that_order(tmp_path: Path) -> None:
    trace = read_trace(write(tmp_path, "app,func,end_timestamp,duration\na,f,10.5,0.5\na,g,12,9\n"))

    assert trace.durations_s is not None
    assert trace.arrivals_s.tolist() == [0, 7]
    assert trace.durations_s.tolist() == [9, 0.5]


@pytest.mark.parametrize(
    "text",
    [
        "1700000000.25\n1700000001.5\n",
        "timestamp\n0.25\n1.5\n\n",
        "2026-01-01T00:00:00.25Z\n2026-01-01T01:00:01.5+01:00\n",
    ],
)
def test_plain_timestamps_are_read_with_and_without_header(tmp_path: Path, text: str) -> None:
    assert read_trace(write(tmp_path, text)).arrivals_s.tolist() == [0, 1.25]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty; name a file"),
        ("timestamp\n", "a header and no arrivals; name a file"),
        ("a,b\n1,2\n", r":1: unknown columns 'a,b'; known are TIMESTAMP"),
        ("timestamp\n1\nsoon\n", r":3: 'soon' is no instant; send seconds"),
        ("1\nnan\n", r":2: 'nan' is no instant"),
        ("5\n4\n", r":2: '4' is before '5' of line 1; sort the file"),
        ("2026-13-01 00:00:00\n", r":1: '2026-13-01 00:00:00' is no date"),
        ("TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:15:46,1\n", ":2: 2 columns; send 3"),
        ("app,func,end_timestamp,duration\na,f,1,-2\n", r":2: '-2' is no duration; send seconds, 0 or more"),
    ],
)
def test_trace_that_cannot_be_read_is_told_with_line_value_and_remedy(
    tmp_path: Path, text: str, said: str
) -> None:
    with pytest.raises(TraceError, match=said):
        read_trace(write(tmp_path, text))


def test_missing_trace_is_told(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match="No such file or directory; name a CSV file"):
        read_trace(tmp_path / "none.csv")


@pytest.mark.parametrize(
    ("name", "n_arrivals", "span_s"),
    [("azure-llm-conv", 19_366, 3501.721937), ("azure-functions-2021-200", 199, 1200.013307)],
)
def test_real_traces_are_read(name: str, n_arrivals: int, span_s: float) -> None:
    path = SHARED / f"{name}.csv"
    if not path.exists():
        pytest.skip("the traces are not beside this checkout (../shared/traces)")
    trace = read_trace(path)

    assert len(trace.arrivals_s) == n_arrivals
    assert trace.span_s == pytest.approx(span_s, abs=1e-6)
