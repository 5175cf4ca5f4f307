"""Switches that make ingestion fail, for tests of those who send."""

import asyncio

import msgspec

FAULT_MESSAGE = "a fault that was switched on at /admin/faults"
FAILURES = (400, 402, 408, 413, 429, 439, 500, 502, 503, 504)


class Fault(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What ingestion answers instead of taking anything.

    Attributes:
        status: one of `FAILURES`; None answers as usual, after the delay.
        retry_after_s: sent as Retry-After.
        delay_s: how long an answer takes.
        n: how many requests it is for; None is all until it is switched off.
        every: refuse only the first of so many items of a request, and take the others; None refuses all.
    """

    status: int | None = None
    retry_after_s: int | None = None
    delay_s: float = 0.0
    n: int | None = None
    every: int | None = None

    def status_of(self, index: int) -> int | None:
        """What an item of a request is refused with, by its place; None takes it."""
        return self.status if self.every and index % self.every == 0 else None


class Faults:
    """The fault that is switched on, if any.

    Attributes:
        n_left: requests that it is still for; None is no limit.
    """

    def __init__(self) -> None:
        self.fault = Fault()
        self.n_left: int | None = None

    def switch(self, fault: Fault) -> None:
        """Switch a fault on, in the place of another.

        Raises:
            ValueError: no such failure.
        """
        if fault.status is not None and fault.status not in FAILURES:
            raise ValueError(f"status {fault.status} cannot be switched on; known are {FAILURES}")
        if fault.delay_s < 0 or (fault.n is not None and fault.n < 0):
            raise ValueError("delay_s and n cannot be negative")
        if fault.every is not None and fault.every < 1:
            raise ValueError("every cannot be less than 1")
        self.fault, self.n_left = fault, fault.n

    async def next(self) -> Fault:
        """What the next request meets, after its delay."""
        if self.n_left == 0:
            return Fault()
        if self.n_left is not None:
            self.n_left -= 1
        fault = self.fault
        if fault.delay_s:
            await asyncio.sleep(fault.delay_s)
        return fault
