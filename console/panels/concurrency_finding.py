"""At what in-flight level latency breaks, in words as sure as the data allow."""

import numpy as np

from console.analysis.knee import Knee, NoKnee
from console.asking import Answer
from console.formats import ms
from console.settings import settings


def finding(answer: Answer, found: Knee | NoKnee, limit: float | None) -> str:
    """The view's answer in a sentence."""
    if answer.is_failed:
        return ""
    if not answer.has_rows:
        return "No request was answered in this range, so there is nothing to tell."
    slo_ms = settings().slo_ms
    if isinstance(found, NoKnee):
        most = float(np.nanmax(answer.table["mean_in_flight"]))
        if found.low is not None and found.high is not None:
            said = (
                f"Somewhere between {written(found.low)} and {written(found.high)} in flight on an instance, "
                f"no closer: {found.reason}."
            )
        else:
            said = f"At none that was seen: {found.reason}."
        return f"{said} At most {written(most)} were in flight on an instance" + (
            f"; the limiter allows {limit:.0f}." if limit is not None else "."
        )
    if is_wide(found):
        said = (
            f"Between {written(found.low)} and {written(found.high)} in flight on an instance (95 % interval). By the "
            f"best fit, at {written(found.in_flight)}, p99 is {ms(found.latency_ms)}"
        )
    else:
        said = (
            f"At {written(found.in_flight)} in flight on an instance (95 % interval {written(found.low)} to "
            f"{written(found.high)}): p99 is {ms(found.latency_ms)} there"
        )
    at_slo = found.in_flight_at(slo_ms)
    if at_slo is None:
        said += f", over the SLO of {ms(slo_ms)} already."
    else:
        said += f", and passes the SLO of {ms(slo_ms)} at {written(at_slo)}."
    if limit is not None:
        said += (
            f" The limiter allows {limit:.0f}: {limit / found.in_flight:.1f} x the knee."
            if limit > found.in_flight
            else f" The limiter stops at {limit:.0f}, before the knee."
        )
    return said


def place_of(found: Knee | NoKnee) -> str:
    """The knee for a tile: a number, or between which it is."""
    if found.low is None or found.high is None:
        return "–"
    if isinstance(found, NoKnee) or is_wide(found):
        return f"{written(found.low)}–{written(found.high)}"
    return written(found.in_flight)


def is_wide(found: Knee) -> bool:
    """The interval, not the best fit, is what can be said."""
    return found.high - found.low > 0.5 * found.in_flight


def written(value: float) -> str:
    """A number of requests in flight, to two figures."""
    return f"{value:.0f}" if value >= 10 else f"{value:.1f}" if value >= 0.95 else f"{value:.2f}"
