"""Traffic: how much comes when, from a rate, a generator, a trace or telemetry.

120/s                                      independent users (Poisson) at one rate
bursty:120/s,burst=10,calm=20s,spell=5s    calm and burst spells (MMPP-2), rates in the ratio `burst`
diurnal:120/s,peak=4,period=24h            a day's curve, its peak `peak` times its trough
trace:arrivals.csv,rate=40/s,speed=2       recorded arrivals, in a schema of `planner/traces.py`
arrivals.csv                               the same, as they were
telemetry:7d                               the last days of Application Insights
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from planner.arrivals import Phase, around_mean, bursty, diurnal, poisson
from planner.arrivals import replay as replay_recorded
from planner.telemetry import Telemetry
from planner.traces import read_trace

DURATION_S = 3600.0
"Of traffic that has no end of its own."
SECONDS = {"s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
DAY_S = 86400.0
MOST_ARRIVALS = 20_000_000
Draw = Callable[[np.random.Generator, float], NDArray[np.float64]]
"Arrivals from a generator and a factor on the rate; ascending from 0, (n_arrivals,)."


class TrafficError(ValueError):
    """Traffic that cannot be read or does not exist; the message names value and remedy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """Arrivals that can be had again, more or fewer of them.

    Attributes:
        name: as it was asked for.
        duration_s: from its beginning to its end.
        period_s: after which it repeats itself, as a day does; None where it does not.
        begins_s: its beginning, seconds after midnight UTC.
        is_drawn: whether another seed gives other arrivals.
        left_out: what a sample leaves out, in words; empty where it is all there.
    """

    name: str
    duration_s: float
    period_s: float | None = None
    begins_s: float = 0.0
    is_drawn: bool
    draw: Draw
    left_out: str = ""

    def arrivals_s(self, *, seed: int, factor: float = 1.0) -> NDArray[np.float64]:
        """Arrivals from the beginning on, ascending, (n_arrivals,).

        Args:
            seed: of what is drawn; the same gives the same arrivals.
            factor: on the rate.

        Raises:
            TrafficError: nothing arrives.
        """
        arrivals_s = self.draw(np.random.default_rng(seed), factor)
        if not len(arrivals_s):
            raise TrafficError(f"traffic {self.name!r} has no arrivals; raise its rate, or its --duration")
        return arrivals_s


def parse_traffic(
    text: str, *, duration_s: float | None = None, telemetry: Callable[[], Telemetry] | None = None
) -> Traffic:
    """Understand what was typed after `--traffic`.

    Args:
        text: see the module's docstring.
        duration_s: how long; None: an hour, or as long as it was recorded.
        telemetry: opens the workspace that `telemetry:` asks.

    Raises:
        TrafficError: it cannot be understood, or makes no sense.
        TraceError: a trace cannot be read.
        TelemetryError: telemetry does not answer.
    """
    if duration_s is not None and not 0 < duration_s < math.inf:
        raise TrafficError(f"a duration of {duration_s:g} s; send more than 0")
    kind, separator, rest = text.partition(":")
    if not separator:
        if is_rate(text):
            return _poisson(text, text, {}, duration_s)
        return _trace(text, text, {}, duration_s)
    if kind == "telemetry":
        if telemetry is None:
            raise TrafficError(f"{text!r} needs a workspace; name one with --workspace")
        return read_arrivals(telemetry(), days=parse_duration_s(rest) / DAY_S, name=text)
    if kind not in _KINDS:
        raise TrafficError(
            f"unknown traffic {text!r}; send a rate as 120/s, a file with arrivals, or one of "
            f"{', '.join(f'{known}:' for known in (*_KINDS, 'telemetry'))}"
        )
    read, known = _KINDS[kind]
    first, *pairs = rest.split(",")
    options = dict(_option(pair, text, known) for pair in pairs)
    return read(text, first, options, duration_s)


def is_rate(text: str) -> bool:
    return bool(re.fullmatch(r"[-+0-9.eE]+\s*/\s*(s|m|min|h|d)", text.strip()))


def parse_rate_per_s(text: str) -> float:
    """`120/s`, `500/min` or `2000/h` as requests a second.

    Raises:
        TrafficError: it is none, or not above 0.
    """
    number, _, unit = text.partition("/")
    try:
        rate_per_s = float(number) / SECONDS[unit.strip()]
    except (ValueError, KeyError):
        raise TrafficError(f"{text!r} is no rate; send requests a second as 120/s, or /min, /h, /d") from None
    if not 0 < rate_per_s < math.inf:
        raise TrafficError(f"a rate of {text}; send more than 0, as 120/s")
    return rate_per_s


def parse_duration_s(text: str) -> float:
    """`90s`, `15m`, `1h` or `7d` in seconds.

    Raises:
        TrafficError: it is none, or not above 0.
    """
    found = re.fullmatch(r"([-+0-9.eE]+)\s*(s|m|min|h|d)?", text.strip())
    try:
        duration_s = float(found[1]) * SECONDS[found[2] or "s"] if found else math.nan
    except ValueError:
        duration_s = math.nan
    if not 0 < duration_s < math.inf:
        raise TrafficError(f"{text!r} is no duration; send one above 0 as 90s, 15m, 1h or 7d")
    return duration_s


def read_arrivals(telemetry: Telemetry, *, days: float, name: str, now: datetime | None = None) -> Traffic:
    """The requests of the last days, counted by the second, each at a random instant of its second.

    The host's requests count; where the host sends none, those that the app tells of do. Days are asked one
    by one: an answer has at most 500,000 rows.

    Raises:
        TrafficError: there was none.
        TelemetryError: telemetry does not answer.
    """
    now = now or datetime.now(UTC)
    begin = (now - timedelta(days=days)).replace(microsecond=0)
    for query in ("arrivals", "app_arrivals"):
        seconds: list[float] = []
        counts: list[int] = []
        start = begin
        while start < now:
            end = min(start + timedelta(days=1), now)
            for row in telemetry.ask(query, (start, end)):
                seconds.append((row["second"] - begin).total_seconds())
                counts.append(int(row["n"]))
            start = end
        if counts:
            break
    else:
        raise TrafficError(
            f"the last {days:g} days of {telemetry.endpoint} have no requests for recommendations; "
            "look back further, or plan for a rate as 120/s"
        )
    duration_s = (now - begin).total_seconds()
    begins_s = (begin - begin.replace(hour=0, minute=0, second=0)).total_seconds()
    at_s = np.maximum(np.repeat(np.array(seconds), np.array(counts)), 0.0)

    def draw(rng: np.random.Generator, factor: float) -> NDArray[np.float64]:
        recorded_s = np.sort(np.minimum(at_s + rng.random(len(at_s)), duration_s))
        return _scaled(recorded_s, factor, duration_s, rng)

    return Traffic(
        name=name,
        duration_s=duration_s,
        period_s=DAY_S if days >= 1 else None,
        begins_s=begins_s,
        is_drawn=True,
        draw=draw,
    )


def _poisson(text: str, rate: str, options: Mapping[str, str], duration_s: float | None) -> Traffic:
    rate_per_s, length_s = parse_rate_per_s(rate), duration_s or DURATION_S
    _check_count(text, rate_per_s, length_s)
    return Traffic(
        name=text,
        duration_s=length_s,
        is_drawn=True,
        draw=lambda rng, factor: poisson([Phase(rate_per_s * factor, length_s)], rng),
    )


def _bursty(text: str, rate: str, options: Mapping[str, str], duration_s: float | None) -> Traffic:
    rate_per_s, length_s = parse_rate_per_s(rate), duration_s or DURATION_S
    _check_count(text, rate_per_s, length_s)
    ratio = _ratio(options.get("burst", "10"), "burst")
    calm_s = parse_duration_s(options.get("calm", "20s"))
    burst_s = parse_duration_s(options.get("spell", "5s"))

    def draw(rng: np.random.Generator, factor: float) -> NDArray[np.float64]:
        calm, burst = around_mean(rate_per_s * factor, burst_over_calm=ratio, calm_s=calm_s, burst_s=burst_s)
        return bursty(calm, burst, duration_s=length_s, rng=rng)

    return Traffic(name=text, duration_s=length_s, is_drawn=True, draw=draw)


def _diurnal(text: str, rate: str, options: Mapping[str, str], duration_s: float | None) -> Traffic:
    rate_per_s = parse_rate_per_s(rate)
    period_s = parse_duration_s(options.get("period", "24h"))
    length_s = duration_s or period_s
    _check_count(text, rate_per_s, length_s, remedy="a day pressed into less, as period=1h, or ")
    ratio = _ratio(options.get("peak", "4"), "peak")

    def draw(rng: np.random.Generator, factor: float) -> NDArray[np.float64]:
        return diurnal(
            rate_per_s * factor, peak_over_trough=ratio, period_s=period_s, duration_s=length_s, rng=rng
        )

    return Traffic(name=text, duration_s=length_s, period_s=period_s, is_drawn=True, draw=draw)


def _trace(text: str, file: str, options: Mapping[str, str], duration_s: float | None) -> Traffic:
    trace = read_trace(Path(file))
    rate_per_s = parse_rate_per_s(options["rate"]) if "rate" in options else None
    speed = _ratio(options.get("speed", "1"), "speed", least=0.0)
    recorded_s = trace.arrivals_s
    n_gaps = max(1, len(recorded_s) - 1)
    length_s = duration_s or trace.span_s * (n_gaps + 1) / n_gaps / speed
    if not length_s:
        raise TrafficError(f"all arrivals of {file!r} are at one instant; name a longer trace, or a rate")

    def draw(rng: np.random.Generator, factor: float) -> NDArray[np.float64]:
        try:
            at_s = replay_recorded(
                recorded_s, speed=speed, rate_per_s=rate_per_s, duration_s=duration_s, rng=rng
            )
        except ValueError as err:
            raise TrafficError(f"traffic {text!r}: {err}") from err
        return _scaled(at_s, factor, length_s, rng)

    return Traffic(
        name=text,
        duration_s=length_s,
        period_s=DAY_S if length_s >= DAY_S else None,
        is_drawn=rate_per_s is not None,
        draw=draw,
    )


_KINDS: dict[str, tuple[Callable[[str, str, Mapping[str, str], float | None], Traffic], tuple[str, ...]]] = {
    "poisson": (_poisson, ()),
    "bursty": (_bursty, ("burst", "calm", "spell")),
    "diurnal": (_diurnal, ("peak", "period")),
    "trace": (_trace, ("rate", "speed")),
}


def _scaled(
    arrivals_s: NDArray[np.float64], factor: float, length_s: float, rng: np.random.Generator
) -> NDArray[np.float64]:
    """More or fewer of recorded arrivals, as `planner.arrivals.replay` does it."""
    if factor == 1 or not len(arrivals_s):
        return arrivals_s
    return replay_recorded(
        arrivals_s, rate_per_s=len(arrivals_s) * factor / length_s, duration_s=length_s, rng=rng
    )


def _option(pair: str, text: str, known: tuple[str, ...]) -> tuple[str, str]:
    name, separator, value = pair.partition("=")
    if not separator or name.strip() not in known:
        allowed = ", ".join(f"{each}=" for each in known) or "no options"
        raise TrafficError(f"{pair!r} in traffic {text!r} is not known; it takes {allowed}")
    return name.strip(), value.strip()


def _ratio(text: str, name: str, *, least: float = 1.0) -> float:
    try:
        ratio = float(text)
    except ValueError:
        ratio = math.nan
    if not (least <= ratio < math.inf and ratio > 0):
        raise TrafficError(
            f"{name}={text} is not allowed; send a number {f'from {least:g}' if least else 'above 0'}"
        )
    return ratio


def _check_count(text: str, rate_per_s: float, length_s: float, *, remedy: str = "") -> None:
    if rate_per_s * length_s > MOST_ARRIVALS:
        raise TrafficError(
            f"traffic {text!r} has {rate_per_s * length_s:,.0f} arrivals in {length_s:g} s, and at most "
            f"{MOST_ARRIVALS:,} are drawn; send {remedy}a shorter --duration, at most {MOST_ARRIVALS / rate_per_s:.0f}s"
        )
