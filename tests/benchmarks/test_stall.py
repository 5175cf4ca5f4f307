"""The truth that generators are held against, and how wrk is read."""

import numpy as np
import pytest

from benchmarks.stall import StallBench, read_wrk, truth_ms

WRK = """\
Running 8s test @ http://127.0.0.1:9991/
  2 threads and 2 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency    11.46ms   33.58ms 203.87ms   92.93%
    Req/Sec   765.57    192.75     0.91k    89.47%
  Latency Distribution
     50%    2.25ms
     75%    2.32ms
     90%    6.14ms
     99%  180.99ms
  8927 requests in 12.03s, 348.71KB read
Requests/sec:    742.06
Transfer/sec:     28.99KB
measured 0.002 0.002
measured 0.004
"""


@pytest.mark.parametrize("percentile", [95, 99, 99.5])
def test_truth_is_what_arrivals_at_any_time_see(percentile: float) -> None:
    bench = StallBench()
    at_s = np.random.default_rng(0).uniform(0, bench.period_s, 1_000_000)
    until_s = at_s + bench.service_s
    is_stalled = at_s < bench.stall_s
    is_caught = (at_s < bench.period_s) & (until_s >= bench.period_s)
    latency_s = np.where(is_stalled, bench.stall_s - at_s + bench.service_s, bench.service_s)
    latency_s = np.where(is_caught, bench.period_s + bench.stall_s - at_s, latency_s)

    assert truth_ms(bench, percentile) == pytest.approx(np.percentile(latency_s, percentile) * 1e3, abs=1)


def test_wrk_is_read_as_printed_and_as_measured() -> None:
    figures = read_wrk(WRK)

    assert figures["printed_p99_ms"] == 180.99
    assert figures["per_s"] == 742.06
    assert (figures["n_measured"], figures["measured_p50_ms"]) == (3, 2.0)


def test_wrk_that_says_nothing_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="cannot read what wrk says"):
        read_wrk("unable to connect")
