"""One operation: its spans in order, and what it is about."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from console.telemetry import Table

EDGE = timedelta(minutes=5)
"An operation that began in a range may end so long after it."
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

    @property
    def waited_for_a_start(self) -> bool:
        """It came while its process was still starting."""
        return self.properties.get("recserve.impacted") == "True"


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


def read_operation(table: Table) -> Operation | None:
    """The spans of `trace`; None where it has no rows."""
    spans = [_span(row) for row in table.rows() if row["at"] is not None]
    if not spans:
        return None
    ordered = sorted(_to_the_microsecond(spans), key=lambda span: (span.at, _rank(span)))
    return Operation(tuple(ordered))


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
