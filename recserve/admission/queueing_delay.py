"""How long a request waits before its first line of Python runs.

The host lets every request in, so under overload the queue forms in the event loop itself, where a count
of requests in flight does not see it. A probe does: it joins the loop's queue like everyone else and says
how long that took.
"""

import asyncio
import math
from collections import deque
from collections.abc import Callable
from time import perf_counter


class QueueingDelay:
    """The standing delay: what even the luckiest of the last `window_s` waited.

        standing(now) = min of the delays observed in (now - window_s, now]
        without any:    the last standing delay, halved every window_s

    A burst gives one long delay and is gone at the next; a queue that stands makes every delay long. The
    minimum tells the two apart, as in CoDel (Nichols and Jacobson 2012, RFC 8289). Theirs is taken over
    100 ms because packets cross the world; requests here have an SLO of 25 ms, and in 100 ms at three times
    the capacity a queue of 200 ms has formed. The window is a few passes of the loop instead.

    It misbehaves when passes take longer than the window: then the standing delay is just the last one.

    Args:
        window_s: how far back the minimum looks; about four times the target.
    """

    __slots__ = ("_descent", "_latest_s", "_standing_s", "_window_s")

    def __init__(self, *, window_s: float = 0.02) -> None:
        if not window_s > 0:
            raise ValueError(f"window of {window_s} s; it must be positive")
        self._window_s = window_s
        self._descent: deque[tuple[float, float]] = deque()
        "Observations that may yet be the minimum, (when, delay): delays rise from left to right."
        self._latest_s = -math.inf
        self._standing_s = 0.0

    def observe(self, delay_s: float, now_s: float) -> None:
        """A probe took this long and has just come back."""
        while self._descent and self._descent[-1][1] >= delay_s:
            self._descent.pop()
        self._descent.append((now_s, delay_s))
        self._latest_s = now_s
        self._standing_s = self.value(now_s)

    def value(self, now_s: float) -> float:
        """The standing delay in seconds; 0 when nothing has been observed for long."""
        descent, oldest_s = self._descent, now_s - self._window_s
        while descent and descent[0][0] <= oldest_s:
            descent.popleft()
        if descent:
            return descent[0][1]
        n_silent_windows = (now_s - self._latest_s) / self._window_s - 1
        return self._standing_s * 0.5**n_silent_windows if n_silent_windows < 64 else 0.0


class LoopProbe:
    """Measures one pass of the running event loop, whenever a request comes in.

    A callback that is scheduled at the start of a request runs after everything that the loop already has
    to do: what it waits, a request that arrives meets. At most one is under way, so it costs about a
    microsecond and an idle process has none.

    Args:
        delay: is told what each probe waited.
        clock: monotonic, in seconds.
    """

    __slots__ = ("_clock", "_delay", "_sent_s")

    def __init__(self, delay: QueueingDelay, *, clock: Callable[[], float] = perf_counter) -> None:
        self._delay = delay
        self._clock = clock
        self._sent_s = math.nan

    def send(self) -> None:
        """Send a probe unless one is under way. Call it first thing in a request, on the event loop."""
        if math.isnan(self._sent_s):
            self._sent_s = self._clock()
            asyncio.get_running_loop().call_soon(self._come_back)

    def _come_back(self) -> None:
        now_s = self._clock()
        self._delay.observe(now_s - self._sent_s, now_s)
        self._sent_s = math.nan
