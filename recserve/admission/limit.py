"""How many requests may be in flight: pure estimators, fed with numbers."""

from dataclasses import dataclass
from typing import Protocol


class Limit(Protocol):
    """Estimates the concurrency limit of one process; `limiter` enforces it."""

    @property
    def value(self) -> int:
        """Requests that may be in flight, at least 1."""


@dataclass(frozen=True, slots=True)
class FixedLimit:
    """The limit that the operator set."""

    value: int

    def __post_init__(self) -> None:
        if self.value < 1:
            raise ValueError(f"concurrency limit {self.value}; at least 1 request must be let in")
