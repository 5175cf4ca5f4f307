"""How often a client does what, and how long it waits."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeSettings:
    timeout_s: float = 2.0
    "Longest that a request without a deadline of its own waits for the cloud."
    update_every_s: float = 3600.0
    "Between two looks for another bundle."
    events_every_s: float = 30.0
    "Between two batches of events."
    events_at: int = 20
    "Events that are sent without waiting longer."
    report_every_s: float = 600.0
    "Between two reports where no events go along."
    compare_every: int = 50
    "One of so many local answers is asked of the cloud too, after it was given; 0: none."
    n_threads: int = 1
    "Threads that one model run may use."
