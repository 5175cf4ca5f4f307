"""Going on while the store of user histories is down, and catching up when it is back."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Literal, TypeVar

import numpy as np

from recserve.errors import StateUnavailable
from recserve.state.outbox import Outbox
from recserve.state.store import Event, History, Recorded, UserStateStore, merge, to_history

BACKOFF_S = 0.02
"Longest pause before the first retry; it doubles with each."
WRITE_TIMEOUT_S = 5.0
"A batch of many users takes several round trips."
DRAIN_BATCH = 200
"Events of the outbox that are sent at once."
MAX_DOUBLINGS = 6
"Of the pause between attempts to send the outbox: at most 1.3 s."

T = TypeVar("T")

log = logging.getLogger(__name__)


class CircuitBreaker:
    """Stops asking what does not answer: a pure rule of outcomes and `now_s`, on any one clock.

        closed --n_failures in a row--> open --open_s later--> half-open --the probe succeeds--> closed
                                         ^                        |
                                         `-----the probe fails----'

    Half-open lets one call through, the probe. One that never reports back (its caller went away) is
    given up after another `open_s`, and the next call is the probe.

    Args:
        n_failures: how many in a row open it.
        open_s: seconds for which nothing is asked.
    """

    def __init__(self, *, n_failures: int = 5, open_s: float = 5.0) -> None:
        if n_failures < 1 or not open_s > 0:
            raise ValueError(f"n_failures={n_failures}, open_s={open_s}: both must be positive")
        self._n_failures = n_failures
        self._open_s = open_s
        self._n_failed = 0
        self._probe_at_s = 0.0
        "When the next probe may go; counts only while not closed."
        self._is_probing = False

    @property
    def state(self) -> Literal["closed", "open", "half-open"]:
        if self._n_failed < self._n_failures:
            return "closed"
        return "half-open" if self._is_probing else "open"

    def wait_s(self, now_s: float) -> float:
        """Seconds until a call is let through; 0 where one is at once."""
        return 0.0 if self.state == "closed" else max(0.0, self._probe_at_s - now_s)

    def allows(self, now_s: float) -> bool:
        """Whether to make a call now; true obliges to make it, as it may be the only probe."""
        if self.state == "closed":
            return True
        if now_s < self._probe_at_s:
            return False
        self._is_probing = True
        self._probe_at_s = now_s + self._open_s
        return True

    def succeed(self) -> bool:
        """A call succeeded. True when that closed the breaker."""
        was_closed = self.state == "closed"
        self._n_failed = 0
        self._is_probing = False
        return not was_closed

    def fail(self, now_s: float) -> bool:
        """A call failed. True when that opened a closed breaker."""
        was_closed = self.state == "closed"
        self._n_failed += 1
        if self.state == "closed":
            return False
        self._is_probing = False
        self._probe_at_s = now_s + self._open_s
        return was_closed


class ResilientStore:
    """A `UserStateStore` that another one behind it may fail.

    Each call has a time limit, within which failures are retried after a random pause (full jitter: AWS
    Architecture Blog, "Exponential Backoff And Jitter"). A breaker spares a store that is down, and the
    callers the wait. What is recorded meanwhile goes to the outbox and from there, in the order of
    arrival, to the store as soon as that answers; the outbox of a process that crashed is sent on by the
    next one. Reads add what still waits: from the store's answer if there is one, else as a stale history.

    All calls come from one event loop.

    Args:
        inner: the store; it must not retry on its own.
        outbox: where events wait.
        timeout_s: longest a read takes, retries included.
        n_retries: further attempts of a call after the first; none once the time is up.
        breaker: spares the store; `clock` is its clock.
        rng: draws the pauses.
        write_timeout_s: longest a write takes before it is deferred, retries included.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        inner: UserStateStore,
        outbox: Outbox,
        *,
        timeout_s: float,
        n_retries: int,
        breaker: CircuitBreaker,
        rng: np.random.Generator,
        write_timeout_s: float = WRITE_TIMEOUT_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.breaker = breaker
        self._inner = inner
        self._outbox = outbox
        self._timeout_s = timeout_s
        self._write_timeout_s = write_timeout_s
        self._n_retries = n_retries
        self._rng = rng
        self._clock = clock
        self._draining: asyncio.Task[None] | None = None
        self._sending = asyncio.Lock()
        "Held while events of the outbox are on their way, so that none of an erased user is."

    @property
    def n_waiting(self) -> int:
        """Events that wait in the outbox."""
        return len(self._outbox)

    async def history(self, user_id: str) -> History:
        waiting = self._waiting(user_id)
        try:
            if not waiting:
                return await self._ask(partial(self._inner.history, user_id), timeout_s=self._timeout_s)
            events = await self._ask(partial(self._inner.export, user_id), timeout_s=self._timeout_s)
            return to_history(merge(events, waiting))
        except StateUnavailable:
            if waiting:
                return to_history(merge((), waiting), is_stale=True)
            raise

    async def record(self, events: Sequence[Event]) -> Recorded:
        """Add events to the store, or to the outbox while the store does not take them.

        Raises:
            StateUnavailable: neither takes them.
        """
        self.start_draining()
        try:
            return await self._ask(partial(self._inner.record, events), timeout_s=self._write_timeout_s)
        except StateUnavailable:
            recorded = await self._outbox.add(events)
            self.start_draining()
            return recorded

    async def export(self, user_id: str) -> list[Event]:
        waiting = self._waiting(user_id)
        events = await self._ask(partial(self._inner.export, user_id), timeout_s=self._write_timeout_s)
        return merge(events, waiting)

    async def erase(self, user_id: str) -> int:
        """Remove everything kept about a user, here and in the store.

        Raises:
            StateUnavailable: the store does not answer; nothing is promised, ask again.
        """
        async with self._sending:
            n_erased = await self._ask(partial(self._inner.erase, user_id), timeout_s=self._write_timeout_s)
            return n_erased + await self._outbox.purge(user_id)

    async def close(self) -> None:
        """Release everything; events that still wait are sent by the next process."""
        if self._draining is not None:
            self._draining.cancel()
            await asyncio.wait([self._draining])
        await self._outbox.close()
        await self._inner.close()

    def start_draining(self) -> None:
        """Send what waits, in the background. Every call does this; a process that starts may, early."""
        if self._draining is None and self._outbox:
            self._draining = asyncio.get_running_loop().create_task(self._drain())

    def _waiting(self, user_id: str) -> list[Event]:
        if not self._outbox:
            return []
        self.start_draining()
        return self._outbox.waiting(user_id)

    async def _ask(self, call: Callable[[], Awaitable[T]], *, timeout_s: float) -> T:
        """Call the store.

        Raises:
            StateUnavailable: it failed, or is known to.
        """
        now_s = self._clock()
        if not self.breaker.allows(now_s):
            raise StateUnavailable(
                f"the user store is down; it is asked again in {self.breaker.wait_s(now_s):.1f} s"
            )
        try:
            async with asyncio.timeout(timeout_s):
                answer = await self._attempt(call)
        except TimeoutError as err:
            failure = StateUnavailable(f"the user store did not answer within {timeout_s:g} s")
            self._fail(failure)
            raise failure from err
        except StateUnavailable as err:
            self._fail(err)
            raise
        if self.breaker.succeed():
            log.warning("the user store is back; %d events wait to be sent", len(self._outbox))
        return answer

    async def _attempt(self, call: Callable[[], Awaitable[T]]) -> T:
        for attempt in range(self._n_retries):
            try:
                return await call()
            except StateUnavailable:
                await asyncio.sleep(self._rng.uniform(0, BACKOFF_S * 2**attempt))
        return await call()

    def _fail(self, err: StateUnavailable) -> None:
        if self.breaker.fail(self._clock()):
            log.warning("the user store is down, events go to the outbox: %s", err)

    async def _drain(self) -> None:
        n_failed = 0
        try:
            while self._outbox:
                await asyncio.sleep(self.breaker.wait_s(self._clock()))
                try:
                    await self._send_oldest()
                    n_failed = 0
                except Exception as err:
                    if not isinstance(err, StateUnavailable):
                        log.exception("sending the outbox failed; it is tried again")
                    await asyncio.sleep(self._rng.uniform(0, BACKOFF_S * 2**n_failed))
                    n_failed = min(n_failed + 1, MAX_DOUBLINGS)
        finally:
            self._draining = None

    async def _send_oldest(self) -> None:
        async with self._sending:
            letters = await self._outbox.oldest(DRAIN_BATCH)
            if letters:
                events = [letter.event for letter in letters]
                await self._ask(partial(self._inner.record, events), timeout_s=self._write_timeout_s)
                await self._outbox.remove(letters)
