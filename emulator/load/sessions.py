"""Sessions: users who ask, get a list, watch an item, and tell the service of it.

An arrival of the schedule is one request of whoever has waited longest; where fewer users than wished are
about, or all of them wait for answers, it is a further user's first. So requests leave when the schedule
says, and still say what their user knows by then. An event that was not acknowledged is sent again, under
its id, and until it is, recommendations are asked with its item in the `history`.
"""

import json
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from time import time
from typing import Any, TextIO

import msgspec
import numpy as np

from emulator.load.audience import Audience, ItemId
from emulator.load.client import Outcome, http_request
from emulator.load.target import Target

K = 10
MAX_HISTORY = 50
"Newest items that a request carries."


class _Item(msgspec.Struct):
    id: int | str


class _Model(msgspec.Struct):
    variant: str


class _List(msgspec.Struct):
    recommendation_id: str
    items: list[_Item]
    model: _Model
    cold_start: bool = False
    degraded: list[str] = []
    n_unknown_items: int = 0


class _Accepted(msgspec.Struct):
    is_deferred: bool = False


@dataclass(slots=True)
class _User:
    user_id: str
    following: Iterator[ItemId]
    wanted: ItemId | None
    "What is watched after the next list."
    untold: list[ItemId]
    "Watched, and not acknowledged by the service, oldest first."
    waiting: list[dict[str, Any]] = field(default_factory=list)
    "Events not acknowledged yet."
    n_events: int = 0
    tells_next: bool = True
    "Whether the next request is an event, if one waits; after a failed one a list is asked for first."


@dataclass(slots=True)
class Quality:
    """How often the item watched next was in the list."""

    n: int = 0
    n_hits: int = 0
    gain: float = 0.0
    "Sum of 1 / log2(1 + place) over hits: NDCG with one relevant item."

    def add(self, served: list[str], wanted: str) -> None:
        self.n += 1
        if wanted in served:
            self.n_hits += 1
            self.gain += 1 / float(np.log2(2 + served.index(wanted)))

    def describe(self) -> dict[str, float]:
        return {
            "n": self.n,
            "hit_rate_10": round(self.n_hits / self.n, 4),
            "ndcg_10": round(self.gain / self.n, 4),
        }


class Sessions:
    """The workload of users.

    Args:
        target: the service.
        audience: who comes.
        tag: begins every user id and event id, so that two runs are never the same people.
        n_users: how many are about at a time, at least.
        event_share: share of watched items that the service is told of; the others travel as `history`.
        rng: draws which those are.
        acknowledged: gets a JSON line for every event that the service acknowledged, as soon as it did.
        key: function key to send.
    """

    def __init__(
        self,
        target: Target,
        audience: Audience,
        *,
        tag: str,
        n_users: int,
        event_share: float,
        rng: np.random.Generator,
        acknowledged: TextIO | None = None,
        key: str | None = None,
    ) -> None:
        self._target, self._audience, self._tag = target, audience, tag
        self._n_wished, self._event_share, self._rng = n_users, event_share, rng
        self._acknowledged = acknowledged
        self._headers = {"x-functions-key": key} if key else {}
        self._ready: deque[_User] = deque()
        self._asking: dict[int, tuple[_User, Callable[[_User, Outcome], bool]]] = {}
        self.n_users = 0
        "Users that came so far."
        self.n_about = 0
        "Users whose session goes on."
        self.n_acknowledged = self.n_deferred = self.n_told_again = 0
        self.n_lists = self.n_cold = self.n_unknown_items = 0
        self.quality: dict[str, Quality] = {}
        "By model variant."
        self.degraded: Counter[str] = Counter()

    def compose(self, number: int) -> bytes:
        """The next request of the user who has waited longest, or of one who comes."""
        user = self._ready.popleft() if self._ready and self.n_about >= self._n_wished else self._come()
        if user.waiting and user.tells_next:
            self._asking[number] = (user, self._told)
            return self._post("/events", {"events": user.waiting})
        self._asking[number] = (user, self._listed)
        body: dict[str, Any] = {"user_id": user.user_id, "k": K}
        if user.untold:
            body["history"] = user.untold[-MAX_HISTORY:]
        return self._post("/recommend", body)

    def kind(self, number: int) -> str:
        """What a request that is on its way asks for."""
        return "events" if self._asking[number][1] == self._told else "recommend"

    def receive(self, outcome: Outcome) -> None:
        """Take an outcome in; afterwards the user is ready again, or gone."""
        user, take = self._asking.pop(outcome.number)
        if take(user, outcome):
            self._ready.append(user)
        else:
            self.n_about -= 1

    def describe(self) -> dict[str, Any]:
        return {
            "n_users": self.n_users,
            "n_lists": self.n_lists,
            "n_cold": self.n_cold,
            "degraded": dict(self.degraded),
            "n_unknown_items": self.n_unknown_items,
            "events": {
                "n_acknowledged": self.n_acknowledged,
                "n_deferred": self.n_deferred,
                "n_sent_again": self.n_told_again,
            },
            "quality": {variant: of_variant.describe() for variant, of_variant in self.quality.items()},
        }

    def _come(self) -> _User:
        before, following = self._audience.visit(self.n_users)
        user = _User(f"{self._tag}-{self.n_users}", following, next(following, None), [])
        self.n_users += 1
        self.n_about += 1
        is_told = self._rng.random() < self._event_share
        for item in before:
            self._watch(user, item, is_told=is_told)
        return user

    def _watch(self, user: _User, item: ItemId, *, is_told: bool, recommendation_id: str = "") -> None:
        user.untold.append(item)
        if is_told:
            event: dict[str, Any] = {
                "event_id": f"{user.user_id}-{user.n_events}",
                "user_id": user.user_id,
                "item_id": item,
                "kind": "click" if recommendation_id else "view",
            }
            if recommendation_id:
                event["recommendation_id"] = recommendation_id
            user.waiting.append(event)
            user.n_events += 1

    def _listed(self, user: _User, outcome: Outcome) -> bool:
        """The list was shown, or not; says whether the session goes on."""
        user.tells_next = True
        if outcome.status != 200:
            return True
        answer = _decode(outcome.body, _List)
        if answer is None:
            return True
        self.n_lists += 1
        self.n_cold += answer.cold_start
        self.degraded.update(answer.degraded)
        self.n_unknown_items += answer.n_unknown_items
        if user.wanted is None:
            return False
        served = [str(item.id) for item in answer.items]
        self.quality.setdefault(answer.model.variant, Quality()).add(served, str(user.wanted))
        followed = answer.recommendation_id if str(user.wanted) in served else ""
        is_told = self._rng.random() < self._event_share
        self._watch(user, user.wanted, is_told=is_told, recommendation_id=followed)
        user.wanted = next(user.following, None)
        return user.wanted is not None or bool(user.waiting)

    def _told(self, user: _User, outcome: Outcome) -> bool:
        """The events were acknowledged, or will be sent again; says whether the session goes on."""
        if outcome.status != 200:
            user.tells_next = user.wanted is None
            self.n_told_again += len(user.waiting)
            return True
        answer = _decode(outcome.body, _Accepted) or _Accepted()
        self.n_acknowledged += len(user.waiting)
        self.n_deferred += len(user.waiting) * answer.is_deferred
        if self._acknowledged:
            instance = outcome.headers.get(b"x-recserve-instance", b"").decode("latin-1")
            for event in user.waiting:
                line = event | {
                    "acknowledged_unix_s": time(),
                    "is_deferred": answer.is_deferred,
                    "instance": instance,
                }
                self._acknowledged.write(json.dumps(line) + "\n")
        told = {event["item_id"] for event in user.waiting}
        user.untold = [item for item in user.untold if item not in told]
        user.waiting = []
        return user.wanted is not None

    def _post(self, route: str, body: object) -> bytes:
        return http_request(
            "POST",
            self._target.path + route,
            host=self._target.host,
            body=msgspec.json.encode(body),
            headers=self._headers,
        )


def _decode(body: bytes, form: Any) -> Any:
    """None for an answer of another service than Recserve."""
    try:
        return msgspec.json.decode(body, type=form)
    except msgspec.DecodeError:
        return None
