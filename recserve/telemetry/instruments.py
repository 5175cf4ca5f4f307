"""What is counted and timed of every request, sampled or not, and of the process."""

from collections.abc import Iterable, Mapping

from opentelemetry.metrics import Histogram, Meter

from recserve.telemetry import names
from recserve.telemetry.cause import Cause
from recserve.telemetry.cold_start import ColdStart
from recserve.telemetry.outcome import FAILURES, outcome_of
from recserve.telemetry.timeline import Timeline

LIMITS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
"""Of the buckets of durations: OpenTelemetry's for `http.server.request.duration`, and two below them. Its
default begins at 5, which is meant for milliseconds."""


class Instruments:
    """Metrics of one process.

    The second's samples of the contention sampler go into histograms: of a gauge, only the last sample
    before an export would survive, and with it hardly ever the second in which things went wrong.

    Args:
        meter: where they go.
        app: name of the function app.
        is_host_apart: the host sends its own metrics to the same place: what it measures too is left to it.
    """

    def __init__(self, meter: Meter, *, app: str, is_host_apart: bool) -> None:
        self._app = app
        self._requests = None if is_host_apart else _durations(meter, names.REQUEST_DURATION)
        self._invocations = meter.create_counter(names.INVOCATIONS, unit="{invocation}")
        self._durations = _durations(meter, names.INVOKE_DURATION)
        self._errors = meter.create_counter(names.ERRORS, unit="{error}")
        self._cold_starts = meter.create_counter(names.COLD_STARTS, unit="{coldstart}")
        self._init = _durations(meter, names.INIT_DURATION)
        self._feedback = meter.create_histogram(names.FEEDBACK_GAIN, explicit_bucket_boundaries_advisory=[])
        self._dropped = meter.create_counter(names.DROPPED, unit="{timeline}")
        # Sum, least, most and count are what is asked of samples: without limits there is one bucket to fill.
        self._samples = {
            name: meter.create_histogram(name, unit=unit, explicit_bucket_boundaries_advisory=[])
            for name, unit in names.SAMPLED.items()
        }

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
            for feedback in timeline.feedback:
                self._feedback.record(
                    feedback.gain,
                    {
                        names.VARIANT: feedback.variant,
                        names.MODEL_VERSION: feedback.version,
                        names.EVENT_KIND: feedback.kind,
                        names.FOLLOWED: feedback.followed,
                    },
                )
            if (status := timeline.attributes.get(names.STATUS_CODE)) is None:
                continue
            if self._requests is not None:
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


def _durations(meter: Meter, name: str) -> Histogram:
    return meter.create_histogram(name, unit="s", explicit_bucket_boundaries_advisory=LIMITS_S)
