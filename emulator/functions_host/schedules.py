"""When a timer trigger fires: the schedules that Azure's timer extension reads.

    0 */5 * * * *       NCRONTAB: second, minute, hour, day, month, day of the week; without the second, 0
    00:05:00            an interval, [days.]hours:minutes[:seconds]
    %NIGHTLY%           the app setting of this name, which holds one of the two

NCRONTAB is read as `NCrontab` reads it (github.com/atifaziz/NCrontab, `CrontabFieldImpl`), which is not
what the cron libraries of Python do: seconds come first, a day must fit the month *and* the week where
crontab takes either, Sunday is 0 and never 7, and `5/20` runs from 5 to the end in steps of 20.

Times are those of the local clock, without a zone: UTC in Azure unless `TZ` says otherwise. An hour that
the clock repeats in autumn counts once.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeAlias

from emulator.functions_host.errors import ScheduleError

Schedule: TypeAlias = "Interval | Crontab"

_MONTHS = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
]
_WEEK = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"]
_REFERENCE = re.compile("%([^%]+)%")
_INTERVAL = re.compile(r"(?:(\d+)\.)?(\d+):([0-5]?\d)(?::([0-5]?\d(?:\.\d{1,7})?))?")
_HORIZON_YEARS = 30
"29 February on a given day of the week comes back after 28 years; what is later than this never comes."


def read_schedule(expression: str, app_settings: Mapping[str, str]) -> Schedule:
    """Read the `schedule` of a timer trigger.

    Raises:
        ScheduleError: an app setting is missing, or the text is neither NCRONTAB nor an interval.
    """
    text = _REFERENCE.sub(lambda match: _resolve(match[1], app_settings), expression)
    if len(text.split()) in (5, 6):
        return Crontab.parse(text)
    return Interval.parse(text)


def _resolve(name: str, app_settings: Mapping[str, str]) -> str:
    value = app_settings.get(name)
    if not value:
        raise ScheduleError(f"'%{name}%' does not resolve to a value; add the app setting {name}")
    return value


@dataclass(frozen=True, slots=True)
class Interval:
    """Fires each time that this long has passed; Azure allows it on plans that never scale to zero."""

    length: timedelta

    @classmethod
    def parse(cls, text: str) -> "Interval":
        matched = _INTERVAL.fullmatch(text.strip())
        if matched is None:
            raise ScheduleError(
                f"schedule {text!r} is neither NCRONTAB, such as '0 */5 * * * *', nor an interval, "
                "such as '00:05:00'"
            )
        days, hours, minutes, seconds = matched.groups(default="0")
        if int(hours) > 23:
            # TimeSpan.Parse takes what is too much for hours as days, and 24:00:00 as 24 days.
            days, hours, minutes, seconds = hours, minutes, seconds, "0"
        length = timedelta(days=int(days), hours=int(hours), minutes=int(minutes), seconds=float(seconds))
        if not length:
            raise ScheduleError(f"schedule {text!r} is no time at all; give at least 00:00:01")
        return cls(length)

    def next_after(self, moment: datetime) -> datetime:
        return moment + self.length

    def __str__(self) -> str:
        return f"Constant: {self.length}"


@dataclass(frozen=True, slots=True)
class Crontab:
    """Fires at every second that all six fields allow."""

    text: str
    seconds: tuple[int, ...]
    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: tuple[int, ...]
    months: tuple[int, ...]
    weekdays: tuple[int, ...]
    "0 is Sunday."

    @classmethod
    def parse(cls, text: str) -> "Crontab":
        parts = text.split()
        if len(parts) == 5:
            parts.insert(0, "0")
        seconds, minutes, hours, days, months, weekdays = parts
        return cls(
            " ".join(parts),
            seconds=_field(seconds, "second", 0, 59),
            minutes=_field(minutes, "minute", 0, 59),
            hours=_field(hours, "hour", 0, 23),
            days=_field(days, "day", 1, 31),
            months=_field(months, "month", 1, 12, names=_MONTHS),
            weekdays=_field(weekdays, "day of the week", 0, 6, names=_WEEK),
        )

    def next_after(self, moment: datetime) -> datetime:
        """The first time later than `moment`.

        Raises:
            ScheduleError: there is none; `0 0 0 30 2 *` asks for a 30 February.
        """
        earliest = moment.replace(microsecond=0) + timedelta(seconds=1)
        day = earliest.replace(hour=0, minute=0, second=0)
        last = day + timedelta(days=366 * _HORIZON_YEARS)
        while day <= last:
            if day.month not in self.months:
                day = (day.replace(day=1) + timedelta(days=32)).replace(day=1)
                continue
            if day.day in self.days and day.isoweekday() % 7 in self.weekdays:
                found = self._first_of_day(day, not_before=earliest)
                if found is not None:
                    return found
            day += timedelta(days=1)
        raise ScheduleError(f"schedule {self.text!r} never comes")

    def _first_of_day(self, day: datetime, *, not_before: datetime) -> datetime | None:
        for hour in self.hours:
            if day.replace(hour=hour, minute=59, second=59) < not_before:
                continue
            for minute in self.minutes:
                if day.replace(hour=hour, minute=minute, second=59) < not_before:
                    continue
                for second in self.seconds:
                    found = day.replace(hour=hour, minute=minute, second=second)
                    if found >= not_before:
                        return found
        return None

    def __str__(self) -> str:
        return f"Cron: '{self.text}'"


def _field(text: str, what: str, low: int, high: int, *, names: list[str] | None = None) -> tuple[int, ...]:
    """The values that one field allows, in order."""
    allowed: set[int] = set()
    for part in text.split(","):
        span, has_step, step = part.partition("/")
        first, is_range, last = span.partition("-")
        try:
            every = int(step) if has_step else 1
            if span == "*":
                start, end = low, high
            else:
                start = _value(first, low, names)
                end = _value(last, low, names) if is_range else high if has_step else start
        except ValueError:
            every, start, end = 0, low, high
        start, end = min(start, end), max(start, end)
        if every < 1 or start < low or end > high:
            raise ScheduleError(
                f"{part!r} is no {what}; give {low} to {high}, a range {low}-{high}, a list, * or */2"
                + (f", or names such as {names[0][:3]}" if names else "")
            )
        allowed.update(range(start, end + 1, every))
    return tuple(sorted(allowed))


def _value(text: str, low: int, names: list[str] | None) -> int:
    if text.isascii() and text.isdigit():
        return int(text)
    for number, name in enumerate(names or (), start=low):
        if text and name.startswith(text.lower()):
            return number
    raise ValueError(text)
