"""One operation as a story: its spans in order, what each phase took, and how the instance was just then."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from console.analysis.latency import PHASES
from console.telemetry import Table

OTHER_PHASES: Mapping[str, str] = {"search": "searching the catalogue", "models": "loading models"}
ALL_PHASES: Mapping[str, str] = {
    name: PHASES.get(name) or OTHER_PHASES[name]
    for name in ("startup", "admit", "state", "queue", "infer", "rank", "search", "models", "encode")
}
"What a phase is, in the order of time."
FEWEST_MINUTES = 5
"Below so many others, nobody can say what is normal."
LEAST_MS = 0.0005
"A phase below it was passed, not spent."
SAMPLED_FOR = timedelta(minutes=1)
"Metrics are sent once a minute, dated with its end."

_ORDER = ("host", "cold_start", "request", "phase", "cold_start_phase", "shadow", "log", "exception")


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A row of `trace`."""

    kind: str
    "host, request, phase, cold_start, cold_start_phase, shadow, log or exception."
    name: str
    at: datetime
    duration_ms: float
    id: str
    parent_id: str
    instance: str
    process: str
    outcome: str
    properties: Mapping[str, str]
    measurements: Mapping[str, float]

    @property
    def ended(self) -> datetime:
        return self.at + timedelta(milliseconds=self.duration_ms)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A bar of the waterfall."""

    label: str
    kind: str
    "A span's, or `between` for the time between the host and the app."
    colour: str
    "Name of a phase; empty for what is none."
    after_ms: float
    "From the first span of the operation."
    took_ms: float
    meaning: str


@dataclass(frozen=True, slots=True)
class Operation:
    """All that telemetry has of one operation id, by time; at least one span."""

    spans: tuple[Span, ...]

    @property
    def began(self) -> datetime:
        return min(span.at for span in self.spans)

    @property
    def ended(self) -> datetime:
        return max(span.ended for span in self.spans)

    @property
    def request(self) -> Span | None:
        """The longest of its requests; an operation of a caller may have several."""
        return self._longest("request")

    @property
    def cold_start(self) -> Span | None:
        return self._longest("cold_start")

    @property
    def main(self) -> Span:
        """What the operation is about."""
        return self.request or self.cold_start or self._longest("host") or self.spans[0]

    @property
    def told(self) -> tuple[Span, ...]:
        """Logs and exceptions."""
        return tuple(span for span in self.spans if span.kind in ("log", "exception"))

    @property
    def has_phase_spans(self) -> bool:
        """It was kept for a reason; else its phases are known by their lengths alone."""
        return any(span.kind == "phase" for span in self.spans)

    def host_of(self, request: Span) -> Span | None:
        hosts = [span for span in self.spans if span.kind == "host"]
        return next((host for host in hosts if host.id == request.parent_id), hosts[0] if hosts else None)

    def of_kind(self, kind: str) -> list[Span]:
        return [span for span in self.spans if span.kind == kind]

    def _longest(self, kind: str) -> Span | None:
        return max(self.of_kind(kind), key=lambda span: span.duration_ms, default=None)


@dataclass(frozen=True, slots=True)
class Reading:
    """One figure of an instance at a moment, against the rest of the time around it."""

    now: float
    normal: float
    "Median of the other minutes; NaN where there are none."
    rank: float
    "Share of the other minutes that were lower."
    n_others: int
    before: tuple[float, ...]
    "By minute, oldest first, up to the moment."

    @property
    def is_unusual(self) -> bool:
        """Higher than nearly ever, and by half at least."""
        return (
            self.n_others >= FEWEST_MINUTES and self.rank >= 0.95 and self.now > 1.5 * max(self.normal, 1e-9)
        )


def read_operation(table: Table) -> Operation | None:
    """The spans of `trace`; None where it has no rows."""
    spans = [_span(row) for row in table.rows() if row["at"] is not None]
    if not spans:
        return None
    ordered = sorted(_to_the_microsecond(spans), key=lambda span: (span.at, _rank(span)))
    return Operation(tuple(ordered))


def phases_ms(request: Span) -> dict[str, float]:
    """What a request's phases took, in the order of time; those that it has not are left out."""
    known = {phase: request.measurements.get(f"{phase}_ms") for phase in ALL_PHASES}
    return {phase: took for phase, took in known.items() if took is not None}


def steps(operation: Operation) -> list[Step]:
    """The waterfall: host, request, what lies between them, phases; a cold start with its phases likewise."""
    zero = operation.began
    found: list[Step] = []
    for span in operation.spans:
        if span.kind == "host":
            found.append(_step(span, zero, "host", span.name))
        elif span.kind == "request":
            inside = _step(span, zero, f"{span.name} in the app", "From the app's first stamp to its last.")
            if span is not operation.request:
                found.append(inside)
                continue
            before, after = _between(operation.host_of(span), span, zero)
            found += [*before, inside, *_phase_steps(operation, span, zero), *after]
        elif span.kind == "cold_start":
            found.append(_step(span, zero, "start of the process", "From the process's start to readiness."))
        elif span.kind == "cold_start_phase":
            found.append(_step(span, zero, span.name, "A part of the start."))
        elif span.kind == "shadow":
            found.append(
                _step(span, zero, "shadow run", "Another model on the same input; nobody waits for it.")
            )
    return found


def slowest_part(request: Span, typical: Mapping[str, float]) -> tuple[str, float, float] | None:
    """The phase that took the most above the typical request: its name, what it took and what is typical, ms."""
    spent = phases_ms(request)
    if not spent:
        return None
    phase = max(spent, key=lambda name: spent[name] - typical.get(f"{name}_ms", 0.0))
    return phase, spent[phase], typical.get(f"{phase}_ms", 0.0)


def read_moment_of(table: Table, column: str, began: datetime, ended: datetime) -> Reading | None:
    """A column of one instance's minutes at the operation; None where its minute is not there.

    Args:
        table: with `interval_start`, a minute each.
    """
    if not table.n_rows:
        return None
    starts, values = table["interval_start"], table[column]
    first = np.datetime64(began.replace(tzinfo=None, second=0, microsecond=0), "us")
    last = np.datetime64((ended + SAMPLED_FOR).replace(tzinfo=None), "us")
    is_known = np.isfinite(values)
    is_then = (starts >= first) & (starts <= last) & is_known
    if not is_then.any():
        return None
    others = values[is_known & ~is_then]
    now = float(values[is_then].max())
    before = values[is_known & (starts <= last)]
    return Reading(
        now,
        float(np.median(others)) if len(others) else float("nan"),
        float((others < now).mean()) if len(others) else float("nan"),
        len(others),
        tuple(before[-30:].tolist()),
    )


def _span(row: Mapping[str, Any]) -> Span:
    measurements = _numbers(_object(row["measurements"]))
    return Span(
        kind=row["span_kind"] or "span",
        name=row["name"] or "",
        at=row["at"],
        duration_ms=measurements.get("duration_ms", _finite(row["duration_ms"])),
        id=row["id"] or "",
        parent_id=row["parent_id"] or "",
        instance=row["instance"] or "",
        process=row["process"] or "",
        outcome=row["outcome"] or "",
        properties={name: str(value) for name, value in _object(row["properties"]).items()},
        measurements=measurements,
    )


def _to_the_microsecond(spans: Sequence[Span]) -> list[Span]:
    """The spans, with what the span above measured as the length of a phase.

    The exporter writes lengths of spans in whole milliseconds, and most phases take less.
    """
    by_id = {span.id: span for span in spans if span.kind in ("request", "cold_start")}
    times = Counter((span.parent_id, span.name) for span in spans)

    def precise(span: Span) -> Span:
        above = by_id.get(span.parent_id)
        if above is None or span.kind not in ("phase", "cold_start_phase"):
            return span
        # A phase that comes twice is measured as a sum; `ready_ms` of a start is all of it.
        if times[span.parent_id, span.name] > 1 or span.name == "ready":
            return span
        name = f"{span.name.replace(' ', '_').replace('.', '_')}_ms"
        return replace(span, duration_ms=above.measurements.get(name, span.duration_ms))

    return [precise(span) for span in spans]


def _rank(span: Span) -> int:
    """Of what begins at one moment, what holds the others comes first."""
    return _ORDER.index(span.kind) if span.kind in _ORDER else len(_ORDER)


def _step(span: Span, zero: datetime, label: str, meaning: str, *, colour: str = "") -> Step:
    return Step(
        label=label,
        kind=span.kind,
        colour=colour,
        after_ms=_ms(span.at - zero),
        took_ms=span.duration_ms,
        meaning=meaning,
    )


def _between(host: Span | None, request: Span, zero: datetime) -> tuple[list[Step], list[Step]]:
    """What the host took before and after the app, where it took any."""
    if host is None:
        return [], []

    def gap(label: str, since: datetime, until: datetime, meaning: str) -> list[Step]:
        took_ms = _ms(until - since)
        step = Step(
            label=label,
            kind="between",
            colour="",
            after_ms=_ms(since - zero),
            took_ms=took_ms,
            meaning=meaning,
        )
        return [step] if took_ms >= LEAST_MS else []

    return (
        gap(
            "host to app",
            host.at,
            request.at,
            "The host takes the request and hands it to the app's process.",
        ),
        gap("app to host", request.ended, host.ended, "The host takes the answer and sends it."),
    )


def _phase_steps(operation: Operation, request: Span, zero: datetime) -> Iterable[Step]:
    if operation.has_phase_spans:
        for span in operation.of_kind("phase"):
            if span.parent_id in ("", request.id) and span.duration_ms >= LEAST_MS:
                yield _step(span, zero, span.name, ALL_PHASES.get(span.name, ""), colour=span.name)
        return
    after_ms = _ms(request.at - zero)
    for phase, took_ms in phases_ms(request).items():
        if took_ms < LEAST_MS:
            continue
        yield Step(
            label=phase,
            kind="phase",
            colour=phase,
            after_ms=after_ms,
            took_ms=took_ms,
            meaning=ALL_PHASES[phase],
        )
        after_ms += took_ms


def _ms(length: timedelta) -> float:
    return length / timedelta(milliseconds=1)


def _object(text: str | None) -> Mapping[str, Any]:
    try:
        value = json.loads(text or "{}")
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _numbers(values: Mapping[str, Any]) -> dict[str, float]:
    return {
        name: float(value)
        for name, value in values.items()
        if isinstance(value, int | float) and not isinstance(value, bool) and np.isfinite(value)
    }


def _finite(value: float | None) -> float:
    return 0.0 if value is None or not np.isfinite(value) or value < 0 else float(value)
