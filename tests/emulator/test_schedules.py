"""Expected times are those of NCrontab and of the timer trigger's documentation."""

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.functions_host.errors import ScheduleError
from emulator.functions_host.schedules import Crontab, Interval, read_schedule

SUNDAY = datetime(2026, 11, 22, 13, 46, 30, 500_000)


def times(expression: str, *, n: int = 3, since: datetime = SUNDAY) -> list[str]:
    schedule = read_schedule(expression, {})
    found = [since]
    for _ in range(n):
        found.append(schedule.next_after(found[-1]))
    return [f"{moment:%a %Y-%m-%d %H:%M:%S}" for moment in found[1:]]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("* * * * * *", ["Sun 2026-11-22 13:46:31", "Sun 2026-11-22 13:46:32", "Sun 2026-11-22 13:46:33"]),
        ("0 */5 * * * *", ["Sun 2026-11-22 13:50:00", "Sun 2026-11-22 13:55:00", "Sun 2026-11-22 14:00:00"]),
        ("*/5 * * * *", ["Sun 2026-11-22 13:50:00", "Sun 2026-11-22 13:55:00", "Sun 2026-11-22 14:00:00"]),
        ("0 0 * * * *", ["Sun 2026-11-22 14:00:00", "Sun 2026-11-22 15:00:00", "Sun 2026-11-22 16:00:00"]),
        ("0 0 */2 * * *", ["Sun 2026-11-22 14:00:00", "Sun 2026-11-22 16:00:00", "Sun 2026-11-22 18:00:00"]),
        ("0 0 9-10 * * *", ["Mon 2026-11-23 09:00:00", "Mon 2026-11-23 10:00:00", "Tue 2026-11-24 09:00:00"]),
        ("0 30 9 * * 1-5", ["Mon 2026-11-23 09:30:00", "Tue 2026-11-24 09:30:00", "Wed 2026-11-25 09:30:00"]),
        (
            "0 30 9 * Jan Mon",
            ["Mon 2027-01-04 09:30:00", "Mon 2027-01-11 09:30:00", "Mon 2027-01-18 09:30:00"],
        ),
        (
            "15,45 5/30 0 * * *",
            ["Mon 2026-11-23 00:05:15", "Mon 2026-11-23 00:05:45", "Mon 2026-11-23 00:35:15"],
        ),
        ("0 0 0 31 * *", ["Thu 2026-12-31 00:00:00", "Sun 2027-01-31 00:00:00", "Wed 2027-03-31 00:00:00"]),
        ("0 0 0 29 2 *", ["Tue 2028-02-29 00:00:00", "Sun 2032-02-29 00:00:00", "Fri 2036-02-29 00:00:00"]),
        ("00:00:05", ["Sun 2026-11-22 13:46:35", "Sun 2026-11-22 13:46:40", "Sun 2026-11-22 13:46:45"]),
        ("1.02:00", ["Mon 2026-11-23 15:46:30", "Tue 2026-11-24 17:46:30", "Wed 2026-11-25 19:46:30"]),
    ],
)
def test_next_times(expression: str, expected: list[str]) -> None:
    assert times(expression) == expected


def test_day_must_fit_month_and_week() -> None:
    assert times("0 0 0 13 * Fri", n=2) == ["Fri 2027-08-13 00:00:00", "Fri 2028-10-13 00:00:00"]


def test_time_that_is_just_now_is_not_next() -> None:
    assert times("0 0 14 * * *", n=1, since=datetime(2026, 11, 22, 14)) == ["Mon 2026-11-23 14:00:00"]


def test_interval_of_24_hours_is_24_days_as_in_dotnet() -> None:
    assert read_schedule("24:00:00", {}) == Interval(timedelta(days=24))
    assert read_schedule("1.00:00:00", {}) == Interval(timedelta(days=1))


def test_app_setting_holds_the_schedule() -> None:
    settings = {"RELOAD": "0 * * * * *", "HOUR": "3"}

    assert str(read_schedule("%RELOAD%", settings)) == "Cron: '0 * * * * *'"
    assert str(read_schedule("0 0 %HOUR% * * *", settings)) == "Cron: '0 0 3 * * *'"


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("%MISSING%", "'%MISSING%' does not resolve to a value; add the app setting MISSING"),
        ("%EMPTY%", "does not resolve"),
        ("hourly", "schedule 'hourly' is neither NCRONTAB"),
        ("* * * *", "is neither NCRONTAB"),
        ("* * * * * * *", "is neither NCRONTAB"),
        ("00:00:00", "is no time at all"),
        ("60 * * * * *", "'60' is no second; give 0 to 59"),
        ("0 0 24 * * *", "'24' is no hour"),
        ("0 0 0 0 * *", "'0' is no day; give 1 to 31"),
        ("0 0 0 * 13 *", "'13' is no month; give 1 to 12.*names such as jan"),
        ("0 0 0 * * 7", "'7' is no day of the week; give 0 to 6"),
        ("0 0 0 * * Xmas", "'Xmas' is no day of the week"),
        ("0 */0 * * * *", r"'\*/0' is no minute"),
        ("0 , * * * *", "'' is no minute"),
        ("0 1-x * * * *", "'1-x' is no minute"),
        ("0 -1 * * * *", "'-1' is no minute"),
    ],
)
def test_what_is_no_schedule_is_named(expression: str, said: str) -> None:
    with pytest.raises(ScheduleError, match=said):
        read_schedule(expression, {"EMPTY": ""})


def test_schedule_that_never_comes_is_refused() -> None:
    with pytest.raises(ScheduleError, match="'0 0 0 30 2 \\*' never comes"):
        read_schedule("0 0 0 30 2 *", {}).next_after(SUNDAY)


@given(
    since=st.datetimes(min_value=datetime(2000, 1, 1), max_value=datetime(2060, 1, 1)),
    fields=st.tuples(
        st.sampled_from(["0", "*", "7", "*/20", "58,59"]),
        st.sampled_from(["0", "*", "59", "10-12", "*/25"]),
        st.sampled_from(["*", "0", "23", "9-17/4"]),
        st.sampled_from(["*", "1", "31", "28-30"]),
        st.sampled_from(["*", "12", "1-3"]),
        st.sampled_from(["*", "0", "1-5", "6"]),
    ),
)
def test_next_time_is_later_and_allowed_and_nothing_allowed_is_passed_over(
    since: datetime, fields: tuple[str, ...]
) -> None:
    schedule = Crontab.parse(" ".join(fields))

    found = schedule.next_after(since)

    assert found > since
    assert _allows(schedule, found)
    passed = (since.replace(microsecond=0) + timedelta(seconds=second) for second in range(1, 2000))
    assert not any(_allows(schedule, moment) for moment in passed if moment < found)


def _allows(schedule: Crontab, moment: datetime) -> bool:
    return (
        moment.second in schedule.seconds
        and moment.minute in schedule.minutes
        and moment.hour in schedule.hours
        and moment.day in schedule.days
        and moment.month in schedule.months
        and moment.isoweekday() % 7 in schedule.weekdays
    )
