"""Questions to a workspace: columns out of answers, sentences out of failures."""

import csv
import io
import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import numpy as np
import pytest

from console.failures import Failure
from console.settings import LOCAL_WORKSPACE, Source
from console.telemetry import Telemetry, TelemetryError, table_of
from tests.console.conftest import free_port
from tests.emulator.app_insights.emulator_process import Emulator, envelope

NOW = datetime.now(UTC)
HOUR = (NOW - timedelta(hours=1), NOW + timedelta(minutes=1))


def source(url: str) -> Source:
    return Source("local", LOCAL_WORKSPACE, f"{url}/v1")


def failure_of(url: str, kql: str = "AppRequests") -> Failure:
    with pytest.raises(TelemetryError) as caught:
        Telemetry(source(url)).read(kql, *HOUR)
    return caught.value.failure


class StandIn:
    """A workspace that gives one answer to everything."""

    def __init__(self, status: int, body: object, headers: Mapping[str, str]) -> None:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["content-length"]))
                self.send_response(status)
                sent = {"content-type": "application/json", "content-length": str(len(content)), **headers}
                for name, value in sent.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                """Tests print nothing of their own."""

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()


@pytest.fixture
def workspace() -> Iterator[Any]:
    started: list[StandIn] = []

    def start(status: int, body: object = {}, headers: Mapping[str, str] = {}) -> str:
        started.append(StandIn(status, body, headers))
        return started[-1].url

    yield start
    for each in started:
        each.server.shutdown()
        each.server.server_close()


def test_answer_is_columns_of_numbers_times_and_texts(telemetry: Emulator) -> None:
    telemetry.track(envelope(time=NOW, name="GET /a", sample_rate=50), envelope(time=NOW, name="GET /b"))
    kql = "AppRequests | project TimeGenerated, Name, ItemCount, nothing = real(null) | order by Name asc"

    table = Telemetry(source(telemetry.url)).read(kql, *HOUR).table

    assert table.columns == ("TimeGenerated", "Name", "ItemCount", "nothing")
    assert table["ItemCount"].tolist() == [2.0, 1.0]
    assert np.isnan(table["nothing"]).all()
    assert table["TimeGenerated"].dtype == np.dtype("datetime64[us]")
    [time, _] = table.list("TimeGenerated")
    assert abs(time - NOW) < timedelta(milliseconds=1)
    assert table.rows()[1] | {"TimeGenerated": None} == {
        "TimeGenerated": None,
        "Name": "GET /b",
        "ItemCount": 1.0,
        "nothing": None,
    }


def test_times_that_are_sent_as_numbers_are_times(telemetry: Emulator) -> None:
    kql = "print at_unix_ms = tolong((datetime(2026-11-22T10:00:00.25Z) - datetime(1970-01-01)) / 1ms), n = 1"

    table = Telemetry(source(telemetry.url)).read(kql, *HOUR).table

    assert table.columns == ("at", "n")
    assert table.list("at") == [datetime(2026, 11, 22, 10, 0, 0, 250_000, tzinfo=UTC)]


def test_answer_without_rows_has_its_columns(telemetry: Emulator) -> None:
    table = (
        Telemetry(source(telemetry.url)).read("AppRequests | where Name == 'x' | project Name", *HOUR).table
    )

    assert (table.columns, table.n_rows, table.csv()) == (("Name",), 0, "Name\r\n")


def test_query_that_is_refused_is_told_with_the_workspace_s_words(telemetry: Emulator) -> None:
    failure = failure_of(telemetry.url, "AppRequests | where Nme == 1")

    assert failure.kind == "refused"
    assert "Nme" in failure.detail


def test_workspace_that_is_not_there_is_named_with_a_remedy() -> None:
    url = f"http://127.0.0.1:{free_port()}"

    failure = failure_of(url)

    assert failure.kind == "unreachable"
    assert failure.what == f"No telemetry answers at `{url}/v1`."
    assert "make run" in failure.remedy
    assert failure.is_temporary


@pytest.mark.parametrize(
    ("status", "headers", "kind", "sentence"),
    [
        (429, {"retry-after": "7"}, "throttled", "Ask again in 7 s."),
        (429, {}, "throttled", "Ask again in half a minute."),
        (403, {}, "unauthorised", "Log Analytics Reader"),
        (404, {}, "refused", "Check `RECSERVE_WORKSPACES`"),
        (504, {}, "slow", "Choose a shorter time range."),
        (500, {}, "failed", "Ask again in a minute"),
    ],
)
def test_failing_workspace_is_a_sentence(
    workspace: Any, status: int, headers: dict[str, str], kind: str, sentence: str
) -> None:
    body = {"error": {"code": "Some", "message": "words of the service"}}

    failure = failure_of(workspace(status, body, headers))

    assert failure.kind == kind
    assert sentence in failure.remedy


@pytest.mark.parametrize("body", [b"<html>hello</html>", {"hello": 1}, [], b""])
def test_stranger_is_told_from_a_workspace(workspace: Any, body: object) -> None:
    assert "is not a Log Analytics workspace" in failure_of(workspace(200, body)).what


def test_part_of_an_answer_is_shown_and_said(workspace: Any) -> None:
    table = {"name": "PrimaryResult", "columns": [{"name": "n", "type": "long"}], "rows": [[3]]}
    error = {"code": "PartialError", "message": "There were some errors", "details": []}

    reading = Telemetry(source(workspace(200, {"tables": [table], "error": error}))).read("q", *HOUR)

    assert reading.table["n"].tolist() == [3.0]
    assert reading.partial is not None
    assert reading.partial.kind == "partial"
    assert "only a part" in reading.partial.what


def test_rows_can_be_kept_by_a_mask() -> None:
    table = table_of({"n": [1, None, 3], "name": ["a", "b", None]})

    kept = table.where(table["n"] > 1)

    assert kept.rows() == [{"n": 3.0, "name": None}]


def test_spreadsheet_takes_no_cell_for_a_formula() -> None:
    table = table_of(
        {"name": ["=1+1", "a,b"], "n": [3, -0.5], "at": [datetime(2026, 11, 22, tzinfo=UTC)] * 2}
    )

    assert table.csv().split("\r\n") == [
        "name,n,at",
        "'=1+1,3,2026-11-22T00:00:00Z",
        '"a,b",-0.5,2026-11-22T00:00:00Z',
        "",
    ]


@pytest.mark.parametrize("begins", ["=", "+", "-", "@", "\t", "\r"])
def test_cell_that_begins_like_a_formula_is_text(begins: str) -> None:
    table = table_of({"name": [f"{begins}cmd", f"a{begins}cmd"]})

    rows = list(csv.reader(io.StringIO(table.csv(), newline="")))

    assert rows == [["name"], [f"'{begins}cmd"], [f"a{begins}cmd"]]
