"""Latencies as an HdrHistogram: fixed memory, three significant digits up to ten minutes, can be merged."""

from typing import Any

from hdrh.histogram import HdrHistogram

US_PER_S = 10**6
LONGEST_S = 600
PERCENTILES = {
    "p50": 50.0,
    "p90": 90.0,
    "p95": 95.0,
    "p99": 99.0,
    "p99_9": 99.9,
    "p99_99": 99.99,
    "max": 100.0,
}


class Latencies:
    def __init__(self) -> None:
        self._histogram = HdrHistogram(1, LONGEST_S * US_PER_S, 3)

    def record(self, latency_s: float) -> None:
        self._histogram.record_value(min(max(int(latency_s * US_PER_S), 1), LONGEST_S * US_PER_S))

    @property
    def n(self) -> int:
        return int(self._histogram.get_total_count())

    def percentile_ms(self, percentile: float) -> float | None:
        """None without latencies."""
        return self._histogram.get_value_at_percentile(percentile) / 1e3 if self.n else None

    def describe(self) -> dict[str, Any]:
        """Count, percentiles in ms, and the whole histogram (V2, base64), which can be decoded and added to others."""
        if not self.n:
            return {"n": 0}
        return {
            "n": self.n,
            "mean_ms": round(self._histogram.get_mean_value() / 1e3, 3),
            **{f"{name}_ms": self.percentile_ms(percentile) for name, percentile in PERCENTILES.items()},
            "hdr": self._histogram.encode().decode(),
        }
