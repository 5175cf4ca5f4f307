"""What the planner is asked from a view, and what it answers: plain values that go between processes as JSON."""

from datetime import datetime
from typing import Literal

import msgspec

Goal = Literal["search", "model"]
"`search`: the cheapest plan that keeps the promise. `model`: what the simulator makes of today's plan alone."


class Setup(msgspec.Struct, frozen=True, kw_only=True):
    """What an operator sets of a Premium plan."""

    sku: str = "EP1"
    always_ready: int = 1
    pre_warmed: int = 1
    max_burst: int = 20

    def __str__(self) -> str:
        return (
            f"{self.sku}, {self.always_ready} always ready, {self.pre_warmed} pre-warmed, "
            f"at most {self.max_burst}"
        )


class PlanQuestion(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that an answer depends on."""

    goal: Goal = "search"
    logs_url: str = ""
    "Where telemetry is asked, with `/v1`; empty: nowhere."
    workspace: str = ""
    since: datetime
    until: datetime
    traffic: str = "telemetry"
    "`telemetry` of the range, or what `planner.traffic` understands."
    factor: float = 1.0
    "On the rate."
    edge_share: float = 0.0
    "Of the requests, that devices answer: the plan gets the others."
    slo_ms: float = 25.0
    slo_share: float = 0.99
    quality: float = 0.95
    "Least share of the best variant's NDCG@10."
    skus: tuple[str, ...] = ("EP1",)
    most_instances: int = 20
    variants: tuple[str, ...] = ()
    "That may be served; empty: all that were measured."
    today: Setup | None = None
    region: str = "eastus"


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """A mean over seeds with its 95 % interval."""

    mean: float | None
    low: float | None
    high: float | None


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """A plan and what the simulator says of it."""

    setup: Setup
    ladder: tuple[str, ...]
    p50_ms: float | None
    p99_ms: float | None
    "None: nothing was answered."
    slo_share: float
    cold_share: float
    shed_share: float
    quality: float
    usd_month: float
    n_instances: float
    "Allocated, on average."
    allocated_s: dict[str, float]
    "Of the traffic's duration, by class."
    keeps: bool
    "Keeps the promise with the first seed."
    p99_interval: Figure | None = None
    "In milliseconds; only of the frontier, of the choice and of today's plan."
    usd_interval: Figure | None = None
    slo_interval: Figure | None = None


class Holding(msgspec.Struct, frozen=True, kw_only=True):
    """Whether the recommended plan keeps the promise under other traffic."""

    factor: float
    keeps: bool
    slo_share: float


class PlanAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What the planner found; all empty but `error` where it could not look."""

    error: str = ""
    traffic: str = ""
    rate_per_s: float = 0.0
    n_arrivals: int = 0
    duration_s: float = 0.0
    begins: datetime | None = None
    "Of telemetry: the first and the last moment with traffic."
    ends: datetime | None = None
    measured_from: str = ""
    variants: tuple[str, ...] = ()
    "That were measured, best first."
    knows_quality: bool = True
    "Else quality is the share of answers that the first rung gave."
    notes: tuple[str, ...] = ()
    "What was derived, sampled or taken for granted."
    unconfirmed: str = ""
    "Of the prices."
    n_candidates: int = 0
    n_simulated: int = 0
    n_seeds: int = 0
    best: Point | None = None
    why_none: str = ""
    peak: Point | None = None
    "Always-ready instances for the busiest ten seconds: what one sets up without a planner."
    today: Point | None = None
    frontier: tuple[Point, ...] = ()
    "Best in cost, p99 or quality, cheapest first."
    others: tuple[Point, ...] = ()
    holds: tuple[Holding, ...] = ()
    parameters_today: str = ""
    "For Bicep, as JSON."
    parameters_best: str = ""
    commands: tuple[str, ...] = ()
    took_s: float = 0.0


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    what: str
    done: int = 0
    of: int = 0

    @property
    def share(self) -> float:
        return self.done / self.of if self.of else 0.0


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """What the planner's process says: how far it is, or at last its answer."""

    progress: Progress | None = None
    answer: PlanAnswer | None = None
