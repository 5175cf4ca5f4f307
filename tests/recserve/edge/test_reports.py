"""What devices tell of their answers: once, within bounds, and without a word about anybody."""

from pathlib import Path
from typing import Any

import pytest

from recserve.edge.reports import MOST_REPORTS, REMEMBERED_S, EdgeReports
from recserve.http_io import read_json, respond
from recserve.schemas import EventsRequest
from recserve.startup import Startup
from recserve.telemetry.timeline import Timeline
from tests.recserve.conftest import http_request, read

EVENT = {"event_id": "e-1", "user_id": "mia-the-user", "item_id": 10, "kind": "view"}


def report(**fields: object) -> dict[str, Any]:
    return {
        "report_id": "5f1c",
        "client": "js",
        "client_version": "0.1.0",
        "bundle_version": "2026-11-22-1a2b3c4d",
        "answers": [{"by": "edge", "reason": "default", "bucket": 7, "n": 12}],
    } | fields


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def test_report_counts_once_within_the_hour() -> None:
    clock = Clock()
    reports = EdgeReports(clock)

    first, again = reports.is_first("a"), reports.is_first("a")
    clock.now_s += REMEMBERED_S + 1

    assert (first, again, reports.is_first("a")) == (True, False, True)


def test_reports_that_are_remembered_are_bounded() -> None:
    reports = EdgeReports(Clock())

    for number in range(MOST_REPORTS + 10):
        reports.is_first(str(number))

    assert not reports.is_first(str(MOST_REPORTS + 9))
    assert reports.is_first("0")


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> list[Timeline]:
    """The timelines that are handed to telemetry."""
    timelines: list[Timeline] = []
    monkeypatch.setattr(Startup, "record", lambda _, timeline: timelines.append(timeline))
    return timelines


@pytest.fixture
def startup(models_dir: Path, tmp_path: Path) -> Startup:
    return Startup(
        {"RECSERVE_MODELS_DIR": str(models_dir), "RECSERVE_STATE_PATH": str(tmp_path / "state.db")}
    )


async def post(startup: Startup, body: object) -> Any:
    req = http_request("POST", json_body=body)
    return await respond(
        startup, "events", lambda s, timeline: s.record(read_json(req, EventsRequest), timeline), req
    )


async def test_report_travels_with_events_and_alone(startup: Startup, recorded: list[Timeline]) -> None:
    together = await post(startup, {"events": [EVENT], "edge": report()})
    alone = await post(startup, {"events": [], "edge": report(report_id="7a")})

    assert (read(together)["n_new"], read(alone)["n_new"]) == (1, 0)
    assert [timeline.report is not None for timeline in recorded] == [True, True]


async def test_report_that_is_sent_again_is_not_counted_again(
    startup: Startup, recorded: list[Timeline]
) -> None:
    for _ in range(3):
        response = await post(startup, {"events": [EVENT], "edge": report()})
        assert response.status_code == 200

    assert [timeline.report is not None for timeline in recorded] == [True, False, False]


async def test_nothing_at_all_is_refused(startup: Startup) -> None:
    response = await post(startup, {"events": []})

    assert response.status_code == 400
    assert "`edge`" in read(response)["detail"]


@pytest.mark.parametrize(
    ("fields", "where"),
    [
        ({"report_id": ""}, "edge.report_id"),
        ({"report_id": "x" * 65}, "edge.report_id"),
        ({"report_id": "a b"}, "edge.report_id"),
        ({"client": "swift"}, "edge.client"),
        ({"client_version": "<script>"}, "edge.client_version"),
        ({"bundle_version": "mia@example.org"}, "edge.bundle_version"),
        ({"user_id": "mia"}, "edge"),
        ({"answers": [{"by": "edge", "reason": "for mia", "bucket": 1, "n": 1}]}, "edge.answers[0].reason"),
        ({"answers": [{"by": "moon", "reason": "default", "bucket": 1, "n": 1}]}, "edge.answers[0].by"),
        ({"answers": [{"by": "edge", "reason": "default", "bucket": 61, "n": 1}]}, "edge.answers[0].bucket"),
        ({"answers": [{"by": "edge", "reason": "default", "bucket": 1, "n": 0}]}, "edge.answers[0].n"),
        ({"answers": [{"by": "edge", "reason": "default", "bucket": 1, "n": 10**7}]}, "edge.answers[0].n"),
        (
            {"answers": [{"by": "edge", "reason": "default", "bucket": 1, "n": 1}] * 201},
            "edge.answers",
        ),
        ({"comparisons": {"n": 4, "overlap_sum": 4.5, "n_identical": 3}}, "edge.comparisons"),
        ({"comparisons": {"n": 4, "overlap_sum": 3.5, "n_identical": 5}}, "edge.comparisons"),
        ({"comparisons": {"n": 0, "overlap_sum": 0, "n_identical": 0}}, "edge.comparisons.n"),
    ],
)
async def test_report_out_of_bounds_is_refused_by_its_place_and_nothing_is_kept(
    startup: Startup, recorded: list[Timeline], fields: dict[str, object], where: str
) -> None:
    response = await post(startup, {"events": [EVENT], "edge": report(**fields)})

    assert (response.status_code, read(response)["field"]) == (400, where)
    assert recorded[-1].report is None
    assert read(await post(startup, {"events": [EVENT]}))["n_new"] == 1
