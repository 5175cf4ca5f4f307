"""The Log Analytics API, asked by Microsoft's client."""

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from azure.core.exceptions import HttpResponseError
from azure.monitor.query import LogsQueryPartialResult, LogsQueryResult

from emulator.app_insights.tables import TABLES, WORKSPACE_ID
from emulator.app_insights.translation import with_defaults_as_let
from tests.emulator.app_insights.emulator_process import EmulatorProcess, envelope


def refusal(emulator: EmulatorProcess, query: str) -> HttpResponseError:
    with pytest.raises(HttpResponseError) as raised:
        emulator.ask(query)
    return raised.value


def test_types_arrive_as_in_log_analytics(emulator: EmulatorProcess) -> None:
    table = emulator.ask(
        """print d = datetime(2026-11-22 14:00:00.5), span = 1d + 90s, i = toint(1), l = tolong(2), r = 0.5, b = true,
        s = "text", g = guid(74be27de-1e4e-49d9-b579-fe0b331d3642), bag = dynamic({"a": [1]}), nothing = real(null),
        infinite = 1.0 / 0.0"""
    )

    types = [
        "datetime",
        "timespan",
        "int",
        "long",
        "real",
        "bool",
        "string",
        "guid",
        "dynamic",
        "real",
        "real",
    ]
    assert table.columns_types == types
    assert list(table.rows[0]) == [
        datetime(2026, 11, 22, 14, 0, 0, 500_000, tzinfo=UTC),
        "1.00:01:30",
        1,
        2,
        0.5,
        True,
        "text",
        "74be27de-1e4e-49d9-b579-fe0b331d3642",
        '{"a":[1]}',
        None,
        "Infinity",
    ]


def test_tables_have_the_columns_of_their_specs(emulator: EmulatorProcess) -> None:
    for name, columns in TABLES.items():
        table = emulator.ask(f"{name} | take 0")

        assert list(zip(table.columns, table.columns_types, strict=True)) == [
            (column.name, column.type) for column in columns
        ]


def test_timespan_is_applied_beside_the_query(emulator: EmulatorProcess) -> None:
    now = datetime.now(UTC)
    emulator.track(*(envelope(name="spans", time=now - timedelta(hours=age)) for age in (0, 3, 30)))
    count = "AppRequests | where Name == 'spans' | count"

    assert emulator.rows(count, timedelta(hours=1)) == [[1]]
    assert emulator.rows(count, (now - timedelta(hours=4), now - timedelta(hours=2))) == [[1]]
    assert emulator.rows(count, (now - timedelta(hours=31), timedelta(hours=29))) == [[2]]
    assert emulator.rows(count, None) == [[3]]


def test_get_form_answers_alike(emulator: EmulatorProcess) -> None:
    params = {"query": "print n = 1", "timespan": "PT1H"}

    answer = emulator.http.get(f"/v1/workspaces/{WORKSPACE_ID}/query", params=params)

    assert answer.json() == {
        "tables": [{"name": "PrimaryResult", "columns": [{"name": "n", "type": "long"}], "rows": [[1]]}]
    }


@pytest.mark.parametrize(
    ("query", "code", "message"),
    [
        ("AppRequests | whre x", "SYN0002", "could not parse KQL at 1:12"),
        (".drop table AppRequests", "SYN0002", "management commands are not queries"),
        (
            "AppRequests | where Durration > 1",
            "SEM0100",
            "Failed to resolve column or scalar expression named 'Durration'",
        ),
        ("Requests | take 1", "SEM0100", "Failed to resolve table or column expression named 'Requests'"),
        (
            "AppRequests | make-series count() on TimeGenerated step 1h",
            "SEM0100",
            "the emulator does not run it",
        ),
        ("declare query_parameters(n:int); print n", "SEM0100", "query parameters without a default: n"),
    ],
)
def test_faulty_query_raises_what_the_service_raises(
    emulator: EmulatorProcess, query: str, code: str, message: str
) -> None:
    error = refusal(emulator, query)

    assert error.status_code == 400
    assert "(BadArgumentError) The request had some invalid properties" in error.message
    assert code in error.message
    assert message in error.message


def test_faulty_timespan_is_told(emulator: EmulatorProcess) -> None:
    answer = emulator.http.post("/v1/workspaces/x/query", json={"query": "print 1", "timespan": "an hour"})

    assert answer.status_code == 400
    assert "timespan 'an hour' is no ISO 8601" in answer.json()["error"]["message"]


SLOW = (
    "range x from 1 to 1000000 step 1 | extend k = 1 | join kind=inner (range y from 1 to 1000000 step 1 "
    "| extend k = 1) on k | summarize sum(x * y % 7)"
)
"Hours, unless it is ended."


def ask_and_leave(emulator: EmulatorProcess) -> None:
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{emulator.url}/v1/workspaces/x/query", json={"query": SLOW}, timeout=0.5)


def test_query_is_ended_when_its_asker_leaves(emulator: EmulatorProcess) -> None:
    for _ in range(5):  # more than there are threads
        ask_and_leave(emulator)

    assert emulator.rows("print n = 1") == [[1]]


def test_emulator_stops_while_a_query_runs(start: Callable[..., EmulatorProcess]) -> None:
    emulator = start()
    emulator.track(envelope())
    asking = threading.Thread(
        target=lambda: emulator.http.post("/v1/workspaces/x/query", json={"query": SLOW}), daemon=True
    )
    asking.start()
    time.sleep(0.5)

    emulator.process.terminate()

    assert emulator.process.wait(20) == 0
    assert not list(emulator.data.glob("journal/*"))


def test_query_over_its_time_is_ended(emulator: EmulatorProcess) -> None:
    started_s = time.monotonic()

    with emulator.client() as client, pytest.raises(HttpResponseError) as raised:
        client.query_workspace(WORKSPACE_ID, SLOW, timespan=None, server_timeout=1)

    assert raised.value.status_code == 504
    assert "the query took longer than 1 s" in raised.value.message
    assert time.monotonic() - started_s < 10


def test_answer_over_the_services_limit_is_partial(emulator: EmulatorProcess) -> None:
    with emulator.client() as client:
        result = client.query_workspace(WORKSPACE_ID, "range x from 1 to 500001 step 1", timespan=None)

    assert isinstance(result, LogsQueryPartialResult)
    assert len(result.partial_data[0].rows) == 500_000


def test_statistics_are_given_on_request(emulator: EmulatorProcess) -> None:
    with emulator.client() as client:
        result = client.query_workspace(WORKSPACE_ID, "print 1", timespan=None, include_statistics=True)

    assert isinstance(result, LogsQueryResult)
    assert result.statistics["query"]["executionTime"] > 0  # type: ignore[index]


def test_queries_run_beside_ingestion(emulator: EmulatorProcess) -> None:
    seen: list[int] = []

    def ask() -> None:
        seen.extend(emulator.rows("AppRequests | where Name == 'beside' | count")[0][0] for _ in range(5))

    asking = threading.Thread(target=ask)
    asking.start()
    for _ in range(50):
        emulator.track(envelope(name="beside"), envelope(name="beside"))
    asking.join()

    assert seen == sorted(seen)
    assert all(n % 2 == 0 for n in seen)
    assert emulator.rows("AppRequests | where Name == 'beside' | count") == [[100]]


@pytest.mark.parametrize(
    ("declared", "expected"),
    [
        (
            'declare query_parameters(a:timespan = 5m, b:string = "x, y", c:datetime = datetime(2026-01-01)); T',
            'let a = 5m; let b = "x, y"; let c = datetime(2026-01-01); T',
        ),
        ("declare query_parameters(a:int); T", "declare query_parameters(a:int); T"),
        ("declare query_parameters(a:int, b:int = 1); T", "declare query_parameters(a:int, b:int = 1); T"),
        ("T | take 1", "T | take 1"),
    ],
)
def test_declared_parameters_with_defaults_become_let(declared: str, expected: str) -> None:
    assert with_defaults_as_let(declared) == expected


def test_declared_interval_can_be_binned(emulator: EmulatorProcess) -> None:
    rows = emulator.rows(
        "declare query_parameters(step:timespan = 1h, at:datetime = datetime(2026-11-22 14:05)); print bin(at, step)"
    )

    assert rows == [[datetime(2026, 11, 22, 14, tzinfo=UTC)]]
