"""What users did with the lists that they were shown: the quality that only live traffic can tell.

Each process remembers the last list of the users that it answered most recently, and looks an event's item up in
it. With several processes, an event that reaches another one is `unknown`: rates are taken over the others, which
are a fair sample as long as nobody routes by user.
"""

from collections import OrderedDict
from collections.abc import Sequence
from math import log2
from typing import Literal, NamedTuple

from recserve.schemas import EventKind

MOST_USERS = 10_000
"About 3 MB."

Followed = Literal["listed", "not_listed", "unknown"]
"Whether the user's last list had the item; unknown where this process has no such list."


class ShownList(NamedTuple):
    """The last list of a user."""

    variant: str
    version: str
    item_ids: Sequence[int | str]
    "Best first."


class Feedback(NamedTuple):
    """One event, judged."""

    variant: str
    "What made the list; empty where it is unknown."
    version: str
    kind: EventKind
    followed: Followed
    gain: float
    "1 / log2(1 + place) of the item on the list, the best place being 1; 0 where it is on none."


class LastLists:
    """The last list of each user, of the users seen most recently.

    Args:
        most_users: beyond that, who was shown a list longest ago is forgotten.
    """

    def __init__(self, most_users: int = MOST_USERS) -> None:
        self._most_users = most_users
        self._lists: OrderedDict[str, ShownList] = OrderedDict()

    def remember(self, user_id: str, shown: ShownList) -> None:
        self._lists[user_id] = shown
        self._lists.move_to_end(user_id)
        if len(self._lists) > self._most_users:
            self._lists.popitem(last=False)

    def forget(self, user_id: str) -> None:
        self._lists.pop(user_id, None)

    def judge(self, user_id: str, item_id: int | str, kind: EventKind) -> Feedback:
        """What an event says of the list before it."""
        shown = self._lists.get(user_id)
        if shown is None:
            return Feedback("", "", kind, "unknown", 0.0)
        wanted = str(item_id)
        for place, shown_id in enumerate(shown.item_ids, 1):
            if str(shown_id) == wanted:
                return Feedback(shown.variant, shown.version, kind, "listed", 1 / log2(1 + place))
        return Feedback(shown.variant, shown.version, kind, "not_listed", 0.0)
