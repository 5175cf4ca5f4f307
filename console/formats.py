"""Numbers and times as the console writes them. What is not known is a dash."""

import math
import re
from datetime import UTC, datetime, timedelta

UNKNOWN = "–"


def ms(value: float | None) -> str:
    """Milliseconds: `0.31 ms`, `41 ms`, `2.4 s`."""
    if _is_unknown(value):
        return UNKNOWN
    assert value is not None
    if abs(value) >= 1000:
        return f"{value / 1000:,.1f} s" if abs(value) < 100_000 else f"{value / 1000:,.0f} s"
    return f"{_rounded(value)} ms"


def number(value: float | None, decimals: int = 0) -> str:
    """With thousands apart: `1,234`."""
    return UNKNOWN if _is_unknown(value) else f"{value:,.{decimals}f}"


def short(value: float | None) -> str:
    """To three figures: `12.3 k`, `1.2 M`."""
    if _is_unknown(value):
        return UNKNOWN
    assert value is not None
    for bound, letter in ((1e9, " G"), (1e6, " M"), (1e4, " k")):
        if abs(value) >= bound:
            scaled = value / (1e3 if letter == " k" else bound)
            return f"{scaled:.1f}{letter}" if abs(scaled) < 100 else f"{scaled:,.0f}{letter}"
    return f"{value:,.0f}" if abs(value) >= 10 or value == int(value) else _rounded(value)


def share(value: float | None) -> str:
    """A share in percent: `0.04 %`, `1.2 %`, `87 %`."""
    if _is_unknown(value):
        return UNKNOWN
    assert value is not None
    percent = value * 100
    decimals = 0 if percent == 0 or abs(percent) >= 10 else 1 if abs(percent) >= 1 else 2
    return f"{percent:.{decimals}f} %"


def usd(value: float | None) -> str:
    """US dollars: `$0.0042`, `$3.10`, `$1,240`."""
    if _is_unknown(value):
        return UNKNOWN
    assert value is not None
    size = abs(value)
    decimals = 0 if size >= 1000 or value == 0 else 2 if size >= 1 else 3 if size >= 0.1 else 4
    return f"{'-' if value < 0 else ''}${size:,.{decimals}f}"


def age(length: timedelta) -> str:
    """How long, in its largest unit: `8 s`, `3 min`, `5 h`, `2 d`."""
    seconds = max(length.total_seconds(), 0.0)
    for bound, size, unit in ((120, 1, "s"), (7200, 60, "min"), (172_800, 3600, "h")):
        if seconds < bound:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds / 86_400:.0f} d"


def length(width: timedelta) -> str:
    """How wide an interval is: `30 s`, `5 min`."""
    seconds = int(width.total_seconds())
    return f"{seconds // 60} min" if seconds % 60 == 0 else f"{seconds} s"


def apart(text: str) -> tuple[str, str]:
    """Number and unit of a written figure, as a tile takes them: `41 ms` is `41` and `ms`."""
    value, _, unit = text.partition(" ")
    return value, unit


def as_markdown(text: str) -> str:
    """Text that Markdown shows as it is: no link, picture, icon, formula or emphasis comes of it."""
    return re.sub(r"[\\`*_{}\[\]<#$~]|:(?=[\w/])", r"\\\g<0>", text)


def clock(at: datetime) -> str:
    """The time of day, UTC: `19:04:10`."""
    return at.astimezone(UTC).strftime("%H:%M:%S")


def moment(at: datetime) -> str:
    """Day and time, UTC: `22 Nov 19:04`."""
    at = at.astimezone(UTC)
    return f"{at.day} {at:%b %H:%M}" + (f":{at:%S}" if at.second else "")


def between(since: datetime, until: datetime) -> str:
    """A range, the day once where it is the same: `22 Nov 19:04 – 19:09`."""
    since, until = since.astimezone(UTC), until.astimezone(UTC)
    last = moment(until)
    if since.date() == until.date():
        last = last.partition(f"{until:%b} ")[2]
    return f"{moment(since)} – {last}"


def _rounded(value: float) -> str:
    size = abs(value)
    return f"{value:.{0 if size >= 10 or value == 0 else 1 if size >= 1 else 2}f}"


def _is_unknown(value: float | None) -> bool:
    return value is None or not math.isfinite(value)
