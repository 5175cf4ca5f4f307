"""Enforces the concurrency limit on the requests of one process."""

from types import TracebackType

from recserve.admission.limit import Limit
from recserve.errors import Overloaded


class Permit:
    """One request's place among those in flight; leaving the `with` block gives it back.

    Attributes:
        pressure: share of the limit that others had in use when this request came in, in [0, 1).
    """

    __slots__ = ("_limiter", "pressure")

    def __init__(self, limiter: "Limiter", pressure: float) -> None:
        self._limiter = limiter
        self.pressure = pressure

    def __enter__(self) -> "Permit":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._limiter.in_flight -= 1


class Limiter:
    """Lets a request in, or refuses it at once; nobody waits at the door.

    All calls come from one event loop.
    """

    def __init__(self, limit: Limit) -> None:
        self.limit = limit
        self.in_flight = 0

    def acquire(self) -> Permit:
        """Take a place.

        Raises:
            Overloaded: as many requests are in flight as may be.
        """
        limit = self.limit.value
        if self.in_flight >= limit:
            raise Overloaded(
                f"{self.in_flight} requests are in flight and the limit is {limit}; try again shortly",
                retry_after_s=1.0,
            )
        permit = Permit(self, self.in_flight / limit)
        self.in_flight += 1
        return permit
