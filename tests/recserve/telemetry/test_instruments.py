from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from recserve.feedback import Feedback
from recserve.telemetry import names
from recserve.telemetry.instruments import LIMITS_S, Instruments
from recserve.telemetry.timeline import Timeline

PRAISE = Feedback("student", "v1", "click", "listed", 0.5)


def measured(
    *took_s: float, is_host_apart: bool = False, feedback: tuple[Feedback, ...] = (), **sampled: float
) -> dict[str, Any]:
    """The metrics of requests that took so long, by name."""
    reader = InMemoryMetricReader()
    instruments = Instruments(
        MeterProvider([reader]).get_meter("test"), app="shop", is_host_apart=is_host_apart
    )
    timelines = [Timeline("recommend", 0.0) for _ in took_s]
    for timeline, end_s in zip(timelines, took_s, strict=True):
        timeline.mark("encode", end_s)
        timeline.attributes[names.STATUS_CODE] = 200
        timeline.feedback = feedback
    instruments.count(timelines)
    instruments.sample(sampled)
    data = reader.get_metrics_data()
    assert data is not None
    [of_resource] = data.resource_metrics
    [of_scope] = of_resource.scope_metrics
    return {metric.name: metric for metric in of_scope.metrics}


@pytest.mark.parametrize("name", [names.REQUEST_DURATION, names.INVOKE_DURATION])
def test_buckets_tell_milliseconds_apart(name: str) -> None:
    [point] = measured(0.0005, 0.002, 0.02, 0.2, 2.0)[name].data.data_points

    assert tuple(point.explicit_bounds) == LIMITS_S
    assert [count for count in point.bucket_counts if count] == [1, 1, 1, 1, 1]


def test_samples_fill_one_bucket() -> None:
    [point] = measured(**{names.LOOP_LAG: 0.25})[names.LOOP_LAG].data.data_points

    assert (point.bucket_counts, point.sum, point.max) == ((1,), 0.25, 0.25)


def test_every_metric_has_its_unit() -> None:
    metrics = measured(0.001, **dict.fromkeys(names.SAMPLED, 1.0))

    assert {name: metrics[name].unit for name in names.SAMPLED} == names.SAMPLED
    assert names.SAMPLED[names.MEM_USAGE] == "By"
    assert metrics[names.INVOKE_DURATION].unit == "s"
    assert all(metric.unit for metric in metrics.values())


def test_what_the_host_sends_itself_is_left_to_it() -> None:
    metrics = measured(0.001, is_host_apart=True)

    assert names.REQUEST_DURATION not in metrics
    assert names.INVOKE_DURATION in metrics


def test_feedback_is_counted_by_variant_and_by_what_it_says() -> None:
    [point] = measured(0.01, feedback=(PRAISE, PRAISE))[names.FEEDBACK_GAIN].data.data_points

    assert (point.count, point.sum) == (2, 1.0)
    assert point.attributes == {
        names.VARIANT: "student",
        names.MODEL_VERSION: "v1",
        names.EVENT_KIND: "click",
        names.FOLLOWED: "listed",
    }
