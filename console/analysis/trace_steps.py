"""What happened in an operation, step by step: its waterfall, and what each phase took."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from console.analysis.latency import PHASES
from console.analysis.trace import Operation, Span

OTHER_PHASES: Mapping[str, str] = {"search": "searching the catalogue", "models": "loading models"}
ALL_PHASES: Mapping[str, str] = {
    name: PHASES.get(name) or OTHER_PHASES[name]
    for name in ("startup", "admit", "state", "queue", "infer", "rank", "search", "models", "encode")
}
"What a phase is, in the order of time."
LEAST_MS = 0.0005
"A phase below it was passed, not spent."


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
