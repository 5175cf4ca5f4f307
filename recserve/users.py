"""What users did: taken in, read before a recommendation, handed out and erased on their request."""

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from msgspec import UNSET

from recserve import schemas
from recserve.errors import StateUnavailable
from recserve.feedback import Feedback, LastLists
from recserve.state.store import Event, UserStateStore
from recserve.telemetry.timeline import Timeline

MAX_SKEW_S = 300.0
"An event further in the future than this has a wrong clock, and happened on arrival as far as we know."


class Past(NamedTuple):
    """What is known of a user before a recommendation."""

    item_ids: list[str]
    "Oldest first."
    degraded: schemas.Degradation | None = None
    "What this had to do without."


class Users:
    """The service's side of the store of histories: contract in, contract out.

    Args:
        store: where histories live.
        ttl_s: how long an event is kept.
        is_known: whether the catalogue holds an item.
        clock: Unix time in seconds.

    Attributes:
        last_lists: what they were shown.
    """

    def __init__(
        self,
        store: UserStateStore,
        *,
        ttl_s: float,
        is_known: Callable[[str], bool],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.store = store
        self._ttl_s = ttl_s
        self._is_known = is_known
        self._clock = clock
        self.last_lists = LastLists()

    async def past(self, user_id: str) -> Past:
        """The items a user took; without the store, none, and that is said."""
        try:
            history = await self.store.history(user_id)
        except StateUnavailable:
            return Past([], "state_unavailable")
        return Past(history.item_ids, "stale_history" if history.is_stale else None)

    async def record(self, request: schemas.EventsRequest) -> schemas.EventsAccepted:
        """Keep what users did.

        Raises:
            StateUnavailable: neither the store nor this instance's disk can take it; nothing was kept.
        """
        now_s = self._clock()
        events = [self._event(sent, now_s) for sent in request.events]
        fresh = [event for event in events if event.at_s > now_s - self._ttl_s]
        recorded = await self.store.record(fresh)
        return schemas.EventsAccepted(
            n_new=recorded.n_new,
            n_duplicates=recorded.n_duplicates,
            n_clock_skewed=sum(_is_skewed(sent, now_s) for sent in request.events),
            n_expired=len(events) - len(fresh),
            n_unknown_items=sum(not self._is_known(event.item_id) for event in fresh),
            is_deferred=recorded.is_deferred,
        )

    def judge(self, request: schemas.EventsRequest) -> list[Feedback]:
        """What the events say of the lists that their users were shown."""
        return [self.last_lists.judge(sent.user_id, sent.item_id, sent.kind) for sent in request.events]

    def _event(self, sent: schemas.Event, now_s: float) -> Event:
        return Event(
            event_id=sent.event_id,
            user_id=sent.user_id,
            item_id=str(sent.item_id),
            kind=sent.kind,
            at_s=now_s if sent.at is UNSET or _is_skewed(sent, now_s) else sent.at.timestamp(),
            recommendation_id="" if sent.recommendation_id is UNSET else sent.recommendation_id,
        )

    async def export(self, request: schemas.UserRequest, timeline: Timeline) -> schemas.UserExport:
        """All that is stored about a user.

        Raises:
            StateUnavailable: the store does not answer.
        """
        timeline.enter("state")
        return schemas.UserExport(
            user_id=request.user_id, events=_stored(await self.store.export(request.user_id))
        )

    async def erase(self, request: schemas.UserRequest, timeline: Timeline) -> schemas.UserErased:
        """Forget a user.

        Raises:
            StateUnavailable: the store does not answer, so nothing can be promised.
        """
        timeline.enter("state")
        self.last_lists.forget(request.user_id)
        return schemas.UserErased(n_events=await self.store.erase(request.user_id))


def _is_skewed(sent: schemas.Event, now_s: float) -> bool:
    return sent.at is not UNSET and sent.at.timestamp() > now_s + MAX_SKEW_S


def _stored(events: Sequence[Event]) -> list[schemas.StoredEvent]:
    return [
        schemas.StoredEvent(
            event_id=event.event_id,
            item_id=event.item_id,
            kind=event.kind,
            at=datetime.fromtimestamp(event.at_s, UTC),
            recommendation_id=event.recommendation_id,
        )
        for event in events
    ]
