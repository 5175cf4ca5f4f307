"""What came of a load: latencies by status, instance and kind of request, and their course over time."""

from collections import Counter
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emulator.load.client import NO_ANSWER, Outcome
from emulator.load.latencies import Latencies

INSTANCE, HELD_MS = b"x-recserve-instance", b"x-recserve-held-ms"
UNNAMED = "unnamed"
"The instance of answers that name none: the service was asked directly."
MAX_POINTS = 120
"Stretches that the course of a run is told in, at most."


class Recorder:
    """Takes every outcome in as it comes.

    Args:
        scheduled_s: when each request was to leave, seconds from the start, (n_requests,).
    """

    def __init__(self, scheduled_s: NDArray[np.float64]) -> None:
        self._scheduled_s = scheduled_s
        self._latency_s = np.full(len(scheduled_s), np.nan)
        self._status = np.full(len(scheduled_s), -1, np.int16)
        self._instance = np.full(len(scheduled_s), -1, np.int16)
        self._instances: dict[str, int] = {}
        self._by: dict[tuple[str, str], Latencies] = {}
        self.answered = Latencies()
        "Of answers with status 200."
        self.held = Latencies()
        "How long requests waited for an instance, as the front end says."
        self.errors: Counter[str] = Counter()
        "Why there was no answer."
        self.n_failed = 0
        "Outcomes other than status 200."

    def record(self, outcome: Outcome, *, kind: str) -> None:
        number, status, latency_s = outcome.number, outcome.status, outcome.latency_s
        self._latency_s[number], self._status[number] = latency_s, status
        self._latencies("status", "no answer" if status == NO_ANSWER else str(status)).record(latency_s)
        if status != 200:
            self.n_failed += 1
        if status == NO_ANSWER:
            self.errors[outcome.error] += 1
            return
        instance = outcome.headers.get(INSTANCE, UNNAMED.encode()).decode("latin-1")
        self._instance[number] = self._instances.setdefault(instance, len(self._instances))
        if status == 200:
            self.answered.record(latency_s)
            self._latencies("kind", kind).record(latency_s)
            self._latencies("instance", instance).record(latency_s)
        if (held_ms := _number(outcome.headers.get(HELD_MS))) is not None:
            self.held.record(held_ms / 1e3)

    def describe(self) -> dict[str, Any]:
        """`answered` are answers with status 200; those without one are under `by_status` with the time until
        they were lost or given up."""
        return {
            "answered": self.answered.describe(),
            "by_status": self._describe("status"),
            "by_kind": self._describe("kind"),
            "by_instance": self._describe("instance"),
            "n_impacted": self.held.n,
            "held": self.held.describe(),
            "errors": dict(self.errors),
        }

    def course(self) -> list[dict[str, Any]]:
        """Stretches of at least a second, by when requests were to leave."""
        has_outcome = self._status >= 0
        if not has_outcome.any():
            return []
        end_s = float(self._scheduled_s[has_outcome].max())
        width_s = max(1.0, float(np.ceil(end_s / MAX_POINTS)))
        stretch = (self._scheduled_s // width_s).astype(np.int64)
        edges = np.searchsorted(stretch, np.arange(int(end_s // width_s) + 2))
        return [
            self._describe_stretch(slice(int(begin), int(end)), place * width_s, width_s)
            for place, (begin, end) in enumerate(pairwise(edges))
        ]

    def _describe_stretch(self, part: slice, at_s: float, width_s: float) -> dict[str, Any]:
        status = self._status[part]
        latency_ms = self._latency_s[part][status == 200] * 1e3
        names = list(self._instances)
        seen = Counter(names[i] for i in self._instance[part][self._instance[part] >= 0].tolist())
        quantiles = (
            np.percentile(latency_ms, [50, 99, 100]).round(3).tolist() if len(latency_ms) else [None] * 3
        )
        return {
            "at_s": at_s,
            "width_s": width_s,
            "n": int((status >= 0).sum()),
            "n_200": len(latency_ms),
            "n_429": int((status == 429).sum()),
            "n_failed": int(((status >= 0) & (status != 200) & (status != 429)).sum()),
            "p50_ms": quantiles[0],
            "p99_ms": quantiles[1],
            "max_ms": quantiles[2],
            "instances": dict(seen),
        }

    def _latencies(self, dimension: str, value: str) -> Latencies:
        if (dimension, value) not in self._by:
            self._by[dimension, value] = Latencies()
        return self._by[dimension, value]

    def _describe(self, dimension: str) -> dict[str, Any]:
        return {value: of.describe() for (name, value), of in self._by.items() if name == dimension}


def _number(text: bytes | None) -> float | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return None
