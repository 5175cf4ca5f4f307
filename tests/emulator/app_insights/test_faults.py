"""Switches that make ingestion fail."""

import time
from collections.abc import Callable, Iterator

import pytest

from tests.emulator.app_insights.emulator_process import EmulatorProcess, envelope


@pytest.fixture(autouse=True)
def _switched_off(emulator: EmulatorProcess) -> Iterator[None]:
    yield
    emulator.http.delete("/admin/faults")


@pytest.mark.parametrize("status", [402, 413, 429, 439, 500, 503])
def test_fault_is_answered_until_it_is_switched_off(emulator: EmulatorProcess, status: int) -> None:
    name = f"fault {status}"
    emulator.http.put("/admin/faults", json={"status": status, "retry_after_s": 7})

    refused = [emulator.track(envelope(name=name)) for _ in range(2)]
    emulator.http.delete("/admin/faults")
    taken = emulator.track(envelope(name=name))

    assert [(answer.status_code, answer.headers["retry-after"]) for answer in refused] == [(status, "7")] * 2
    assert taken.status_code == 200
    assert emulator.rows(f"AppRequests | where Name == '{name}' | count") == [[1]]


def test_fault_may_be_for_some_requests_only(emulator: EmulatorProcess) -> None:
    emulator.http.put("/admin/faults", json={"status": 500, "n": 2})

    assert [emulator.track(envelope()).status_code for _ in range(3)] == [500, 500, 200]


def test_slow_endpoint_takes_its_time_and_then_the_items(emulator: EmulatorProcess) -> None:
    emulator.http.put("/admin/faults", json={"delay_s": 0.3})
    started_s = time.monotonic()

    assert emulator.track(envelope()).status_code == 200
    assert time.monotonic() - started_s >= 0.3


def test_fault_may_be_for_some_items_of_a_request_only(emulator: EmulatorProcess) -> None:
    emulator.http.put("/admin/faults", json={"status": 429, "every": 2, "n": 1, "retry_after_s": 7})
    items = [envelope(name=f"some-{n}") for n in range(5)]

    answer = emulator.track(*items)
    again = emulator.track(*items[::2])

    assert (answer.status_code, answer.headers["retry-after"]) == (206, "7")
    assert (answer.json()["itemsReceived"], answer.json()["itemsAccepted"]) == (5, 2)
    assert [(error["index"], error["statusCode"]) for error in answer.json()["errors"]] == [
        (n, 429) for n in (0, 2, 4)
    ]
    assert again.status_code == 200
    names = emulator.rows("AppRequests | where Name startswith 'some-' | project Name | order by Name asc")
    assert [name for [name] in names] == [f"some-{n}" for n in range(5)]


@pytest.mark.parametrize("body", [{"status": 418}, {"delay_s": -1}, {"state": 500}, {"every": 0}])
def test_unknown_fault_is_refused(emulator: EmulatorProcess, body: dict[str, object]) -> None:
    assert emulator.http.put("/admin/faults", json=body).status_code == 400
    assert emulator.http.get("/admin/faults").json()["fault"]["status"] is None


def test_fault_can_be_there_from_the_start(start: Callable[..., EmulatorProcess]) -> None:
    emulator = start("--fail", "429", "--retry-after", "3")

    answer = emulator.track(envelope())

    assert (answer.status_code, answer.headers["retry-after"]) == (429, "3")


def test_unknown_fault_at_the_start_is_one_line(start: Callable[..., EmulatorProcess]) -> None:
    emulator = start("--fail", "200")

    assert emulator.process.wait(20) == 1
    assert emulator.log.startswith("error: status 200 cannot be switched on; known are (400, 402,")
    assert emulator.log.count("\n") == 1
