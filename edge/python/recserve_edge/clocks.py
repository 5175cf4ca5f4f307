"""The device's clocks, as one argument: tests turn them by hand."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from recserve_edge.decision import Instant


@dataclass(frozen=True, slots=True)
class Clocks:
    wall: Callable[[], float] = time.time
    "Unix time; set by people, and wrong on many devices."
    monotonic: Callable[[], float] = time.monotonic
    "Seconds from anywhere; only its differences mean something, within one process."

    def now(self) -> Instant:
        return Instant(wall_s=self.wall(), monotonic_s=self.monotonic())
