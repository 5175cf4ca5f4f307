"""What is sent around an outage, and what counts as lost."""

import msgspec
import numpy as np
from numpy.typing import NDArray

from benchmarks.outage import PAUSE_S, UNSAVED_S, OutageBench, Sample, Schedule, count_kept, draw_schedule
from emulator.load.client import Sent

BENCH = OutageBench(rate_per_s=500.0, healthy_s=15.0, down_s=2.0, after_s=2.0)


def test_no_events_are_sent_while_azurite_saves() -> None:
    schedule = draw_schedule(BENCH, {"ana": ["1", "2"], "ben": ["3"]}, np.random.default_rng(0))

    sent_s: NDArray[np.float64] = schedule.arrivals_s[list(schedule.events)]
    pause_ends_s = BENCH.healthy_s - UNSAVED_S
    assert not ((sent_s >= pause_ends_s - PAUSE_S) & (sent_s < pause_ends_s)).any()
    assert ((sent_s >= pause_ends_s) & (sent_s < BENCH.healthy_s)).any()
    assert (sent_s > BENCH.healthy_s).any()
    assert len({event.event_id for event in schedule.events.values()}) == len(schedule.events)
    assert len(schedule.requests) == len(schedule.arrivals_s)


def test_lost_is_what_was_acknowledged_and_is_missing_unless_azurite_had_no_time_to_save_it() -> None:
    events = {number: Sample(f"event {number}", "ana", "1") for number in range(5)}
    schedule = Schedule(np.arange(5.0), [b""] * 5, events)
    acknowledged = [(200, False), (200, False), (200, True), (503, False), (200, True)]
    sent = Sent(
        started_s=100.0,
        scheduled_s=np.arange(5.0),
        late_s=np.zeros(5),
        latency_s=np.full(5, 0.1),
        status=np.array([status for status, _ in acknowledged]),
        answers=[msgspec.json.encode({"is_deferred": is_deferred}) for _, is_deferred in acknowledged],
        n_connections=1,
    )

    kept = count_kept(schedule, sent, {events[4]}, unsaved_s=(101.0, 102.5))

    assert kept == {"n": 4, "n_deferred": 2, "n_lost": 2, "n_unsaved_by_azurite": 1, "n_azurite_lost": 1}
