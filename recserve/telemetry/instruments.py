"""What is counted and timed of every request, sampled or not, and of the process."""

from collections.abc import Iterable, Mapping

from opentelemetry.metrics import Meter

from recserve.telemetry import names
from recserve.telemetry.cause import Cause
from recserve.telemetry.cold_start import ColdStart
from recserve.telemetry.outcome import FAILURES, outcome_of
from recserve.telemetry.timeline import Timeline


class Instruments:
    """Metrics of one process.

    The second's samples of the contention sampler go into histograms: of a gauge, only the last sample
    before an export would survive, and with it hardly ever the second in which things went wrong.

    Args:
        meter: where they go.
        app: name of the function app.
    """

    def __init__(self, meter: Meter, *, app: str) -> None:
        self._meter = meter
        self._app = app
        self._requests = meter.create_histogram(names.REQUEST_DURATION, unit="s")
        self._invocations = meter.create_counter(names.INVOCATIONS)
        self._durations = meter.create_histogram(names.INVOKE_DURATION, unit="s")
        self._errors = meter.create_counter(names.ERRORS)
        self._cold_starts = meter.create_counter(names.COLD_STARTS)
        self._init = meter.create_histogram(names.INIT_DURATION, unit="s")
        self._dropped = meter.create_counter(names.DROPPED)
        self._samples = {name: meter.create_histogram(name) for name in names.SAMPLED}

    def count(self, timelines: Iterable[Timeline]) -> None:
        """Requests that are over, and what else was timed."""
        for timeline in timelines:
            duration_s = timeline.ended_s - timeline.started_s
            outcome = outcome_of(timeline.error)
            function = {names.FAAS_NAME: f"{self._app}/{timeline.name}"}
            what: dict[str, str] = function | {names.OUTCOME: outcome}
            if (variant := timeline.attributes.get(names.VARIANT)) is not None:
                what[names.VARIANT] = str(variant)
            self._durations.record(duration_s, what)
            if (status := timeline.attributes.get(names.STATUS_CODE)) is None:
                continue
            self._requests.record(duration_s, {names.HTTP_STATUS_CODE: status})
            self._invocations.add(1, function)
            if outcome in FAILURES:
                self._errors.add(1, function)

    def count_cold_start(self, cold_start: ColdStart, cause: Cause) -> None:
        why = {names.CAUSE: cause, names.DRIVER: cold_start.driver}
        self._cold_starts.add(1, why)
        self._init.record(cold_start.ended_s - cold_start.timeline.started_s, why)

    def count_dropped(self, n: int) -> None:
        self._dropped.add(n)

    def sample(self, sampled: Mapping[str, float]) -> None:
        """What the contention sampler has read."""
        for name, value in sampled.items():
            self._samples[name].record(value)
