"""One request's phases, stamped as it passes: the only thing the hot path pays for telemetry."""

import time
from time import perf_counter

UNIX_MINUS_PERF_S = time.time() - perf_counter()
"Turns a `perf_counter` stamp into Unix time, when spans are built."


class Timeline:
    """Stamps of one piece of work, in the order of time.

    A phase runs from the stamp before it (or the start) to its own: phases leave no gap, so their sum
    is the whole. Stamps are seconds on the clock of `time.perf_counter`.

    Attributes:
        is_cold: it met a process that was not warm.
    """

    __slots__ = ("attributes", "is_cold", "marks", "name", "started_s")

    def __init__(self, name: str, started_s: float | None = None) -> None:
        self.name = name
        self.started_s = perf_counter() if started_s is None else started_s
        self.is_cold = False
        self.marks: list[tuple[str, float]] = []
        self.attributes: dict[str, str | int | float | bool] = {}

    def mark(self, phase: str, at_s: float | None = None) -> None:
        """The phase ended now, or at `at_s`."""
        self.marks.append((phase, perf_counter() if at_s is None else at_s))

    @property
    def ended_s(self) -> float:
        return self.marks[-1][1] if self.marks else self.started_s

    def phases(self) -> list[tuple[str, float, float]]:
        """Name, start and end of each phase."""
        starts = [self.started_s, *(at_s for _, at_s in self.marks)]
        return [(phase, start_s, end_s) for (phase, end_s), start_s in zip(self.marks, starts, strict=False)]
