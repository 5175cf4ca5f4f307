import asyncio
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recserve.admission.queueing_delay import LoopProbe, QueueingDelay

WINDOW_S = 0.02


def observed(*delays: tuple[float, float]) -> QueueingDelay:
    delay = QueueingDelay(window_s=WINDOW_S)
    for at_s, delay_s in delays:
        delay.observe(delay_s, at_s)
    return delay


def test_queue_is_empty_until_a_probe_says_otherwise() -> None:
    assert observed().value(5.0) == 0


def test_burst_is_not_a_standing_queue() -> None:
    assert observed((1.0, 0.001), (1.005, 0.5), (1.01, 0.3)).value(1.01) == 0.001


def test_queue_stands_once_every_probe_of_the_window_was_slow() -> None:
    assert observed((1.0, 0.001), (1.01, 0.009), (1.019, 0.008)).value(1.021) == 0.008


def test_delay_is_gone_as_soon_as_one_probe_was_fast() -> None:
    assert observed((1.0, 0.009), (1.01, 0.008), (1.011, 0.0001)).value(1.011) == 0.0001


def test_delay_fades_when_no_probe_comes() -> None:
    delay = observed((1.0, 0.008))

    assert delay.value(1.0 + 2 * WINDOW_S) == pytest.approx(0.004)
    assert delay.value(1.0 + 3 * WINDOW_S) == pytest.approx(0.002)
    assert delay.value(1e6) == 0


@given(st.lists(st.tuples(st.floats(0, 0.03), st.floats(0, 1)), min_size=1, max_size=100))
def test_standing_delay_is_the_minimum_of_the_window(steps: list[tuple[float, float]]) -> None:
    delay, now_s, seen = QueueingDelay(window_s=WINDOW_S), 0.0, []
    for elapsed_s, delay_s in steps:
        now_s += elapsed_s
        delay.observe(delay_s, now_s)
        seen.append((now_s, delay_s))

        assert delay.value(now_s) == min(d for at_s, d in seen if at_s > now_s - WINDOW_S)


def test_window_must_be_positive() -> None:
    with pytest.raises(ValueError, match="positive"):
        QueueingDelay(window_s=0)


async def test_probe_meets_what_the_event_loop_has_to_do_first() -> None:
    now_s = 100.0

    def work() -> None:
        nonlocal now_s
        now_s += 0.25

    delay = QueueingDelay(window_s=1.0)
    probe = LoopProbe(delay, clock=lambda: now_s)
    loop = asyncio.get_running_loop()
    loop.call_soon(work)
    loop.call_soon(work)
    probe.send()
    loop.call_soon(work)
    await asyncio.sleep(0)

    assert delay.value(now_s) == 0.5


async def test_one_probe_is_under_way_at_most() -> None:
    class Counting(QueueingDelay):
        n = 0

        def observe(self, delay_s: float, now_s: float) -> None:
            self.n += 1

    delay = Counting()
    probe = LoopProbe(delay, clock=time.perf_counter)
    for _ in range(3):
        probe.send()
    await asyncio.sleep(0)
    probe.send()
    await asyncio.sleep(0)

    assert delay.n == 2
