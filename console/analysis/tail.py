"""Why answers were late: causes in the order of the time that they cost, and where each is looked into."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from console.telemetry import Table

FEW = 20
"Late requests below which a ranking is an anecdote."


class Cause(NamedTuple):
    """A cause in words."""

    title: str
    meaning: str
    because: str
    "How a sentence goes on that begins with a share of the time over the SLO."
    view: str
    phase: str
    "Whose colour of the palette it has."

    @property
    def view_title(self) -> str:
        """The view in words."""
        return self.view.replace("_", " ")


CAUSES: Mapping[str, Cause] = {
    "cold": Cause(
        "Cold starts", "waiting for a process that starts", "cold starts", "cold_starts", "startup"
    ),
    "queue": Cause(
        "Queue", "waiting for a place in a batch", "waiting for a place in a batch", "concurrency", "queue"
    ),
    "compute": Cause("Compute", "running the model and ranking", "model runs", "latency", "infer"),
    "state": Cause("State", "reading what the user did", "the store of user histories", "latency", "state"),
    "contention": Cause(
        "Contention", "the instance stood still", "instances that stood still", "contention", "other"
    ),
    "other": Cause(
        "Other", "reading, admitting and writing", "reading, admitting and writing", "latency", "admit"
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Contributor:
    """What one cause did to the tail."""

    name: str
    "One of `CAUSES`."
    over_ms: float
    "Milliseconds over the SLO, of all late answers together."
    n_requests: float
    "Late answers that owe it more than half of their time over the SLO."
    share: float
    "Of all milliseconds over the SLO."

    @property
    def cause(self) -> Cause:
        return CAUSES[self.name]


def rank(tail_causes: Table) -> Sequence[Contributor]:
    """Those that cost time, the worst first; `other`, which names nothing, counts as any.

    Args:
        tail_causes: the answer to `tail_causes`.
    """
    if not tail_causes.n_rows:
        return ()
    over_ms = np.nan_to_num(tail_causes["over_ms"])
    total_ms = over_ms.sum()
    found = [
        Contributor(name=name, over_ms=over, n_requests=n, share=over / total_ms)
        for name, over, n in zip(
            tail_causes.list("cause"),
            over_ms.tolist(),
            np.nan_to_num(tail_causes["n_requests"]).tolist(),
            strict=True,
        )
        if over > 0 and name in CAUSES
    ]
    return sorted(found, key=lambda each: -each.over_ms)
