"""What the bar says: resolved to a range, written as a link, read back, and tampered with."""

from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as some

from console.scope import (
    MOST_INTERVALS,
    RANGES,
    REFRESHES,
    Selection,
    floor_to_step,
    interval_of,
    link_to,
    read_moment,
    read_params,
    resolve,
    write_moment,
)
from console.settings import Source

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
SOURCES = (Source("production", "id-1", "https://a/v1"), Source("staging", "id-2", "https://a/v1"))
moments = some.datetimes(datetime(2026, 9, 1), datetime(2026, 11, 22)).map(
    lambda at: at.replace(microsecond=at.microsecond // 1000 * 1000, tzinfo=UTC)
)
names = some.from_regex(r"[\w./-]{0,64}", fullmatch=True)


@given(
    source=some.sampled_from(["", "production", "staging"]),
    range=some.sampled_from(list(RANGES)),
    refresh=some.sampled_from(list(REFRESHES)),
    variant=names,
    version=names,
    since=some.none() | moments,
    minutes=some.integers(1, 80_000),
)
def test_link_reads_back_as_the_same_selection(
    source: str, range: str, refresh: str, variant: str, version: str, since: datetime | None, minutes: int
) -> None:
    until = since + timedelta(minutes=minutes) if since else None
    absolute = {"since": since, "until": until} if since else {"range": range}
    chosen = Selection(source=source, variant=variant, version=version, refresh=refresh, **absolute)  # type: ignore[arg-type]

    read, complaints = read_params(chosen.params(), SOURCES, NOW)

    assert read == chosen
    assert complaints == ()


def test_default_is_the_last_hour_of_the_first_workspace() -> None:
    scope = resolve(read_params({}, SOURCES, NOW)[0], SOURCES, NOW)

    assert (scope.source, scope.since, scope.until) == ("production", NOW - timedelta(hours=1), NOW)
    assert scope.interval == timedelta(seconds=30)
    assert scope.label == "Last 1 h"
    assert scope.selection.params() == {}


@pytest.mark.parametrize(
    ("params", "sentence"),
    [
        ({"source": "<b>"}, "names a workspace that this console does not know"),
        ({"range": "99y"}, "a time range that there is none of"),
        ({"refresh": "1ms"}, "a refresh that there is none of"),
        ({"variant": '" or 1==1 //'}, "a variant as none can be called"),
        ({"version": "x" * 65}, "a version as none can be called"),
        ({"from": "yesterday", "to": "2026-11-22T11:00:00Z"}, "not both a time"),
        ({"from": "2026-11-22T11:00:00Z"}, "not both a time"),
        ({"from": "2026-11-22T11:00:00Z", "to": "2026-11-22T10:00:00Z"}, "do not span"),
        ({"from": "2020-11-22T11:00:00Z", "to": "2026-11-22T10:00:00Z"}, "do not span"),
        ({"from": "2026-11-23T11:00:00Z", "to": "2026-11-23T12:00:00Z"}, "has not begun"),
        ({"from": "9" * 5000, "to": "²"}, "not both a time"),
    ],
)
def test_tampered_link_gives_the_default_and_a_sentence(params: dict[str, str], sentence: str) -> None:
    selection, complaints = read_params(params, SOURCES, NOW)

    assert selection == Selection()
    assert len(complaints) == 1
    assert sentence in complaints[0]
    assert not any(value in complaints[0] for value in params.values())


def test_link_to_a_trace_keeps_what_the_bar_says() -> None:
    selection = Selection(source="staging", range="6h", variant="blend", refresh="10s")
    scope = resolve(selection, SOURCES, NOW)

    link = link_to("cold_starts", scope, trace="4bf9", empty=None)

    view, _, query = link.partition("?")
    assert view == "cold-starts"
    assert dict(parse_qsl(query)) == {
        "source": "staging",
        "range": "6h",
        "variant": "blend",
        "refresh": "10s",
        "trace": "4bf9",
    }


def test_link_to_another_range_replaces_the_bar_s() -> None:
    scope = resolve(Selection(range="6h"), SOURCES, NOW)

    link = link_to("latency", scope, since=NOW - timedelta(minutes=5), until=NOW)

    assert link == "latency?from=2026-11-22T11%3A55%3A00Z&to=2026-11-22T12%3A00%3A00Z"


@given(some.integers(1, 92 * 86_400))
def test_range_has_few_enough_intervals(seconds: int) -> None:
    interval = interval_of(timedelta(seconds=seconds))

    assert seconds / interval.total_seconds() <= MOST_INTERVALS


def test_views_opened_within_a_minute_share_the_end_of_their_range() -> None:
    at = NOW + timedelta(seconds=42)

    assert floor_to_step(at, "off") == NOW
    assert floor_to_step(at, "10s") == NOW + timedelta(seconds=40)


def test_moments_are_utc_to_the_millisecond() -> None:
    at = read_moment("2026-11-22T13:00:00.125+01:00")

    assert at == NOW + timedelta(milliseconds=125)
    assert at is not None
    assert write_moment(at) == "2026-11-22T12:00:00.125Z"
    assert read_moment("2026-11-22T12:00:00") == NOW


def test_link_to_the_first_view_leads_to_the_root() -> None:
    scope = resolve(Selection(), SOURCES, NOW)

    assert link_to("overview", scope).partition("?")[0] == "./"
