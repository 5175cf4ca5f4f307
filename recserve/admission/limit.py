"""How many requests may be in flight: pure estimators, fed with numbers.

`limiter` enforces them. The simulator and the emulated plan run the same code, so nothing here reads a
clock: every sample brings its own `now_s`.
"""

import math
from dataclasses import dataclass
from typing import Protocol

SHORTENS_AT = 2.0
"A long average this many times the short one is out of date and shrinks faster than it would by itself."
SHORTENS_BY = 0.9
"Factor a window by which it then shrinks."
N_WARM_UP = 10
"Windows whose plain mean starts the long average."


class Limit(Protocol):
    """Estimates the concurrency limit of one process."""

    @property
    def value(self) -> int:
        """Requests that may be in flight, at least 1."""

    @property
    def maximum(self) -> int:
        """The most that `value` can become."""

    def update(self, *, rtt_s: float, in_flight: int, now_s: float) -> None:
        """Learn from a request that was answered.

        Args:
            rtt_s: from its admission to its answer, in seconds.
            in_flight: requests in flight when it was let in, itself among them.
            now_s: when it was answered, on a clock that never goes back.
        """


@dataclass(frozen=True, slots=True)
class FixedLimit:
    """The limit that the operator set."""

    value: int

    def __post_init__(self) -> None:
        if self.value < 1:
            raise ValueError(f"concurrency limit {self.value}; at least 1 request must be let in")

    @property
    def maximum(self) -> int:
        return self.value

    def update(self, *, rtt_s: float, in_flight: int, now_s: float) -> None:
        """Samples teach it nothing."""


class GradientLimit:
    """Raises the limit while requests stay as fast as they use to be, and lowers it when they get slower.

    Samples are gathered for `window_s`, and at least `min_samples` of them. At the end of a window, with
    `short` the mean RTT of the window and `long` its exponential average over `long_window_s`:

        gradient = clamp(max(tolerance * long, rtt_floor_s) / short, 0.5, 1)
        wanted   = gradient * limit + queue_allowance * sqrt(limit)
        limit    = clamp((1 - smoothing) * limit + smoothing * wanted, minimum, maximum)

    Its states:

    - steady: `short` whips around `long`, the gradient is 1, and the limit grows by the queue allowance
      until requests queue behind each other or `maximum` is reached;
    - overload: `short` grows first, the gradient falls below 1, and the limit settles where
      sqrt(limit) = queue_allowance / (1 - gradient), which with the default allowance is 1 at the least;
    - after an overload: `long` has grown with the slow requests. Once it is over 2 * `short`, it shrinks by
      a tenth every window on top of its own averaging, so that it is a baseline again within a second.

    A window in which less than half of the limit was in use changes nothing: what nobody tried, nobody knows.

    Source: Gradient2Limit and WindowedLimit of Netflix concurrency-limits (Apache-2.0), there with a fixed
    queue of 4, which keeps the limit at 8 or more, and a long average over 600 windows of a second; here
    windows are shorter, for requests of milliseconds, and the long average counts seconds.

    It misbehaves when an overload lasts as long as `long_window_s`: the slow requests become the baseline,
    the limit grows, and only the queueing-delay trigger of `limiter` is left. A burst in the first window
    of a process does the same, until traffic calms. It also takes a larger batch for a queue; this is what
    `rtt_floor_s` is for.

    Args:
        initial: the limit before anything is known.
        minimum: smallest limit, at least 1.
        maximum: largest limit; what memory and caller patience allow.
        window_s: shortest window.
        min_samples: fewest samples of a window.
        long_window_s: time constant of the baseline.
        tolerance: how many times the baseline an RTT may be before it counts as queueing, at least 1.
        queue_allowance: growth a window, in square roots of the limit.
        smoothing: weight of the newest window, in (0, 1].
        rtt_floor_s: an RTT that hurts nobody; below it nothing counts as queueing. 0 for none.
    """

    __slots__ = (
        "_ends_s",
        "_limit",
        "_long_s",
        "_long_window_s",
        "_max_in_flight",
        "_min_samples",
        "_minimum",
        "_n_samples",
        "_n_windows",
        "_queue_allowance",
        "_rtt_floor_s",
        "_smoothing",
        "_starts_s",
        "_sum_s",
        "_tolerance",
        "_window_s",
        "maximum",
        "value",
    )

    def __init__(
        self,
        *,
        initial: int = 16,
        minimum: int = 1,
        maximum: int = 64,
        window_s: float = 0.1,
        min_samples: int = 10,
        long_window_s: float = 600.0,
        tolerance: float = 1.5,
        queue_allowance: float = 0.5,
        smoothing: float = 0.2,
        rtt_floor_s: float = 0.0,
    ) -> None:
        if not 1 <= minimum <= initial <= maximum:
            raise ValueError(f"limits {minimum} <= {initial} <= {maximum} must ascend from 1 or more")
        self._minimum, self.maximum = minimum, maximum
        self._window_s, self._min_samples = window_s, min_samples
        self._long_window_s = long_window_s
        self._tolerance, self._queue_allowance = tolerance, queue_allowance
        self._smoothing, self._rtt_floor_s = smoothing, rtt_floor_s
        self._limit = float(initial)
        self._long_s = 0.0
        self._n_windows = 0
        self._starts_s = -math.inf
        self._ends_s = -math.inf
        self._sum_s = 0.0
        self._n_samples = self._max_in_flight = 0
        self.value = initial

    def update(self, *, rtt_s: float, in_flight: int, now_s: float) -> None:
        if self._n_samples == 0 and now_s >= self._ends_s:
            self._begin_window(now_s)
        self._sum_s += rtt_s
        self._n_samples += 1
        if in_flight > self._max_in_flight:
            self._max_in_flight = in_flight
        if now_s >= self._ends_s and self._n_samples >= self._min_samples:
            self._end_window(now_s)

    def _begin_window(self, now_s: float) -> None:
        self._starts_s, self._ends_s = now_s, now_s + self._window_s
        self._sum_s = 0.0
        self._n_samples = 0
        self._max_in_flight = 0

    def _end_window(self, now_s: float) -> None:
        short_s = self._sum_s / self._n_samples
        self._learn_baseline(short_s, now_s - self._starts_s)
        if short_s > 0 and self._max_in_flight >= self._limit / 2:
            reference_s = max(self._tolerance * self._long_s, self._rtt_floor_s)
            gradient = max(0.5, min(1.0, reference_s / short_s))
            wanted = gradient * self._limit + self._queue_allowance * math.sqrt(self._limit)
            limit = self._limit + self._smoothing * (wanted - self._limit)
            self._limit = max(float(self._minimum), min(float(self.maximum), limit))
            self.value = int(self._limit)
        self._begin_window(now_s)

    def _learn_baseline(self, short_s: float, elapsed_s: float) -> None:
        self._n_windows += 1
        aged = 1 - math.exp(-elapsed_s / self._long_window_s)
        weight = 1 / self._n_windows if self._n_windows <= N_WARM_UP else aged
        self._long_s += weight * (short_s - self._long_s)
        if self._long_s > SHORTENS_AT * short_s:
            self._long_s *= SHORTENS_BY
