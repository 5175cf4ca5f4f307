"""One request's phases, stamped as it passes: the only thing the hot path pays for telemetry."""

import time
from collections.abc import Mapping
from time import perf_counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from azure.functions import Context

UNIX_MINUS_PERF_S = time.time() - perf_counter()
"Turns a `perf_counter` stamp into Unix time, when spans are built."


class Timeline:
    """Stamps of one piece of work, in the order of time.

    A phase runs from the stamp before it (or the start) to its own: phases leave no gap, so their sum
    is the whole. Stamps are seconds on the clock of `time.perf_counter`.

    Attributes:
        attributes: what is known of it in words; names of `telemetry.names`.
        measurements: and in numbers.
        is_cold: it met a process that was not warm.
        is_impacted: it waited for a process that was still starting, in the phase `startup`.
        error: what kind of error ended it; None where it was answered.
        user_id: whom it concerned, in clear: it leaves the process only as a keyed hash.
        trace_parent: W3C context of the span above it; empty where there is none.
        trace_state: of the same.
        invocation_id: the host's.
    """

    __slots__ = (
        "attributes",
        "error",
        "invocation_id",
        "is_cold",
        "is_impacted",
        "marks",
        "measurements",
        "name",
        "started_s",
        "trace_parent",
        "trace_state",
        "user_id",
    )

    def __init__(self, name: str, started_s: float | None = None) -> None:
        self.name = name
        self.started_s = perf_counter() if started_s is None else started_s
        self.is_cold = False
        self.is_impacted = False
        self.marks: list[tuple[str, float]] = []
        self.attributes: dict[str, str | int | float | bool] = {}
        self.measurements: dict[str, float] = {}
        self.error: type[BaseException] | None = None
        self.user_id = ""
        self.trace_parent = ""
        self.trace_state = ""
        self.invocation_id = ""

    def mark(self, phase: str, at_s: float | None = None) -> None:
        """The phase ended now, or at `at_s`."""
        self.marks.append((phase, perf_counter() if at_s is None else at_s))

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
