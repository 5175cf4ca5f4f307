"""What the service asks of any store of what users did, and the rules that all stores share."""

import hashlib
import math
from collections.abc import Iterable, Sequence
from itertools import chain
from operator import attrgetter
from typing import Literal, NamedTuple, Protocol

MAX_HISTORY = 1000
"Events that a store keeps for one user: the newest."

EventKind = Literal["view", "click", "add", "purchase"]


class Event(NamedTuple):
    """Something that a user did with an item."""

    event_id: str
    "The sender's name for it: the same id of the same user is the same event, however often it arrives."
    user_id: str
    item_id: str
    kind: EventKind
    at_s: float
    "Unix time."
    recommendation_id: str = ""
    "The answer that led to it; empty: none."


class History(NamedTuple):
    """The items of one user's events. Answers are shared between callers: do not change the list."""

    item_ids: list[str]
    "Oldest first, at most `MAX_HISTORY`; empty for a user who did nothing yet."
    is_stale: bool = False
    "Answered without the store; what other instances recorded may be missing."
    newest_at_s: float = -math.inf
    "Unix time of the newest event."


class Recorded(NamedTuple):
    """What became of a batch. Events that had expired on arrival count as neither new nor duplicate."""

    n_new: int
    n_duplicates: int
    is_deferred: bool = False
    "Kept on this instance, since the store did not answer; it is sent on when the store is back."


class UserStateStore(Protocol):
    """What users did, by user id. Item ids are text: the store knows nothing of catalogues.

    A user's events are in the order of time, those of the same time in the order of arrival. Only the
    newest `MAX_HISTORY` are kept, and of these a store returns none that is older than its time to live.

    Raises:
        StateUnavailable: from every method but `close`, when the store cannot be used.
    """

    async def history(self, user_id: str) -> History:
        """The items of a user's events."""

    async def record(self, events: Sequence[Event]) -> Recorded:
        """Add events of any users; those already there stay as they are.

        After an error some of them may be there and others not: sending the batch again is always safe.
        """

    async def export(self, user_id: str) -> list[Event]:
        """Everything kept about a user, oldest first."""

    async def erase(self, user_id: str) -> int:
        """Remove everything kept about a user; returns how many events that were."""

    async def close(self) -> None:
        """Release files, connections and threads; the store is not used afterwards."""


def merge(kept: Iterable[Event], added: Iterable[Event]) -> list[Event]:
    """One user's events with others added: each id once, in order, the newest `MAX_HISTORY`."""
    by_id: dict[str, Event] = {}
    for event in chain(kept, added):
        by_id.setdefault(event.event_id, event)
    return sorted(by_id.values(), key=attrgetter("at_s"))[-MAX_HISTORY:]


def to_history(events: Sequence[Event], *, is_stale: bool = False) -> History:
    """The history that these events, in order, make."""
    newest_at_s = events[-1].at_s if events else -math.inf
    return History([event.item_id for event in events], is_stale, newest_at_s)


def by_user(events: Iterable[Event]) -> dict[str, list[Event]]:
    """A batch, taken apart by user; each user's events stay in the order of arrival."""
    users: dict[str, list[Event]] = {}
    for event in events:
        users.setdefault(event.user_id, []).append(event)
    return users


def derive_event_id(user_id: str, item_id: str, at_s: float) -> str:
    """An id for an event that came without one: equal for the same user, item and time."""
    return hashlib.blake2b(repr((user_id, item_id, at_s)).encode(), digest_size=16).hexdigest()
