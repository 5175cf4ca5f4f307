"""Answer from a cheaper rung of the ladder before refusing: a pure rule of pressure."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Brownout:
    """Steps down the ladder as the process fills up.

    Below `starts_at` the best variant answers. From there to full, the remaining rungs share the range
    evenly, the cheapest last. Pressure stays below 1, so a `starts_at` of 1 turns brownout off.
    """

    ladder: Sequence[str]
    "Variants from best to cheapest."
    starts_at: float
    "Pressure, in (0, 1], from which the second rung answers."

    def choose(self, pressure: float) -> str:
        """The variant for a request that met this pressure (share of the limit in use, in [0, 1))."""
        if pressure < self.starts_at or len(self.ladder) == 1:
            return self.ladder[0]
        cheaper = self.ladder[1:]
        depth = (pressure - self.starts_at) / (1 - self.starts_at)
        return cheaper[min(int(depth * len(cheaper)), len(cheaper) - 1)]
