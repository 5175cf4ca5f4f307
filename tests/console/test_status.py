"""What is said of telemetry as a whole."""

import re
from datetime import UTC, datetime, timedelta

from console.scope import Selection, resolve
from console.status import Coverage, badges, remark

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
LAST_HOUR = resolve(Selection(), (), NOW)
WHOLE = Coverage(NOW - timedelta(minutes=60), NOW - timedelta(seconds=2), 1200, 24_000)


def words(html: str) -> list[str]:
    return re.findall(r">([^<>]+)<", html)


def said(coverage: Coverage, latest: Coverage = WHOLE) -> str:
    found = remark(LAST_HOUR, coverage, latest, now=NOW)
    return re.sub(r"<[^>]*>", "", found[0]) if found else ""


def test_badges_tell_age_coverage_and_sampling() -> None:
    assert words(badges(LAST_HOUR, WHOLE, asked_at=NOW)) == [
        "as of 12:00:00 UTC",
        "whole range covered",
        "5.0 % of 24.0 k requests kept",
    ]


def test_badge_tells_how_much_of_the_range_is_covered() -> None:
    part = Coverage(NOW - timedelta(minutes=42), NOW, 10, 10)

    assert words(badges(LAST_HOUR, part, asked_at=NOW))[1:] == [
        "covers 42 min of 60 min",
        "10 requests, all kept",
    ]


def test_usual_telemetry_is_not_remarked_on() -> None:
    assert said(WHOLE) == ""


def test_workspace_without_records_says_how_to_get_some() -> None:
    assert said(Coverage(), Coverage()).startswith("There is no telemetry yet. Send a request to the app")


def test_range_without_traffic_names_the_latest_and_leads_there() -> None:
    latest = Coverage(NOW - timedelta(days=3), NOW - timedelta(days=2), 1, 1)

    found = remark(LAST_HOUR, Coverage(), latest, now=NOW)

    assert found is not None
    assert "No traffic between 22 Nov 11:00 – 12:00." in found[0]
    assert "The latest is from 20 Nov 12:00 UTC" in found[0]
    assert 'href="?from=2026-11-20T11%3A30%3A00Z&amp;to=2026-11-20T12%3A01%3A00Z"' in found[0]


def test_clock_that_is_fast_is_named() -> None:
    future = Coverage(NOW - timedelta(hours=1), NOW + timedelta(minutes=10), 1, 1)

    assert "10 min in the future. Some clock is wrong" in said(future)


def test_old_telemetry_is_remarked_on_where_the_range_ends_now() -> None:
    old = Coverage(NOW - timedelta(hours=1), NOW - timedelta(minutes=12), 1, 1)

    assert "The newest record is 12 min old." in said(old)


def test_past_range_is_not_expected_to_be_fresh() -> None:
    past = resolve(Selection(since=NOW - timedelta(hours=3), until=NOW - timedelta(hours=2)), (), NOW)
    old = Coverage(past.since, past.until, 1, 1)

    assert remark(past, old, old, now=NOW) is None
