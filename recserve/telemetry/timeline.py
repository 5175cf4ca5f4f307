"""One request's phases, stamped as it passes: the only thing the hot path pays for telemetry."""

import time
from collections.abc import Mapping, Sequence
from time import perf_counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from azure.functions import Context

    from recserve.feedback import Feedback
    from recserve.schemas import EdgeReport


def unix_minus_perf_s() -> float:
    """What turns a `perf_counter` stamp of the last seconds into Unix time.

    To be measured when it is used: a wall clock that is set, or a laptop that sleeps, shifts one against the
    other.
    """
    return time.time() - perf_counter()


class Timeline:
    """Stamps of one piece of work, in the order of time.

    A phase runs from the stamp before it (or the start) to its own: phases leave no gap, so their sum
    is the whole. Stamps are seconds on the clock of `time.perf_counter`.

    Who works on a request says which phase begins (`enter`), and who answers it ends the last (`end`): time
    that ends in an error, or in nobody waiting any more, thus goes to the phase that spent it. Work whose
    phases are known by their end alone is stamped then (`mark`).

    Attributes:
        phase: the phase in progress; empty where none has been entered.
        attributes: what is known of it in words; names of `telemetry.names`.
        measurements: and in numbers.
        is_cold: it met a process that was not warm.
        is_impacted: it waited for a process that was still starting, in the phase `startup`.
        error: what kind of error ended it; None where it was answered.
        feedback: what it told of lists shown before.
        report: what a device told of its own answers; None where it told nothing.
        user_id: whom it concerned, in clear: it leaves the process only as a keyed hash.
        weight: as how many requests it counts against its caller's rate.
        trace_parent: W3C context of the span above it; empty where there is none.
        trace_state: of the same.
        invocation_id: the host's.
    """

    __slots__ = (
        "attributes",
        "error",
        "feedback",
        "invocation_id",
        "is_cold",
        "is_impacted",
        "marks",
        "measurements",
        "name",
        "phase",
        "report",
        "started_s",
        "trace_parent",
        "trace_state",
        "user_id",
        "weight",
    )

    def __init__(self, name: str, started_s: float | None = None) -> None:
        self.name = name
        self.phase = ""
        self.started_s = perf_counter() if started_s is None else started_s
        self.is_cold = False
        self.is_impacted = False
        self.marks: list[tuple[str, float]] = []
        self.attributes: dict[str, str | int | float | bool] = {}
        self.measurements: dict[str, float] = {}
        self.error: type[BaseException] | None = None
        self.feedback: Sequence[Feedback] = ()
        self.report: EdgeReport | None = None
        self.user_id = ""
        self.weight = 1
        self.trace_parent = ""
        self.trace_state = ""
        self.invocation_id = ""

    def enter(self, phase: str, at_s: float | None = None) -> None:
        """The phase in progress ended now, or at `at_s`, and this one begins."""
        if self.phase:
            self.marks.append((self.phase, perf_counter() if at_s is None else at_s))
        self.phase = phase

    def end(self) -> None:
        """The phase in progress ended now, and the work with it."""
        self.enter("")

    def mark(self, phase: str, at_s: float | None = None) -> None:
        """This phase ended now, or at `at_s`."""
        self.marks.append((phase, perf_counter() if at_s is None else at_s))

    def part(self, name: str) -> "Timeline":
        """Of one piece of this work, from here on: it met the same process."""
        part = Timeline(name)
        part.is_cold, part.is_impacted = self.is_cold, self.is_impacted
        return part

    def belong_to(self, context: "Context | None", headers: Mapping[str, str] | None = None) -> None:
        """Take the place in a trace that the host gives an invocation, or else its caller."""
        if context is not None:
            self.invocation_id = context.invocation_id
            self.trace_parent = context.trace_context.trace_parent or ""
            self.trace_state = context.trace_context.trace_state or ""
        if headers is not None and not self.trace_parent:
            self.trace_parent = headers.get("traceparent", "")
            self.trace_state = headers.get("tracestate", "")

    @property
    def ended_s(self) -> float:
        return self.marks[-1][1] if self.marks else self.started_s

    def phases(self) -> list[tuple[str, float, float]]:
        """Name, start and end of each phase."""
        starts = [self.started_s, *(at_s for _, at_s in self.marks)]
        return [(phase, start_s, end_s) for (phase, end_s), start_s in zip(self.marks, starts, strict=False)]
