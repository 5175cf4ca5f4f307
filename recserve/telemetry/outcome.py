"""How a request ended, in one word."""

from typing import Literal

from recserve.errors import BundleUnavailable, InvalidRequest, NotReady, Overloaded, StateUnavailable

Outcome = Literal["ok", "shed", "bad_request", "not_ready", "unavailable", "failed", "cancelled"]

FAILURES: frozenset[Outcome] = frozenset({"failed", "unavailable", "not_ready"})
"Outcomes that are our fault: what error rates count. Shedding is on purpose, and counted by itself."

_OUTCOMES: dict[type[Exception], Outcome] = {
    Overloaded: "shed",
    InvalidRequest: "bad_request",
    NotReady: "not_ready",
    StateUnavailable: "unavailable",
    BundleUnavailable: "unavailable",
    Exception: "failed",
}
"The first class that an error belongs to decides."


def outcome_of(error: type[BaseException] | None) -> Outcome:
    """What a request that ended with this error, or without one, counts as."""
    if error is None:
        return "ok"
    return next((outcome for kind, outcome in _OUTCOMES.items() if issubclass(error, kind)), "cancelled")
