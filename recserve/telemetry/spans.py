"""Spans of what is over: built from timelines, with the times that they were stamped with."""

import json
from collections.abc import Iterable, Mapping

from opentelemetry.context import Context
from opentelemetry.trace import Span, Status, StatusCode, Tracer, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.util.types import AttributeValue

from recserve.telemetry import names
from recserve.telemetry.cause import Cause
from recserve.telemetry.cold_start import ColdStart
from recserve.telemetry.devices import Answers, Comparisons
from recserve.telemetry.outcome import FAILURES, outcome_of
from recserve.telemetry.pseudonyms import Pseudonyms
from recserve.telemetry.sampling import Choice
from recserve.telemetry.timeline import Timeline

Phases = Iterable[tuple[str, float, float]]

_w3c = TraceContextTextMapPropagator()


class SpanWriter:
    """Writes spans of requests and of the cold start.

    Args:
        tracer: where they go.
        app: name of the function app.
        process: of this worker process, on every span.
        pseudonyms: what user ids are called.
    """

    def __init__(self, tracer: Tracer, *, app: str, process: str, pseudonyms: Pseudonyms) -> None:
        self._tracer = tracer
        self._app = app
        self._process = process
        self._pseudonyms = pseudonyms

    def write_request(self, choice: Choice, unix_minus_perf_s: float) -> None:
        """One span for a request; below it, unless it was kept by chance, one for each phase.

        By chance, phases are measurements alone: they say the same for an eighth of the price.

        Args:
            choice: the request.
            unix_minus_perf_s: turns its stamps into Unix time; see `timeline.unix_minus_perf_s`.
        """
        timeline = choice.timeline
        attributes = self._attributes_of(timeline) | {names.KEPT: choice.kept}
        measurements = timeline.measurements | {names.DURATION_MS: _ms(timeline.started_s, timeline.ended_s)}
        measurements |= _phase_ms(timeline.phases())
        if timeline.is_impacted:
            measurements[names.WAIT_MS] = measurements.get(names.phase_ms("startup"), 0.0)
        span = self._start(timeline, attributes, measurements, unix_minus_perf_s, parent=_parent(timeline))
        _weigh(span, choice.sample_rate)
        if outcome_of(timeline.error) in FAILURES:
            span.set_status(Status(StatusCode.ERROR))
        if choice.kept != "rate":
            self._write_phases(
                span,
                timeline.phases(),
                unix_minus_perf_s,
                kind=names.KIND_PHASE,
                sample_rate=choice.sample_rate,
            )
        span.end(_unix_ns(timeline.ended_s, unix_minus_perf_s))

    def write_cold_start(self, cold_start: ColdStart, *, cause: Cause, attached_s: float) -> None:
        """The trace of the start of this process, by the clock of that time.

        Args:
            cause: why it started.
            attached_s: when telemetry was attached, which is after it was ready.
        """
        ready_s = cold_start.ended_s
        phases = [*cold_start.phases(), ("telemetry", ready_s, attached_s)]
        attributes: dict[str, AttributeValue] = {
            names.KIND: names.KIND_COLD_START,
            names.FAAS_COLDSTART: True,
            names.CAUSE: cause,
            names.DRIVER: cold_start.driver,
            names.MODEL_VERSION: cold_start.models_version,
            names.OUTCOME: "ok" if cold_start.is_ready else "failed",
        }
        measurements = _phase_ms(phases) | {
            names.DURATION_MS: _ms(cold_start.timeline.started_s, ready_s),
            names.READY_MS: _ms(cold_start.timeline.started_s, ready_s),
            names.EXPLAINED_MS: cold_start.explained_s * 1e3,
            names.PLACEHOLDER_MS: cold_start.placeholder_s * 1e3,
            names.N_IMPACTED: cold_start.n_impacted,
        }
        offset_s = cold_start.unix_minus_perf_s
        span = self._start(cold_start.timeline, attributes, measurements, offset_s, parent=Context())
        _weigh(span, 100.0)
        if not cold_start.is_ready:
            span.set_status(Status(StatusCode.ERROR))
        self._write_phases(span, phases, offset_s, kind=names.KIND_COLD_START_PHASE, sample_rate=100.0)
        span.end(_unix_ns(ready_s, offset_s))

    def write_edge(
        self, answers: Mapping[Answers, int], comparisons: Iterable[Comparisons], unix_minus_perf_s: float
    ) -> None:
        """What devices told: a span for each kind of answer, and for each bundle that was compared."""
        for kind, n in answers.items():
            attributes = {names.EDGE_BY: kind.by, names.EDGE_REASON: kind.reason}
            self._write_device_row(
                names.EDGE_ANSWERS,
                attributes | {names.EDGE_CLIENT: kind.client, names.EDGE_BUNDLE: kind.bundle},
                {names.N: n, names.LATENCY_MS: kind.latency_ms},
                unix_minus_perf_s,
            )
        for compared in comparisons:
            self._write_device_row(
                names.EDGE_COMPARISON,
                {names.EDGE_CLIENT: compared.client, names.EDGE_BUNDLE: compared.bundle},
                {
                    names.N: compared.n,
                    names.EDGE_OVERLAP: compared.overlap,
                    names.N_IDENTICAL: compared.n_identical,
                },
                unix_minus_perf_s,
            )

    def _write_device_row(
        self,
        name: str,
        attributes: Mapping[str, AttributeValue],
        measurements: Mapping[str, float],
        unix_minus_perf_s: float,
    ) -> None:
        timeline = Timeline(name)
        span = self._start(
            timeline,
            {names.KIND: names.KIND_EDGE, **attributes},
            measurements,
            unix_minus_perf_s,
            parent=Context(),
        )
        _weigh(span, 100.0)
        span.end(_unix_ns(timeline.started_s, unix_minus_perf_s))

    def _attributes_of(self, timeline: Timeline) -> dict[str, AttributeValue]:
        attributes: dict[str, AttributeValue] = {
            names.KIND: names.KIND_SHADOW if timeline.name == names.SHADOW else names.KIND_REQUEST,
            names.FUNCTION: timeline.name,
            names.FAAS_NAME: f"{self._app}/{timeline.name}",
            names.FAAS_TRIGGER: "http",
            names.FAAS_COLDSTART: timeline.is_cold,
            names.OUTCOME: outcome_of(timeline.error),
            names.IMPACTED: timeline.is_impacted,
            **timeline.attributes,
        }
        if timeline.invocation_id:
            attributes[names.FAAS_INVOCATION_ID] = timeline.invocation_id
        if timeline.error is not None:
            attributes[names.ERROR] = attributes[names.ERROR_TYPE] = timeline.error.__name__
        if (status := timeline.attributes.get(names.STATUS_CODE)) is not None:
            attributes[names.HTTP_STATUS_CODE] = status
        if timeline.user_id:
            attributes[names.USER] = self._pseudonyms.of(timeline.user_id)
        return attributes

    def _start(
        self,
        timeline: Timeline,
        attributes: Mapping[str, AttributeValue],
        measurements: Mapping[str, float],
        unix_minus_perf_s: float,
        *,
        parent: Context,
    ) -> Span:
        rounded = {name: round(value, 4) for name, value in measurements.items()}
        return self._tracer.start_span(
            timeline.name,
            parent,
            start_time=_unix_ns(timeline.started_s, unix_minus_perf_s),
            attributes={
                **attributes,
                names.PROCESS: self._process,
                names.CUSTOM_MEASUREMENTS: json.dumps(rounded, separators=(",", ":")),
            },
        )

    def _write_phases(
        self, above: Span, phases: Phases, unix_minus_perf_s: float, *, kind: str, sample_rate: float
    ) -> None:
        context = set_span_in_context(above)
        attributes: dict[str, AttributeValue] = {names.KIND: kind, names.PROCESS: self._process}
        for phase, start_s, end_s in phases:
            span = self._tracer.start_span(
                phase,
                context,
                start_time=_unix_ns(start_s, unix_minus_perf_s),
                attributes=attributes.copy(),
            )
            _weigh(span, sample_rate)
            span.end(_unix_ns(end_s, unix_minus_perf_s))


def _weigh(span: Span, sample_rate: float) -> None:
    """Say how many the span stands for, once it has started: samplers write their own rate at the start.

    Where the worker has set OpenTelemetry up and samples too, both rates count.
    """
    begun = getattr(span, "attributes", None) or {}
    of_sampler = begun.get(names.SAMPLE_RATE, 100.0)
    span.set_attribute(names.SAMPLE_RATE, sample_rate * of_sampler / 100)


def _parent(timeline: Timeline) -> Context:
    """The span that the host, or the caller, gave as the one above."""
    carrier = {"traceparent": timeline.trace_parent, "tracestate": timeline.trace_state}
    return _w3c.extract({name: value for name, value in carrier.items() if value}, Context())


def _phase_ms(phases: Phases) -> dict[str, float]:
    spent: dict[str, float] = {}
    for phase, start_s, end_s in phases:
        name = names.phase_ms(phase)
        spent[name] = spent.get(name, 0.0) + _ms(start_s, end_s)
    return spent


def _ms(start_s: float, end_s: float) -> float:
    return (end_s - start_s) * 1e3


def _unix_ns(stamp_s: float, unix_minus_perf_s: float) -> int:
    return int((stamp_s + unix_minus_perf_s) * 1e9)
