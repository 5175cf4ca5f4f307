"""Values of envelopes as the service stores them."""

import math
import re
from datetime import datetime
from typing import Any

MAX_INT = 2**31 - 1
"The largest value of a column of type int."
_SEVERITIES = {"verbose": 0, "information": 1, "warning": 2, "error": 3, "critical": 4}
_DURATION = re.compile(r"(?:(\d+)\.)?(\d+):(\d+):(\d+)(?:\.(\d+))?")
_COUNTER = re.compile(r"\\(?P<category>[^\\(]+)(?:\((?P<instance>[^)]*)\))?\\(?P<counter>.+)")
_BUCKETS_MS = (
    (250, "<250ms"),
    (500, "250ms-500ms"),
    (1_000, "500ms-1sec"),
    (3_000, "1sec-3sec"),
    (7_000, "3sec-7sec"),
    (15_000, "7sec-15sec"),
    (30_000, "15sec-30sec"),
    (60_000, "30sec-1min"),
    (120_000, "1min-2min"),
    (300_000, "2min-5min"),
    (math.inf, ">=5min"),
)


def text(value: object) -> str | None:
    """Text of any scalar; None of nothing and of what is no scalar."""
    if value is None or isinstance(value, str):
        return value
    return str(value) if isinstance(value, int | float) else None


def number(value: object) -> float | None:
    """A finite number; JSON numbers and numbers in text."""
    try:
        read = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return None
    return read if math.isfinite(read) else None


def flag(value: object) -> bool:
    """Truth, also as text."""
    return value.lower() == "true" if isinstance(value, str) else bool(value)


def timestamp(value: datetime) -> str:
    """UTC in the form that DuckDB casts to TIMESTAMP."""
    return value.replace(tzinfo=None).isoformat(sep=" ")


def duration_ms(value: object) -> float | None:
    """A .NET time span, `[d.]hh:mm:ss[.fffffff]`, in ms."""
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        return number(value)
    days, hours, minutes, seconds, fraction = match.groups()
    whole_s = ((int(days or 0) * 24 + int(hours)) * 60 + int(minutes)) * 60 + int(seconds)
    return whole_s * 1e3 + (float(f"0.{fraction}") * 1e3 if fraction else 0.0)


def performance_bucket(duration: object) -> str | None:
    """The service's name for how long it took."""
    ms = duration_ms(duration)
    if ms is None:
        return None
    return next(name for below_ms, name in _BUCKETS_MS if ms < below_ms)


def severity(value: object) -> int | None:
    """0 (verbose) to 4 (critical), from its name or number."""
    if isinstance(value, str):
        return _SEVERITIES.get(value.lower())
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    return value if 0 <= value <= 4 else None


def measurements(value: object) -> dict[str, object]:
    """A bag of numbers, which are all doubles to the service; what is no number stays as it is."""
    if not isinstance(value, dict):
        return {}
    reals = {key: number(of_key) for key, of_key in value.items() if type(of_key) in (int, float)}
    return value | {key: real for key, real in reals.items() if real is not None}


def masked_ip(value: object) -> str | None:
    """What the service keeps of an address unless told otherwise: nothing but that there was one."""
    return "0.0.0.0" if value else None


def performance_counter(name: object) -> dict[str, Any]:
    """Category, instance and counter of `\\Category(instance)\\counter`; empty for any other name."""
    match = _COUNTER.fullmatch(name) if isinstance(name, str) else None
    return match.groupdict() if match else {}
