"""Spans as they are written, read back from OpenTelemetry's own SDK."""

import json
import time

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from recserve.errors import NotReady
from recserve.telemetry import cold_start as cold_starts
from recserve.telemetry import names
from recserve.telemetry.cold_start import ColdStart
from recserve.telemetry.pseudonyms import Pseudonyms
from recserve.telemetry.sampling import Choice
from recserve.telemetry.spans import SpanWriter
from recserve.telemetry.timeline import Timeline


@pytest.fixture
def exported() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def writer(exported: InMemorySpanExporter) -> SpanWriter:
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exported))
    return SpanWriter(provider.get_tracer("test"), app="shop", process="p-1", pseudonyms=Pseudonyms("a key"))


def request() -> Timeline:
    """A second on the clock of `perf_counter`, from 100 s on."""
    timeline = Timeline("recommend", started_s=100.0)
    timeline.mark("startup", 100.75)
    timeline.mark("encode", 101.0)
    return timeline


def times_s(span: ReadableSpan) -> tuple[float, float]:
    assert span.start_time is not None
    assert span.end_time is not None
    return span.start_time / 1e9, span.end_time / 1e9


def measurements(span: ReadableSpan) -> dict[str, float]:
    assert span.attributes is not None
    read: dict[str, float] = json.loads(str(span.attributes[names.CUSTOM_MEASUREMENTS]))
    return read


def test_spans_have_the_times_of_the_clock_that_they_are_written_with(
    writer: SpanWriter, exported: InMemorySpanExporter
) -> None:
    writer.write_request(Choice(request(), "slow", 1.0), 5000.0)
    writer.write_request(Choice(request(), "slow", 1.0), 8600.0)  # the laptop slept an hour

    times = {(span.name, *times_s(span)) for span in exported.get_finished_spans()}
    assert times == {
        (name, start_s + slept_s, end_s + slept_s)
        for name, start_s, end_s in (
            ("recommend", 5100.0, 5101.0),
            ("startup", 5100.0, 5100.75),
            ("encode", 5100.75, 5101.0),
        )
        for slept_s in (0.0, 3600.0)
    }


def test_request_that_waited_in_vain_says_how_long(
    writer: SpanWriter, exported: InMemorySpanExporter
) -> None:
    timeline = request()
    timeline.is_impacted = True
    timeline.error = NotReady

    writer.write_request(Choice(timeline, "failed", 1.0), 0.0)

    span = next(span for span in exported.get_finished_spans() if span.name == "recommend")
    assert measurements(span)[names.WAIT_MS] == 750.0


def test_cold_start_keeps_the_clock_of_its_time(
    writer: SpanWriter, exported: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    cold_start = ColdStart()
    cold_start.become_ready()
    wall_clock = time.time
    monkeypatch.setattr(time, "time", lambda: wall_clock() + 3600)

    writer.write_cold_start(cold_start, cause="first", attached_s=time.perf_counter())

    root = next(span for span in exported.get_finished_spans() if span.name == names.COLD_START)
    assert times_s(root)[1] == pytest.approx(wall_clock(), abs=600)


def test_cold_start_of_a_placeholder_tells_its_idle_time_apart(
    writer: SpanWriter, exported: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    idle_s = 1e6
    started_s = time.perf_counter() - idle_s
    monkeypatch.setattr(cold_starts, "process_start_s", lambda: started_s)
    cold_start = ColdStart()
    cold_start.become_ready()

    writer.write_cold_start(cold_start, cause="first", attached_s=time.perf_counter())

    root = next(span for span in exported.get_finished_spans() if span.name == names.COLD_START)
    assert measurements(root)[names.PLACEHOLDER_MS] >= idle_s * 1e3
    assert measurements(root)[names.READY_MS] < idle_s * 1e3
