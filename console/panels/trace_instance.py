"""How the instance was in the minute of a request, against the hour around it."""

from collections.abc import Mapping

import streamlit as st

from console.analysis.instance_moment import FEWEST_MINUTES, Reading, read_moment_of
from console.analysis.trace import Operation, Span
from console.asking import Answer
from console.formats import number, share
from console.page import panel
from console.pieces import Tile, Tone, nothing, tiles
from console.telemetry import Table


def show_moment(around: Mapping[str, Answer], operation: Operation, request: Span) -> None:
    """Draw what the instance told of that minute, each figure against what is normal for it."""
    contention, concurrency = around["contention"], around["concurrency"]
    found = {
        (label, unit): reading
        for label, unit, answer, column, factor in (
            ("Most in flight", "", concurrency, "most_in_flight", 1.0),
            ("Longest model queue", "", concurrency, "longest_queue", 1.0),
            ("CPU", "cores", contention, "cpu", 1.0),
            ("Longest loop lag", "ms", contention, "longest_loop_lag_ms", 1.0),
            ("Throttled", "ms/s", contention, "throttled", 1e3),
            ("Memory", "MiB", contention, "most_memory_mib", 1.0),
        )
        if (reading := _reading(answer.table, column, operation, factor)) is not None
    }
    unusual = [label for (label, _), reading in found.items() if reading.is_unusual]
    whose = request.instance or "The instance"
    if unusual:
        title = f"{whose} was not as usual: {', '.join(_first_lower(each) for each in unusual)}"
    elif not found:
        title = "How the instance was just then"
    elif max(reading.n_others for reading in found.values()) < FEWEST_MINUTES:
        title = f"{whose} had run too short a time to say what is usual for it"
    else:
        title = f"{whose} was as usual"

    def draw(*_: Table) -> None:
        if not found:
            st.html(nothing("The instance sent no metrics in that minute."))
            return
        st.html(tiles([_reading_tile(label, unit, reading) for (label, unit), reading in found.items()]))

    panel(
        title,
        [contention, concurrency],
        draw,
        key="moment",
        note="The minute of the request against the others of the hour around it; the lines end in that minute.",
        empty="The instance sent no metrics in the hour around it.",
    )


def _reading(table: Table, column: str, operation: Operation, factor: float) -> Reading | None:
    found = read_moment_of(table, column, operation.began, operation.ended)
    if found is None or factor == 1.0:
        return found
    before = tuple(value * factor for value in found.before)
    return Reading(found.now * factor, found.normal * factor, found.rank, found.n_others, before)


def _reading_tile(label: str, unit: str, reading: Reading) -> Tile:
    tone: Tone = "bad" if reading.is_unusual else "quiet"
    delta = f"normally {_figure(reading.normal)}" if reading.n_others else "nothing to compare with"
    if reading.is_unusual:
        delta += ", most of the hour" if reading.rank == 1 else f", more than in {share(reading.rank)} of it"
    return Tile(
        label,
        _figure(reading.now),
        unit=unit,
        delta=delta,
        tone=tone,
        spark=reading.before,
        help=f"Normally: the median of {reading.n_others} other minutes of this instance.",
    )


def _figure(value: float) -> str:
    size = abs(value)
    return number(value, 0 if size >= 10 or value == int(value) else 1 if size >= 1 else 2)


def _first_lower(text: str) -> str:
    return text if text[:2].isupper() else text[:1].lower() + text[1:]
