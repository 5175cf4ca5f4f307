"""The runs that the planner is held against: plans and traffics, and those that measurements are taken from.

Traffic is written as for `python -m planner plan --traffic`. A time without need after which instances go is minutes
on a plan; here it is seconds, so that a run of a minute has its end in it.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from planner.backtest import PlanOfRun
from planner.scale_rules import ScaleSettings
from planner.traffic import parse_traffic

LLM = "trace:../shared/traces/azure-llm-conv.csv"
FUNCTIONS = "trace:../shared/traces/azure-functions-2021-200.csv"
NEVER_S = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A plan under a traffic."""

    name: str
    traffic: str
    duration_s: float = 50.0
    always_ready: int = 1
    pre_warmed: int = 1
    max_burst: int = 3
    target: float = 4.0
    "Outstanding requests that one instance is meant to have."
    idle_s: float = NEVER_S
    "Without need for so long, instances go."
    is_fitted: bool = False
    "Measurements are taken from it."

    @property
    def plan(self) -> PlanOfRun:
        return PlanOfRun(
            sku="EP1", always_ready=self.always_ready, pre_warmed=self.pre_warmed, max_burst=self.max_burst
        )

    @property
    def scale(self) -> ScaleSettings:
        return ScaleSettings(target_outstanding=self.target, idle_s=self.idle_s, scale_in_after_s=self.idle_s)

    @property
    def options(self) -> list[str]:
        """Of `python -m emulator plan`."""
        values: dict[str, Any] = {
            "sku": "EP1",
            "always-ready": self.always_ready,
            "pre-warmed": self.pre_warmed,
            "max-burst": self.max_burst,
            "target": self.target,
            "idle-s": self.idle_s,
        }
        return [
            "--no-welcome",
            *(word for name, value in values.items() for word in (f"--{name}", f"{value}")),
        ]

    def arrivals_s(self, *, seed: int) -> NDArray[np.float64]:
        """From 0 on, ascending, to a tenth of a millisecond, as they are sent and as the file has them."""
        drawn_s = parse_traffic(self.traffic, duration_s=self.duration_s).arrivals_s(seed=seed)
        return np.round(drawn_s, 4)


CALIBRATION = (
    Case(
        name="fit: 1 instance",
        traffic="diurnal:45/s,peak=20,period=60s",
        duration_s=60,
        max_burst=1,
        pre_warmed=0,
        is_fitted=True,
    ),
    Case(
        name="fit: 2 instances",
        traffic="80/s",
        duration_s=40,
        always_ready=2,
        pre_warmed=0,
        max_burst=2,
        target=20,
        is_fitted=True,
    ),
    Case(
        name="fit: 3 instances",
        traffic="diurnal:45/s,peak=8,period=60s",
        duration_s=60,
        always_ready=3,
        pre_warmed=0,
        max_burst=3,
        target=20,
        is_fitted=True,
    ),
    Case(
        name="fit: cold starts",
        traffic="diurnal:60/s,peak=8,period=40s",
        duration_s=40,
        pre_warmed=0,
        max_burst=4,
        target=0.06,
        is_fitted=True,
    ),
    Case(
        name="fit: starts of the buffer",
        traffic="diurnal:60/s,peak=5,period=40s",
        duration_s=40,
        pre_warmed=2,
        max_burst=4,
        target=0.05,
        is_fitted=True,
    ),
)
"""What a request and a start take: where one to three instances share the cores with front end and sender, have pauses
of 2 ms to 300 ms, and where instances start beside those that answer."""

HELD_OUT = (
    Case(name="steady, 1 ready", traffic="90/s", pre_warmed=0, max_burst=1),
    Case(name="steady, 2 ready", traffic="120/s", always_ready=2, pre_warmed=0, max_burst=2),
    Case(name="steady, 3 ready", traffic="50/s", always_ready=3, pre_warmed=0),
    Case(name="steady, the buffer fills", traffic="40/s", target=8),
    Case(name="steady, scales at once", traffic="100/s", pre_warmed=0, max_burst=2, target=0.08),
    Case(name="diurnal, cold", traffic="diurnal:70/s,peak=6,period=50s", pre_warmed=0, target=0.06),
    Case(name="diurnal, 1 pre-warmed", traffic="diurnal:70/s,peak=6,period=50s", target=0.08),
    Case(
        name="diurnal, 2 pre-warmed",
        traffic="diurnal:50/s,peak=4,period=50s",
        pre_warmed=2,
        max_burst=4,
        target=0.1,
    ),
    Case(
        name="bursty, cold",
        traffic="bursty:40/s,burst=40,calm=10s,spell=6s",
        pre_warmed=0,
        max_burst=2,
        target=0.12,
    ),
    Case(name="bursty, 1 pre-warmed", traffic="bursty:40/s,burst=40,calm=10s,spell=6s", target=0.12),
    Case(
        name="bursty, scale-in",
        traffic="bursty:50/s,burst=40,calm=10s,spell=6s",
        pre_warmed=0,
        max_burst=2,
        target=0.12,
        idle_s=3,
    ),
    Case(name="conversations", traffic=f"{LLM},rate=60/s,speed=8", target=0.06),
    Case(
        name="conversations, cold", traffic=f"{LLM},rate=90/s,speed=8", pre_warmed=0, max_burst=2, target=0.1
    ),
    Case(
        name="functions, 2 ready",
        traffic=f"{FUNCTIONS},rate=40/s,speed=20",
        always_ready=2,
        max_burst=4,
        target=0.06,
    ),
)
"""Chosen before they were run, by what they make a plan do; the service is fast, so that targets are low."""
