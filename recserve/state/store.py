"""What the service asks of any store of user histories."""

from collections.abc import Iterable
from typing import NamedTuple, Protocol

MAX_HISTORY = 1000
"Most recent interactions a store returns for one user."


class Interaction(NamedTuple):
    user_id: str
    item_id: str
    at_s: float
    "Unix time."


class UserStateStore(Protocol):
    """User histories by user id. Item ids are text: the store knows nothing of catalogues."""

    async def history(self, user_id: str) -> list[str]:
        """Item ids, oldest first, at most `MAX_HISTORY`; empty for a user who did nothing yet."""

    async def record(self, interactions: Iterable[Interaction]) -> int:
        """Add interactions; those already there stay as they are. Returns how many were new."""

    async def close(self) -> None:
        """Release files and threads; the store is not used afterwards."""
