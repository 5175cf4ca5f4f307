"""Lets requests in or refuses them: enforces the concurrency limit, the queueing delay and deadlines."""

import math
from collections.abc import Callable
from random import Random
from time import perf_counter
from types import TracebackType

from recserve.admission.forbearance import Forbearance
from recserve.admission.limit import Limit
from recserve.admission.priority import Priority
from recserve.admission.queueing_delay import QueueingDelay
from recserve.admission.shedding import ShedShare
from recserve.errors import Overloaded, Refusal

DETAILS: dict[Refusal, str] = {
    "concurrency": "the process works on as many requests as it can answer in time; try again later",
    "queueing_delay": "requests wait too long before the process gets to them; try again later",
    "deadline": "the request's deadline is closer than an answer takes; allow more time or try again later",
}
"What a refused caller reads. Fixed text: a refusal must cost next to nothing, or an overload feeds itself."

RATE_WINDOW_S = 1.0
"How far back the rates of answers and refusals look."
SERVICE_TIME_SMOOTHING = 0.05
"Weight of the newest answer in the expected service time."
SERVICE_TIME_HALF_LIFE_S = 1.0
"Without answers, the expected service time halves this often: who refuses all must not learn nothing."
MIN_RETRY_AFTER_S, MAX_RETRY_AFTER_S = 0.1, 30.0


class Permit:
    """One request's place among those in flight; leaving the `with` block gives it back.

    Attributes:
        pressure: what the request met when it came in, as of `Limiter.pressure`.
    """

    __slots__ = ("_in_flight", "_is_typical", "_limiter", "_started_s", "_weight", "pressure")

    def __init__(
        self, limiter: "Limiter", *, weight: int, started_s: float, pressure: float, is_typical: bool
    ) -> None:
        self._limiter = limiter
        self._weight = weight
        self._is_typical = is_typical
        self._started_s = started_s
        self._in_flight = limiter.in_flight
        self.pressure = pressure

    def __enter__(self) -> "Permit":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._limiter.in_flight -= self._weight
        if kind is None:  # how long a request took to fail, or to be given up, says nothing about the rest
            self._limiter.learn(
                self._started_s,
                weight=self._weight,
                in_flight=self._in_flight,
                is_typical=self._is_typical,
            )


class Limiter:
    """Lets a request in, or refuses it at once; nobody waits at the door.

    A request is refused when, in this order,

    - `deadline`: what remains until its deadline is less than answers take;
    - `concurrency`: the limit is in use; of it, a share is kept free for normal priority;
    - `queueing_delay`: the event loop is behind, and it is among the share that must go (`ShedShare`). Of
      low priority twice the share goes. A process that works on nothing refuses nobody for this.

    While it forbears (`Forbearance`) nobody is refused for the queueing delay, and the concurrency limit is
    its maximum and learns nothing: callers who ask again at once make requests slow, and no limit makes them
    faster.

    All calls come from one event loop.

    Args:
        limit: how many may be in flight.
        delay: the standing queueing delay, fed by a `LoopProbe`.
        target_delay_s: the queueing delay to settle at under overload.
        reserved_share: share of the limit that low priority may not use, in [0, 1).
        clock: monotonic, in seconds; that of deadlines.
        rng: draws who is refused, and spreads the times at which they come back.
    """

    def __init__(
        self,
        limit: Limit,
        *,
        delay: QueueingDelay,
        target_delay_s: float,
        reserved_share: float = 0.25,
        clock: Callable[[], float] = perf_counter,
        rng: Random | None = None,
    ) -> None:
        if not 0 <= reserved_share < 1:
            raise ValueError(f"reserved share {reserved_share}; it must be in [0, 1)")
        self.limit = limit
        self.delay = delay
        self.in_flight = 0
        self._target_delay_s = target_delay_s
        self._open_share = 1 - reserved_share
        self._clock = clock
        self._random = (rng or Random(0)).random
        self._shed = ShedShare(target_delay_s)
        self._forbearance = Forbearance(target_delay_s)
        self._answered = _Recent(RATE_WINDOW_S)
        self._refused = _Recent(RATE_WINDOW_S)
        self._service_s = 0.0
        self._answered_s = -math.inf

    @property
    def shed_share(self) -> float:
        """Share of normal requests to refuse for the queueing delay as last seen, in [0, 1)."""
        return self._shed.share

    def acquire(
        self,
        *,
        deadline_s: float = math.inf,
        priority: Priority = "normal",
        weight: int = 1,
        is_typical: bool = True,
    ) -> Permit:
        """Take a place.

        Args:
            deadline_s: when the caller stops waiting, on our clock; infinity for never.
            priority: low priority is refused first.
            is_typical: whether what it takes tells what others take.
            weight: places taken. More than half of the limit counts as half, since the place for it
                would never be free under load.

        Raises:
            Overloaded: the request is refused, and when it should come back.
        """
        now_s = self._clock()
        if deadline_s < math.inf and deadline_s - now_s < self.expected_service_s(now_s):
            raise self._refusal("deadline", weight, now_s)
        delay_s = self.delay.value(now_s)
        limit = self._limit(now_s)
        if weight > 1:
            weight = min(weight, max(1, limit // 2))
        in_flight = self.in_flight
        is_low = priority == "low"
        most = max(1, int(limit * self._open_share)) if is_low else limit
        if in_flight + weight > most:
            self._forbearance.observe(is_refused=True, delay_s=delay_s, now_s=now_s)
            raise self._refusal("concurrency", weight, now_s)
        share = self._shed.update(delay_s, now_s)
        is_shed = share > 0 and in_flight > 0 and self._random() < (2 * share if is_low else share)
        if is_shed and not self._forbearance.holds(now_s):
            self._forbearance.observe(is_refused=True, delay_s=delay_s, now_s=now_s)
            raise self._refusal("queueing_delay", weight, now_s)
        self._forbearance.observe(is_refused=False, delay_s=delay_s, now_s=now_s)
        self.in_flight = in_flight + weight
        pressure = max(in_flight / limit, delay_s / self._target_delay_s)
        return Permit(
            self, weight=weight, started_s=now_s, pressure=pressure, is_typical=is_typical and weight == 1
        )

    def pressure(self, now_s: float) -> float:
        """How close to overload the process is: 1 is there, and beyond 1 it is behind.

        max(in flight / limit, standing queueing delay / its target)
        """
        return max(self.in_flight / self._limit(now_s), self.delay.value(now_s) / self._target_delay_s)

    def _limit(self, now_s: float) -> int:
        return self.limit.maximum if self._forbearance.holds(now_s) else self.limit.value

    def expected_service_s(self, now_s: float) -> float:
        """What an answer takes, from admission on: the smoothed RTT; 0 as long as nothing is known."""
        age_s = now_s - self._answered_s
        return self._service_s * 0.5 ** (age_s / SERVICE_TIME_HALF_LIFE_S) if self._service_s else 0.0

    def learn(self, started_s: float, *, weight: int, in_flight: int, is_typical: bool) -> None:
        """A request was answered."""
        now_s = self._clock()
        self._answered.add(weight, now_s)
        if not is_typical:  # it took longer for its size or its kind, not for a queue
            return
        rtt_s = now_s - started_s
        if self._service_s:
            self._service_s += SERVICE_TIME_SMOOTHING * (rtt_s - self._service_s)
        else:
            self._service_s = rtt_s
        self._answered_s = now_s
        if not self._forbearance.holds(now_s):
            self.limit.update(rtt_s=rtt_s, in_flight=in_flight, now_s=now_s)

    def _refusal(self, reason: Refusal, weight: int, now_s: float) -> Overloaded:
        """The refusal, with a time after which there should be room.

            retry_after_s = jitter * (in flight + refused) / answers a second

        is how long the process needs for everyone who is in flight and all those it refused in about the
        last second, should they come back. Jitter, in [0.5, 1.5), keeps them from coming back together.
        """
        self._refused.add(weight, now_s)
        n_answered = self._answered.value(now_s)
        n_waiting = self.in_flight + self._refused.value(now_s)
        wait_s = RATE_WINDOW_S * (n_waiting / n_answered if n_answered > 0.5 else 1.0)
        retry_after_s = min(MAX_RETRY_AFTER_S, max(MIN_RETRY_AFTER_S, wait_s * (0.5 + self._random())))
        return Overloaded(DETAILS[reason], retry_after_s=retry_after_s, reason=reason)


class _Recent:
    """How many events there were in about the last `window_s`: a count that decays as exp(-t / window_s)."""

    __slots__ = ("_at_s", "_count", "_window_s")

    def __init__(self, window_s: float) -> None:
        self._window_s = window_s
        self._count = 0.0
        self._at_s = -math.inf

    def add(self, n: int, now_s: float) -> None:
        self._count = self.value(now_s) + n
        self._at_s = now_s

    def value(self, now_s: float) -> float:
        return self._count * math.exp((self._at_s - now_s) / self._window_s) if self._count else 0.0
