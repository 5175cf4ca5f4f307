"""How often one caller may ask: a pure rule of numbers, and the table that holds callers to it."""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from time import perf_counter
from typing import NamedTuple, Protocol

from recserve.errors import Overloaded

MAX_CALLERS = 10_000
"Callers that are remembered, about 2 MB; the one that was silent longest is forgotten first."
DETAIL = "this caller asks more often than it may; slow down, and come back after the time in retry-after"
"Fixed text, as all refusals have: one must cost next to nothing."


class Rate(NamedTuple):
    per_s: float
    "Requests a second, more than 0."
    burst: float
    "Requests that may come at once after a pause, at least 1."


class Taken(NamedTuple):
    full_at_s: float
    "When the bucket is full again."
    wait_s: float
    "How long until there is enough in it; 0: it was taken."


def take(full_at_s: float, now_s: float, rate: Rate) -> Taken:
    """Take one token out of a caller's bucket, if it holds one: the rule of `CallerLimiter`.

    A bucket that holds `burst` tokens at most and gains `per_s` a second is one number, the time at which it
    is full again. It holds

        burst - per_s * max(full_at_s - now_s, 0)

    tokens, and each that is taken moves that time by 1 / per_s. This is the generic cell rate algorithm of
    ATM's traffic management (ITU-T I.371), in units of seconds.
    """
    wait_s = max(full_at_s - now_s, 0.0) + (1 - rate.burst) / rate.per_s
    if wait_s > 0:
        return Taken(full_at_s, wait_s)
    return Taken(owe(full_at_s, now_s, rate, n=1), 0.0)


def owe(full_at_s: float, now_s: float, rate: Rate, *, n: int) -> float:
    """When the bucket is full again, with `n` tokens less in it; below none, it is in debt."""
    return max(full_at_s, now_s) + n / rate.per_s


class Name(Protocol):
    """Tells callers apart; names are kept, so the shorter the better."""

    def __call__(
        self, headers: Mapping[str, str], query: Mapping[str, str], *, is_key_checked: bool
    ) -> bytes:
        """The caller of a request.

        Args:
            is_key_checked: the host has let the request in for its function key.
        """


class CallerLimiter:
    """Refuses callers that ask more often than a rate, each by itself and before the request is read.

    What a request costs is known once it has been read: a batch counts one at the door, and the rest when it
    has been worked on (`charge`). That may leave the bucket in debt, so that the caller's next request waits:
    over time nobody gets more than the rate, and only what is under way at once can exceed the burst.

    A refused request costs its caller nothing, so whoever comes back too early is refused again and not for
    longer. A caller that is forgotten starts with a full bucket: who has more than `max_callers` names to ask
    under is not held. Every process counts for itself.

    All calls come from one event loop.

    Args:
        rate: of every caller.
        name: tells callers apart.
        max_callers: how many are remembered.
        clock: monotonic, in seconds.
    """

    def __init__(
        self,
        rate: Rate,
        *,
        name: Name,
        max_callers: int = MAX_CALLERS,
        clock: Callable[[], float] = perf_counter,
    ) -> None:
        if not rate.per_s > 0:
            raise ValueError(f"{rate.per_s} requests a second; the rate must be positive")
        if not rate.burst >= 1:
            raise ValueError(f"a burst of {rate.burst} requests; it must be at least 1")
        self._rate = rate
        self._name = name
        self._max_callers = max_callers
        self._clock = clock
        self._full_at_s: OrderedDict[bytes, float] = OrderedDict()

    def __len__(self) -> int:
        """Callers that are remembered."""
        return len(self._full_at_s)

    def admit(
        self, headers: Mapping[str, str], query: Mapping[str, str], *, is_key_checked: bool = True
    ) -> bytes:
        """Let a request in; returns its caller.

        Args:
            headers, query, is_key_checked: of the request, as of `Name`.

        Raises:
            Overloaded: its caller asks too often, and when it may come back.
        """
        caller = self._name(headers, query, is_key_checked=is_key_checked)
        now_s = self._clock()
        taken = take(self._full_at_s.get(caller, now_s), now_s, self._rate)
        self._remember(caller, taken.full_at_s)
        if taken.wait_s > 0:
            raise Overloaded(DETAIL, retry_after_s=taken.wait_s, reason="caller_rate")
        return caller

    def charge(self, caller: bytes, n: int) -> None:
        """Count `n` more requests of a caller that was let in."""
        if n <= 0:
            return
        now_s = self._clock()
        self._remember(caller, owe(self._full_at_s.get(caller, now_s), now_s, self._rate, n=n))

    def _remember(self, caller: bytes, full_at_s: float) -> None:
        self._full_at_s[caller] = full_at_s
        self._full_at_s.move_to_end(caller)
        if len(self._full_at_s) > self._max_callers:
            self._full_at_s.popitem(last=False)
