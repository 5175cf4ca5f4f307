"""What a caller asks of an answer's manner: by when, and how much it matters."""

from typing import NamedTuple

from recserve.admission.priority import Priority

DEADLINE_HEADER = "x-recserve-deadline-ms"
PRIORITY_HEADER = "x-recserve-priority"
MAX_DEADLINE_S = 60.0
"Longest deadline a caller may name: the host gives up then (`functionTimeout` of host.json)."


class Terms(NamedTuple):
    deadline_s: float | None = None
    "Seconds from the request's arrival after which the answer is worthless; None: the default."
    priority: Priority = "normal"
