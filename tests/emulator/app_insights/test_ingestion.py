"""What `/v2.1/track` takes, and what it answers."""

import asyncio
import gzip
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from emulator.app_insights import ingestion
from emulator.app_insights.envelopes import Batch
from emulator.app_insights.errors import Busy
from emulator.app_insights.store import Store, StoreSettings
from tests.emulator.app_insights.emulator_process import EmulatorProcess, envelope

GZIP = {"content-encoding": "gzip"}


@pytest.mark.parametrize("path", ["/v2.1/track", "/v2/track"])
def test_gzipped_array_is_accepted(emulator: EmulatorProcess, path: str) -> None:
    name = f"gzip {path}"
    body = gzip.compress(json.dumps([envelope(name=name), envelope(name=name)]).encode())

    answer = emulator.http.post(path, content=body, headers=GZIP)

    assert (answer.status_code, answer.json()) == (
        200,
        {"itemsReceived": 2, "itemsAccepted": 2, "appId": None, "errors": []},
    )
    assert emulator.rows(f"AppRequests | where Name == '{name}' | count") == [[2]]


def test_one_broken_line_is_refused_and_the_others_are_taken(emulator: EmulatorProcess) -> None:
    lines = [json.dumps(envelope(name="lines")), '{"broken":', json.dumps(envelope(name="lines"))]

    answer = emulator.http.post("/v2.1/track", content="\n".join(lines))

    assert answer.status_code == 206
    assert (answer.json()["itemsReceived"], answer.json()["itemsAccepted"]) == (3, 2)
    assert [(error["index"], error["statusCode"]) for error in answer.json()["errors"]] == [(1, 400)]
    assert emulator.rows("AppRequests | where Name == 'lines' | count") == [[2]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"time": ""}, "101: Field 'time' on type 'Envelope' is required but missing or empty"),
        ({"time": "soon"}, "102: Field 'time' on type 'Envelope' is not a date: 'soon'"),
        ({"time": "0001-01-01T00:00:00+14:00"}, "102: Field 'time' on type 'Envelope' is not a date"),
        ({"iKey": "mine"}, "Invalid instrumentation key 'mine'"),
        ({"data": None}, "101: Field 'data' on type 'Envelope' is required but missing or empty"),
        (
            {"data": {"baseType": "ShoeData", "baseData": {}}},
            "102: Field 'baseType' on type 'Data' is 'ShoeData'",
        ),
        ({"data": {"baseType": "MetricData", "baseData": {}}}, "101: Field 'metrics' on type 'MetricData'"),
        (
            {"data": {"baseType": "ExceptionData", "baseData": {"exceptions": ["no"]}}},
            "105: baseData does not",
        ),
        ({"tags": 1}, "100: the item is no envelope"),
    ],
)
def test_faulty_item_is_told_by_its_index(
    emulator: EmulatorProcess, change: dict[str, object], message: str
) -> None:
    answer = emulator.track(envelope(name="good"), envelope() | change)

    assert answer.status_code == 206
    [error] = answer.json()["errors"]
    assert (error["index"], error["statusCode"]) == (1, 400)
    assert error["message"].startswith(message)


def test_batch_without_an_acceptable_item_is_answered_400(emulator: EmulatorProcess) -> None:
    answer = emulator.track({"nothing": "known"})

    assert answer.status_code == 400
    assert (answer.json()["itemsReceived"], answer.json()["itemsAccepted"]) == (1, 0)


@pytest.mark.parametrize(
    ("off", "message"),
    [
        (
            timedelta(hours=-49),
            "103: Field 'time' on type 'Envelope' is older than the allowed min date. Expected: now - 172800000ms",
        ),
        (
            timedelta(hours=3),
            "104: Field 'time' on type 'Envelope' is newer than the allowed max date. Expected: now + 7200000ms",
        ),
    ],
)
def test_clock_that_is_far_off_is_refused_in_the_services_words(
    emulator: EmulatorProcess, off: timedelta, message: str
) -> None:
    answer = emulator.track(envelope(time=datetime.now(UTC) + off))

    assert [error["message"] for error in answer.json()["errors"]] == [message]


def test_clock_that_is_a_little_off_is_kept_beside_the_time_of_receipt(emulator: EmulatorProcess) -> None:
    sent = datetime.now(UTC) - timedelta(hours=40)

    emulator.track(envelope(name="late", time=sent))

    [[generated, received]] = emulator.rows(
        "AppRequests | where Name == 'late' | project TimeGenerated, _TimeReceived"
    )
    assert generated == sent
    assert timedelta(hours=40) < received - generated < timedelta(hours=40, minutes=1)


@pytest.mark.parametrize(
    ("body", "headers", "message"),
    [
        (gzip.compress(json.dumps([envelope()] * 50).encode())[:-100], GZIP, "the gzip body ends early"),
        (b"no gzip", GZIP, "the body is not gzip"),
        (b"[{]", {}, "the body is not a JSON array"),
        (b"hello", {}, "the body is not JSON"),
        (b"", {}, "the body holds no items"),
        (b"[]", {}, "the body holds no items"),
    ],
)
def test_body_that_cannot_be_read_is_answered_400(
    emulator: EmulatorProcess, body: bytes, headers: dict[str, str], message: str
) -> None:
    answer = emulator.http.post("/v2.1/track", content=body, headers=headers)

    assert (answer.status_code, answer.json()["itemsAccepted"]) == (400, 0)
    assert answer.json()["errors"][0]["message"].startswith(message)


def test_ten_megabytes_are_taken_and_memory_stays_bounded(emulator: EmulatorProcess) -> None:
    items = [envelope(name="large", properties={"text": "x" * 400}) for _ in range(15_000)]
    body = json.dumps(items).encode()
    assert len(body) > 10 * 1024 * 1024

    answer = emulator.http.post("/v2.1/track", content=gzip.compress(body, 1), headers=GZIP)

    assert (answer.status_code, answer.json()["itemsAccepted"]) == (200, 15_000)
    assert emulator.rows("AppRequests | where Name == 'large' | count") == [[15_000]]
    status = Path(f"/proc/{emulator.process.pid}/status")
    if status.exists():
        peak_kib = next(int(line.split()[1]) for line in status.read_text().splitlines() if "VmHWM" in line)
        assert peak_kib < 512 * 1024


@pytest.mark.parametrize(
    ("body", "headers"),
    [(b" " * (16 * 1024 * 1024 + 1), {}), (gzip.compress(b" " * (33 * 1024 * 1024)), GZIP)],
    ids=["on the wire", "inflated"],
)
def test_body_over_the_limit_is_answered_413(
    emulator: EmulatorProcess, body: bytes, headers: dict[str, str]
) -> None:
    answer = emulator.http.post("/v2.1/track", content=body, headers=headers)

    assert answer.status_code == 413
    assert emulator.track(envelope()).status_code == 200


def test_sample_rate_is_the_weight(emulator: EmulatorProcess) -> None:
    emulator.track(*(envelope(name="weighed", sample_rate=rate) for rate in (10.0, 33.3, 100.0, 0.0, None)))

    rows = emulator.rows("AppRequests | where Name == 'weighed' | project ItemCount")

    assert sorted(rows) == [[1], [1], [1], [3], [10]]


def test_metrics_of_one_envelope_are_rows(emulator: EmulatorProcess) -> None:
    points = [
        {"name": "gauge", "value": 2.5},
        {"name": "histogram", "value": 12.0, "count": 4, "min": 1.0, "max": 6.0},
        {"name": "\\Process(app)\\% Processor Time", "value": 7.0},
    ]

    emulator.track(envelope("MetricData", metrics=points, properties={"a": "b"}))

    metrics = emulator.rows(
        "AppMetrics | where Properties.a == 'b' | project Name, Sum, Min, Max, ItemCount | order by Name asc"
    )
    assert metrics == [["gauge", 2.5, 2.5, 2.5, 1], ["histogram", 12.0, 1.0, 6.0, 4]]
    counters = emulator.rows("AppPerformanceCounters | project Category, Instance, Counter, Value")
    assert counters == [["Process", "app", "% Processor Time", 7.0]]


def test_exception_and_message_have_their_columns(emulator: EmulatorProcess) -> None:
    exceptions = [
        {
            "typeName": "ValueError",
            "message": "outer",
            "parsedStack": [{"method": "f", "assembly": "app.py"}],
        },
        {"typeName": "KeyError", "message": "inner"},
    ]

    emulator.track(
        envelope("ExceptionData", exceptions=exceptions, severityLevel="Error"),
        envelope("MessageData", message="hello", severityLevel=2, tags={"ai.cloud.role": "app"}),
    )

    assert emulator.rows(
        "AppExceptions | project ExceptionType, OuterMessage, Method, InnermostType, SeverityLevel"
    ) == [["ValueError", "outer", "f", "KeyError", 3]]
    assert emulator.rows("AppTraces | project Message, SeverityLevel, AppRoleName") == [["hello", 2, "app"]]


def test_address_of_the_sender_is_masked_as_in_the_service(emulator: EmulatorProcess) -> None:
    emulator.track(envelope(name="ip", tags={"ai.location.ip": "203.0.113.9"}))

    assert emulator.rows("AppRequests | where Name == 'ip' | project ClientIP") == [["0.0.0.0"]]


def test_item_that_is_nested_too_deep_is_refused_alone(emulator: EmulatorProcess) -> None:
    deep = '{"tags": ' + "[" * 5_000 + "]" * 5_000 + "}"

    answer = emulator.http.post("/v2.1/track", content="\n".join([json.dumps(envelope()), deep]))

    assert answer.status_code == 206
    assert [error["index"] for error in answer.json()["errors"]] == [1]


def test_numbers_beyond_their_column_are_kept_to_it(emulator: EmulatorProcess) -> None:
    points = [{"name": "beyond", "value": 1.0, "count": count} for count in (3_000_000_000, -1, "x", 2.0)]
    emulator.track(*(envelope("MetricData", metrics=[point]) for point in points))
    emulator.track(
        envelope(name="beyond", sample_rate=1e-12), envelope("MessageData", message="beyond", severityLevel=9)
    )

    counts = emulator.rows("AppMetrics | where Name == 'beyond' | project ItemCount | order by ItemCount asc")
    assert counts == [[1], [1], [2], [2**31 - 1]]
    assert emulator.rows("AppRequests | where Name == 'beyond' | project ItemCount") == [[2**31 - 1]]
    assert emulator.rows("AppTraces | where Message == 'beyond' | project SeverityLevel") == [[None]]


def test_measurements_are_doubles(emulator: EmulatorProcess) -> None:
    emulator.track(envelope(name="doubles", measurements={"n": 8, "ms": 1.5, "text": "x", "none": None}))
    emulator.track(envelope(name="no bag", measurements=[1]))

    [[bag]] = emulator.rows("AppRequests | where Name == 'doubles' | project Measurements")
    assert bag == '{"n":8.0,"ms":1.5,"text":"x","none":null}'
    assert emulator.rows("AppRequests | where Name == 'no bag' | project Measurements") == [["{}"]]


async def test_bodies_that_wait_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingestion, "WAITING_BYTES", 1)
    store = Store(tmp_path, StoreSettings())
    taking = ingestion.Ingestion(store, limit_bytes=1_000_000)
    body = json.dumps([envelope()]).encode()

    first, second = await asyncio.gather(
        *(taking.take(body, is_gzip=False) for _ in range(2)), return_exceptions=True
    )

    assert isinstance(first, Batch)
    assert isinstance(second, Busy)
    assert (await taking.take(body, is_gzip=False)).n_accepted == 1
    taking.close()
    store.close()
