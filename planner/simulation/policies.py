"""What the simulator assumes of the service, and the plans beside Premium that it can run it on."""

import math
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceSettings:
    """How a worker process treats requests; the defaults are those of the service.

    **Assumed**, not measured: `answer_share` and `refusal_share`.

    Raises:
        ValueError: a value is out of range; the message names it.
    """

    sheds: bool = True
    "Whether requests are refused for the queueing delay of the event loop (`ShedShare`)."
    deadline_s: float = 0.25
    "When an answer is worthless; nobody is run who cannot be answered by then. Infinity: never."
    brownout_at: float = 0.75
    "Pressure from which requests get a cheaper rung (`RECSERVE_BROWNOUT_AT`)."
    delay_share: float = 1 / 8
    "Target of the queueing delay, in shares of the SLO."
    max_inline_s: float = 1e-3
    "Runs that should take less happen on the event loop."
    answer_share: float = 0.5
    "Share of the overhead that comes after the run: ranking, encoding, sending."
    refusal_share: float = 0.8
    "Of the overhead, what a refusal takes."
    max_held: int = 10_000
    "Requests that may wait for instances; one more is refused."

    def __post_init__(self) -> None:
        for name in ("deadline_s", "delay_share", "brownout_at"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} is {getattr(self, name):g}; give more than 0")
        for name in ("answer_share", "refusal_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is {getattr(self, name):g}; give a share from 0 to 1")
        if not self.max_inline_s >= 0:
            raise ValueError(f"max_inline_s is {self.max_inline_s:g}; times cannot be negative")
        if self.max_held < 0:
            raise ValueError(f"max_held is {self.max_held}; give 0 or more")

    @classmethod
    def plain(cls) -> Self:
        """A queue and nothing else: no shedding, no deadlines."""
        return cls(sheds=False, deadline_s=math.inf)


@dataclass(frozen=True, slots=True, kw_only=True)
class PerRequestPlan:
    """Instances that come with the requests and go after a while without: Lambda, Consumption, Cloud Run.

    A request goes to an instance that has room: one that is kept, else the newest that is ready, else the newest
    that starts. Where none has, an instance is added for it, and it waits for the start; at the most instances it waits
    for room, or is refused.

    Raises:
        ValueError: the numbers contradict each other.
    """

    name: str = "per request"
    concurrency: int = 1
    "Requests that one instance gets at a time."
    kept: int = 0
    "Instances that are always there (provisioned concurrency, minimum instances)."
    max_instances: int = 1000
    expiry_s: float = 600.0
    "Without a request for so long, an instance ends."
    holds: bool = False
    "Whether requests wait where all instances are busy; else they are refused."

    def __post_init__(self) -> None:
        if self.concurrency < 1:
            raise ValueError(f"a concurrency of {self.concurrency}; an instance gets at least 1 request")
        if self.max_instances < 1:
            raise ValueError(f"at most {self.max_instances} instances; allow at least 1")
        if not 0 <= self.kept <= self.max_instances:
            raise ValueError(
                f"{self.kept} instances kept of at most {self.max_instances}; keep 0 to that many"
            )
        if not self.expiry_s >= 0:
            raise ValueError(f"an expiry after {self.expiry_s:g} s; times cannot be negative")
