from random import Random

import pytest

from recserve.errors import InvalidRequest, Overloaded, StateUnavailable
from recserve.telemetry.outcome import outcome_of
from recserve.telemetry.sampling import Sampler, sampling_score
from recserve.telemetry.timeline import Timeline

SLO_S = 0.025


def sampler(*, rate: float = 0.0, most_per_s: float = 10.0) -> Sampler:
    return Sampler(rate=rate, slow_s=SLO_S, most_per_s=most_per_s, rng=Random(7))


def request(
    *, took_s: float = 0.001, error: type[BaseException] | None = None, trace_id: str = ""
) -> Timeline:
    timeline = Timeline("recommend", started_s=0.0)
    timeline.mark("encode", took_s)
    timeline.error = error
    timeline.trace_parent = f"00-{trace_id}-00f067aa0ba902b7-01" if trace_id else ""
    return timeline


def test_everything_out_of_the_ordinary_is_kept_and_says_why() -> None:
    cold, impacted = request(), request()
    cold.is_cold = impacted.is_cold = impacted.is_impacted = True
    ordinary = request()
    slow, shed, failed = request(took_s=0.03), request(error=Overloaded), request(error=ValueError)

    choices = sampler().choose([cold, impacted, ordinary, slow, shed, failed], 1.0)

    kept = {id(choice.timeline): choice.kept for choice in choices}
    expected = {id(cold): "cold", id(impacted): "impacted", id(slow): "slow", id(shed): "shed"}
    assert kept == expected | {id(failed): "failed"}
    assert {choice.weight for choice in choices} == {1.0}


def test_requests_that_the_caller_got_wrong_are_ordinary() -> None:
    assert sampler().choose([request(error=InvalidRequest)], 1.0) == []


def test_share_of_the_rest_stands_for_all_of_it() -> None:
    choices = sampler(rate=0.2).choose([request() for _ in range(5000)], 1.0)

    assert {round(choice.sample_rate, 9) for choice in choices} == {20.0}
    assert sum(choice.weight for choice in choices) == pytest.approx(5000, rel=0.1)


def test_flood_of_one_kind_is_thinned_and_weighed_and_leaves_the_others_alone() -> None:
    refused = [request(error=Overloaded) for _ in range(3000)]

    choices = sampler(most_per_s=20).choose([*refused, request(error=ValueError)], 1.0)

    of_kind = {kept: [c for c in choices if c.kept == kept] for kept in ("shed", "failed")}
    assert len(of_kind["shed"]) == 20
    assert sum(choice.weight for choice in of_kind["shed"]) == 3000
    assert [choice.weight for choice in of_kind["failed"]] == [1.0]


def test_bound_holds_over_many_short_drains() -> None:
    bounded = sampler(most_per_s=20)

    n_kept = sum(len(bounded.choose([request(error=Overloaded)] * 500, 0.1)) for _ in range(100))

    assert n_kept <= 20 * 10 + 100  # a drain keeps one at least, and the first second's worth is at hand


def test_trace_decides_so_that_hosts_at_the_same_rate_keep_the_same() -> None:
    trace_id = "4bf92f3577b34da6a3ce929d0e0e4736"
    score = sampling_score(trace_id)

    assert sampler(rate=score + 0.001).choose([request(trace_id=trace_id)], 1.0)
    assert not sampler(rate=score - 0.001).choose([request(trace_id=trace_id)], 1.0)


def test_scores_are_those_of_the_application_insights_sdks() -> None:
    from azure.monitor.opentelemetry.exporter.export.trace._utils import _get_DJB2_sample_score

    trace_ids = [f"{Random(seed).getrandbits(128):032x}" for seed in range(200)]

    assert [sampling_score(t) for t in trace_ids] == pytest.approx(
        [_get_DJB2_sample_score(t) for t in trace_ids]
    )


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (None, "ok"),
        (Overloaded, "shed"),
        (InvalidRequest, "bad_request"),
        (StateUnavailable, "unavailable"),
        (ValueError, "failed"),
        (KeyboardInterrupt, "cancelled"),
    ],
)
def test_outcome_follows_from_the_error(error: type[BaseException] | None, outcome: str) -> None:
    assert outcome_of(error) == outcome


@pytest.mark.parametrize(
    "trace_parent",
    [
        "00-" + "0" * 32 + "-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-" + "0" * 16 + "-01",
        "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "garbage-garbage-garbage-garbage-garbage-garbage-gg",
    ],
)
def test_text_that_is_no_trace_id_is_no_reason_to_keep_all_or_none(trace_parent: str) -> None:
    timelines = [request() for _ in range(5000)]
    for timeline in timelines:
        timeline.trace_parent = trace_parent

    choices = sampler(rate=0.2).choose(timelines, 1.0)

    assert len(choices) == pytest.approx(1000, rel=0.1)


@pytest.mark.parametrize("most_per_s", [0.1, 1.0, 1.5])
def test_bound_below_one_a_drain_holds_and_the_rest_is_stood_for(most_per_s: float) -> None:
    bounded = sampler(most_per_s=most_per_s)

    drains = [bounded.choose([request(error=Overloaded) for _ in range(5)], 0.5) for _ in range(2000)]

    choices = [choice for drain in drains for choice in drain]
    assert len(choices) == pytest.approx(most_per_s * 1000, rel=0.05)
    assert sum(choice.weight for choice in choices) == pytest.approx(10_000, rel=0.02)
