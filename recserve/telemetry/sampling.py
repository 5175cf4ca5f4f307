"""Which timelines become spans, and how many others each of them stands for: a pure rule.

Spans cost money and processor time; what is worth looking at is rare. So every timeline that is out of the
ordinary is kept, and of the others a share. Weights tell which is which, so that sums over spans come out
right:

    failed, impacted, cold, shed, slow    all of them, up to `most_per_s` of each kind a second;
                                          of n > most every ceil(n / most)-th, with that as its weight
    the rest                              those whose trace id falls into the rate, with weight 1 / rate

The bound is for the moment it matters: an overload that sheds thousands of requests a second must not
spend itself on telling so. The rest goes by trace id with the hash of the Application Insights SDKs, so
that what the host keeps at the same rate is kept whole.

It misbehaves where a kind's count swings within one drain: the weights of its remainder are right on
average only. Those that find nothing left of their kind's bound are stood for by the next one that is kept:
where none comes any more, they are in the metrics alone.
"""

import re
from collections.abc import Iterable
from random import Random
from typing import Literal, NamedTuple

from recserve.telemetry.outcome import FAILURES, outcome_of
from recserve.telemetry.timeline import Timeline

Kept = Literal["failed", "impacted", "cold", "shed", "slow", "rate"]
"Why a timeline becomes spans."

_TRACE_PARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
"W3C's `traceparent`, of any version."


class Choice(NamedTuple):
    timeline: Timeline
    kept: Kept
    weight: float
    "How many timelines of this kind it stands for."

    @property
    def sample_rate(self) -> float:
        """Percent that are kept of those like it."""
        return 100 / self.weight


class Sampler:
    """Chooses among the timelines of each drain of the queue.

    Args:
        rate: share of the ordinary ones that is kept, in [0, 1].
        slow_s: an answer that takes longer is slow: the SLO.
        most_per_s: of each kind that is out of the ordinary, how many a second are kept.
        rng: for the timelines without a trace id, and for which of too many are kept.
    """

    def __init__(self, *, rate: float, slow_s: float, most_per_s: float, rng: Random) -> None:
        self._rate = rate
        self._slow_s = slow_s
        self._most_per_s = most_per_s
        self._rng = rng
        self._allowance: dict[Kept, float] = {}
        self._n_unheard: dict[Kept, int] = {}
        "Those that nothing was left for, and nothing stands for yet."

    def choose(self, timelines: Iterable[Timeline], elapsed_s: float) -> list[Choice]:
        """Those that become spans.

        Args:
            timelines: what came since the last call.
            elapsed_s: how long ago that was.
        """
        by_kind: dict[Kept, list[Timeline]] = {}
        for timeline in timelines:
            by_kind.setdefault(self._kind(timeline), []).append(timeline)
        choices = [
            Choice(timeline, "rate", 1 / self._rate)
            for timeline in by_kind.pop("rate", ())
            if self._falls_into_rate(timeline)
        ]
        for kind, of_kind in by_kind.items():
            choices += self._thin(kind, of_kind, elapsed_s)
        return choices

    def _kind(self, timeline: Timeline) -> Kept:
        outcome = outcome_of(timeline.error)
        if outcome in FAILURES:
            return "failed"
        if timeline.is_impacted:
            return "impacted"
        if timeline.is_cold:
            return "cold"
        if outcome == "shed":
            return "shed"
        return "slow" if timeline.ended_s - timeline.started_s > self._slow_s else "rate"

    def _falls_into_rate(self, timeline: Timeline) -> bool:
        # What is no trace id says nothing about a trace: some clients send one constant text with every request.
        traced = _TRACE_PARENT.match(timeline.trace_parent)
        return (sampling_score(traced[1]) if traced else self._rng.random()) < self._rate

    def _thin(self, kind: Kept, timelines: list[Timeline], elapsed_s: float) -> list[Choice]:
        """At most as many as the kind has left: a second's worth at once, refilled as time passes."""
        most = max(1.0, self._most_per_s)
        left = min(most, self._allowance.get(kind, most) + self._most_per_s * elapsed_s)
        n = len(timelines) + self._n_unheard.pop(kind, 0)
        if left < 1:
            self._allowance[kind], self._n_unheard[kind] = left, n
            return []
        step = -(-len(timelines) // int(left))
        chosen = timelines[self._rng.randrange(step) :: step]
        self._allowance[kind] = left - len(chosen)
        return [Choice(timeline, kind, step * n / len(timelines)) for timeline in chosen]


def sampling_score(trace_id: str) -> float:
    """Where a trace falls in [0, 1): the DJB2 hash of the Application Insights SDKs.

    github.com/microsoft/Telemetry-Collection-Spec, ApplicationInsightsSampler.md
    """
    score = 5381
    for character in trace_id.lower():
        score = (score * 33 + ord(character)) & 0xFFFFFFFF
    if score >= 0x80000000:
        score -= 0x100000000
    return min(abs(score), 0x7FFFFFFF) / 0x7FFFFFFF
