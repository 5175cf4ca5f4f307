"""The `timespan` of a query: an ISO 8601 duration or interval."""

import re
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from emulator.app_insights.errors import BadTimespan

_DURATION = re.compile(
    r"P(?:(?P<weeks>[\d.]+)W)?(?:(?P<days>[\d.]+)D)?"
    r"(?:T(?:(?P<hours>[\d.]+)H)?(?:(?P<minutes>[\d.]+)M)?(?:(?P<seconds>[\d.]+)S)?)?"
)


class Timespan(NamedTuple):
    """From `since` to before `until`, UTC; None is no bound."""

    since: datetime | None = None
    until: datetime | None = None


def parse_timespan(text: str | None, now: datetime) -> Timespan:
    """Read a timespan as the Log Analytics API does: `PT1H`, `start/end`, `start/PT1H` or `PT1H/end`.

    Raises:
        BadTimespan: it is none of these.
    """
    if not text:
        return Timespan()
    try:
        match [_moment_or_duration(part) for part in text.split("/")]:
            case [timedelta() as length]:
                return Timespan(now - length)
            case [datetime() as since, datetime() as until]:
                return Timespan(since, until)
            case [datetime() as since, timedelta() as length]:
                return Timespan(since, since + length)
            case [timedelta() as length, datetime() as until]:
                return Timespan(until - length, until)
    except (ValueError, OverflowError):
        pass
    raise BadTimespan(f"timespan {text!r} is no ISO 8601 duration or interval; send PT1H or start/end")


def _moment_or_duration(text: str) -> datetime | timedelta:
    if not text.startswith("P"):
        moment = datetime.fromisoformat(text)
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    match = _DURATION.fullmatch(text)
    if match is None or text in ("P", "PT"):
        raise ValueError(text)
    return timedelta(**{unit: float(value) for unit, value in match.groupdict().items() if value})
