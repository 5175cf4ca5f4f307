from pathlib import Path

import numpy as np
import pytest

from planner.traces import TraceError
from planner.traffic import TrafficError, parse_duration_s, parse_rate_per_s, parse_traffic


@pytest.mark.parametrize(
    ("text", "rate_per_s"), [("120/s", 120.0), ("600/min", 10.0), ("7200/h", 2.0), ("0.5 /s", 0.5)]
)
def test_rate_is_read_in_its_unit(text: str, rate_per_s: float) -> None:
    assert parse_rate_per_s(text) == rate_per_s


@pytest.mark.parametrize(
    ("text", "duration_s"), [("90s", 90.0), ("15m", 900.0), ("1h", 3600.0), ("7d", 604800.0)]
)
def test_duration_is_read_in_its_unit(text: str, duration_s: float) -> None:
    assert parse_duration_s(text) == duration_s


def test_rate_alone_is_an_hour_of_independent_users() -> None:
    traffic = parse_traffic("20/s")

    arrivals_s = traffic.arrivals_s(seed=1)
    assert traffic.duration_s == 3600
    assert len(arrivals_s) == pytest.approx(72_000, rel=0.02)
    assert np.array_equal(arrivals_s, traffic.arrivals_s(seed=1))
    assert not np.array_equal(arrivals_s, traffic.arrivals_s(seed=2))


def test_bursts_keep_the_mean_rate() -> None:
    traffic = parse_traffic("bursty:50/s,burst=8,calm=10s,spell=2s", duration_s=3600)

    counts = np.bincount(traffic.arrivals_s(seed=0).astype(int))
    assert counts.mean() == pytest.approx(50, rel=0.1)
    assert counts.var() > 4 * counts.mean()


def test_day_repeats_itself() -> None:
    traffic = parse_traffic("diurnal:1/s,peak=9")

    arrivals_s = traffic.arrivals_s(seed=0)
    by_hour = np.histogram(arrivals_s, bins=24, range=(0, 86400))[0]
    assert traffic.period_s == traffic.duration_s == 86400
    assert by_hour[12] / by_hour[0] == pytest.approx(9, rel=0.3)


def test_more_traffic_has_more_arrivals() -> None:
    traffic = parse_traffic("20/s")

    ratio = len(traffic.arrivals_s(seed=0, factor=1.5)) / len(traffic.arrivals_s(seed=0))
    assert ratio == pytest.approx(1.5, rel=0.02)


def test_trace_is_taken_as_it_was_unless_told_otherwise(tmp_path: Path) -> None:
    path = tmp_path / "arrivals.csv"
    path.write_text("timestamp\n" + "\n".join(str(0.5 * n) for n in range(200)))

    as_it_was = parse_traffic(str(path))
    faster = parse_traffic(f"trace:{path},speed=2")
    denser = parse_traffic(f"trace:{path},rate=8/s")

    assert not as_it_was.is_drawn
    assert as_it_was.arrivals_s(seed=3) == pytest.approx(0.5 * np.arange(200))
    assert as_it_was.duration_s == pytest.approx(100)
    assert faster.duration_s == pytest.approx(50)
    assert len(denser.arrivals_s(seed=0)) == pytest.approx(800, rel=0.05)
    assert len(as_it_was.arrivals_s(seed=0, factor=0.5)) == pytest.approx(100, rel=0.2)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("0/s", "a rate of 0/s; send more than 0"),
        ("-5/s", "a rate of -5/s"),
        ("bursty:fast", "'fast' is no rate"),
        ("bursty:5/s,burst=0.5", "burst=0.5 is not allowed; send a number from 1"),
        ("bursty:5/s,bursts=3", "'bursts=3' in traffic .* is not known; it takes burst=, calm=, spell="),
        ("diurnal:5/s,period=soon", "'soon' is no duration"),
        ("tidal:5/s", "unknown traffic 'tidal:5/s'"),
        ("telemetry:7d", "needs a workspace"),
        ("100000/s", "at most 20,000,000 are drawn; send a shorter --duration"),
    ],
)
def test_impossible_traffic_is_told_with_value_and_remedy(text: str, said: str) -> None:
    with pytest.raises(TrafficError, match=said):
        parse_traffic(text)


@pytest.mark.parametrize(
    ("content", "said"),
    [("", "is empty"), ("timestamp\n", "no arrivals"), ("timestamp\n2\n1\n", "sort the file by time")],
)
def test_faulty_trace_is_told(tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "trace.csv"
    path.write_text(content)

    with pytest.raises(TraceError, match=said):
        parse_traffic(f"trace:{path}")


def test_trace_of_one_instant_has_no_rate(tmp_path: Path) -> None:
    path = tmp_path / "trace.csv"
    path.write_text("timestamp\n5\n5\n")

    with pytest.raises(TrafficError, match="at one instant"):
        parse_traffic(str(path))


def test_nothing_arriving_is_told() -> None:
    with pytest.raises(TrafficError, match="has no arrivals; raise its rate"):
        parse_traffic("0.0001/s", duration_s=1).arrivals_s(seed=0)
