"""Trace ids of the console's own questions, against the service's own rule of sampling."""

from console.trace_ids import KEPT_BELOW, new_trace_id, sampling_score, trace_parent
from recserve.telemetry import sampling


def test_score_is_the_one_that_the_service_samples_by() -> None:
    ids = ["0" * 32, "4ed25362b09d427026f1646cdd2e855a", "FFFFffffFFFFffffFFFFffffFFFFffff"]

    assert [sampling_score(trace_id) for trace_id in ids] == [
        sampling.sampling_score(trace_id) for trace_id in ids
    ]


def test_new_ids_are_kept_and_are_all_different() -> None:
    ids = {new_trace_id() for _ in range(20)}

    assert len(ids) == 20
    assert max(map(sampling_score, ids)) < KEPT_BELOW


def test_header_is_one_that_the_service_reads_a_trace_from() -> None:
    trace_id = new_trace_id()

    found = sampling._TRACE_PARENT.match(trace_parent(trace_id))

    assert found is not None
    assert found[1] == trace_id
