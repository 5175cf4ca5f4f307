"""When a Premium plan adds, activates and removes instances: rules of numbers and `now_s`.

The emulated plan and the simulator run these rules, each with its own clock. What Azure documents:

    minimum    always-ready instances are there at all times, and replaced at once
    buffer     pre-warmed instances are allocated once there is load, and refilled when one becomes active
    scale-out  a pre-warmed instance becomes active at once; where the buffer is empty a cold one is added,
               and requests are routed to it while it starts
    pace       at most one instance a second for HTTP, for load and buffer each
    limits     the maximum burst counts every instance, the app's scale limit those that requests go to
    release    the buffer goes when load has ended, active instances when fewer would do, one after the other

What makes Azure scale HTTP out, and when it scales in, is not published. **Assumed** here: the demand is the
number of outstanding requests, smoothed exponentially over `window_s`; the plan wants

    ceil(demand / target_outstanding)

active instances, at once when that is more than it has, and, when it has been less by a margin for
`scale_in_after_s`, one fewer each `scale_in_every_s`. Requests that wait for a starting instance count up to
the target, as if it were busy: their number says how long the start takes, not how much capacity is missing.
The rule misbehaves where an app refuses most requests at once, since a refused request is never outstanding.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from planner.plans import PremiumPlan

Role = Literal["active", "pre_warmed"]
"What an instance is for: requests, or the buffer."
State = Literal["starting", "ready", "draining"]
"What it can do: nothing yet, its work, or finish what it has."
Action = Literal["add", "activate", "remove"]
Reason = Literal["minimum", "demand", "first_load", "refill", "low_demand", "load_ended"]


@dataclass(slots=True)
class Instance:
    """What the rules know of an allocated instance; its owner keeps it true."""

    id: str
    role: Role
    state: State
    in_flight: int = 0
    "Requests that were sent to it or wait for it."


@dataclass(frozen=True, slots=True)
class Load:
    """What the front end counts."""

    n_arrived: int
    "Requests since the start."
    n_held: int = 0
    "Requests that wait in the front end for an instance, those that wait for a certain one included."


@dataclass(frozen=True, slots=True, kw_only=True)
class ScaleSettings:
    """What is assumed where Azure publishes nothing.

    Raises:
        ValueError: a value is out of range; the message names it.
    """

    target_outstanding: float = 4.0
    "Outstanding requests that one instance is meant to have."
    window_s: float = 1.0
    "Time constant of the smoothed demand."
    pace_s: float = 1.0
    "Least time between two instances added for load, and between two added to the buffer."
    idle_s: float = 300.0
    "Time without any request after which load has ended."
    scale_in_after_s: float = 300.0
    "How long fewer instances would have to do before one goes."
    scale_in_every_s: float = 10.0
    "Least time between two removals."
    scale_in_margin: float = 0.8
    "Share of the target that the remaining instances may have for one to go."

    def __post_init__(self) -> None:
        for name in ("target_outstanding", "window_s"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} is {getattr(self, name):g}; give more than 0")
        for name in ("pace_s", "idle_s", "scale_in_after_s", "scale_in_every_s"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} is {getattr(self, name):g}; times cannot be negative")
        if not 0 < self.scale_in_margin <= 1:
            raise ValueError(f"scale_in_margin is {self.scale_in_margin:g}; give a share above 0, up to 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """One step, why, and the numbers behind it."""

    action: Action
    role: Role
    "Of the instance to add; of the one to activate or to remove, the one it has."
    instance: str | None
    "The instance to activate or to remove; None: one to add."
    reason: Reason
    demand: float
    "Smoothed outstanding requests."
    n_wanted: int
    "Active instances that the demand asks for, within the limits."
    n_active: int
    "Active instances before this step, those that start included."
    n_pre_warmed: int
    "Instances in the buffer before this step, those that start included."


class ScaleRules:
    """Decides; remembers the smoothed demand and when it last acted.

    Args:
        plan: the limits.
        settings: what is assumed.
    """

    def __init__(self, plan: PremiumPlan, settings: ScaleSettings | None = None) -> None:
        self._plan = plan
        self._settings = settings or ScaleSettings()
        self.demand = 0.0
        self._observed_s = -math.inf
        self._n_arrived = 0
        self._loaded_s = -math.inf
        "When there was last load."
        self._added_s = -math.inf
        self._buffered_s = -math.inf
        self._needed_s = -math.inf
        "When all active instances were last needed."
        self._removed_s = -math.inf

    def decide(self, now_s: float, instances: Sequence[Instance], load: Load) -> list[Decision]:
        """What to do, given what there is.

        Args:
            now_s: never less than in the call before.
            instances: all that are allocated, oldest first.
            load: of the front end.

        Returns:
            Steps to take in this order, each once; the instances are taken to have followed them by the next call.
        """
        plan, settings = self._plan, self._settings
        active = [each for each in instances if each.role == "active" and each.state != "draining"]
        buffer = [each for each in instances if each.role == "pre_warmed" and each.state != "draining"]
        outstanding = _outstanding(active, load, settings.target_outstanding)
        self._observe(now_s, outstanding, load)
        n_wanted = math.ceil(self.demand / settings.target_outstanding - 1e-9)
        n_wanted = max(plan.always_ready, min(n_wanted, plan.max_active))
        steps: list[Decision] = []

        def step(action: Action, role: Role, reason: Reason, instance: str | None = None) -> None:
            steps.append(
                Decision(
                    action=action,
                    role=role,
                    instance=instance,
                    reason=reason,
                    demand=self.demand,
                    n_wanted=n_wanted,
                    n_active=n_active,
                    n_pre_warmed=len(buffer),
                )
            )

        def take_one(reason: Reason) -> None:
            """Activate the warmest instance of the buffer, or add a cold one."""
            if buffer:
                chosen = next((each for each in buffer if each.state == "ready"), buffer[0])
                step("activate", "pre_warmed", reason, chosen.id)
                buffer.remove(chosen)
            else:
                step("add", "active", reason)

        n_active = len(active)
        while n_active < plan.always_ready:
            take_one("minimum")
            n_active += 1
        has_room = bool(buffer) or n_active + len(buffer) < plan.max_burst
        if n_active < n_wanted and has_room and now_s - self._added_s >= settings.pace_s:
            take_one("demand")
            n_active += 1
            self._added_s = now_s
        if n_active >= n_wanted and self._is_needed(n_active):
            self._needed_s = now_s

        is_loaded = now_s - self._loaded_s < settings.idle_s
        if is_loaded:
            if (
                len(buffer) < plan.pre_warmed
                and n_active < plan.max_active
                and n_active + len(buffer) < plan.max_burst
                and now_s - self._buffered_s >= settings.pace_s
            ):
                step("add", "pre_warmed", "refill" if self._buffered_s > -math.inf else "first_load")
                self._buffered_s = now_s
        else:
            self._buffered_s = -math.inf
            for each in buffer:
                step("remove", "pre_warmed", "load_ended", each.id)

        is_idle = now_s - max(self._needed_s, self._added_s) >= settings.scale_in_after_s
        if n_active > plan.always_ready and is_idle and now_s - self._removed_s >= settings.scale_in_every_s:
            youngest = active[-1]
            step("remove", "active", "low_demand" if is_loaded else "load_ended", youngest.id)
            self._removed_s = now_s
        return steps

    def _observe(self, now_s: float, outstanding: float, load: Load) -> None:
        elapsed_s = now_s - self._observed_s
        self.demand += (outstanding - self.demand) * -math.expm1(-elapsed_s / self._settings.window_s)
        if outstanding > 0 or load.n_arrived > self._n_arrived:
            self._loaded_s = now_s
        self._observed_s = now_s
        self._n_arrived = load.n_arrived

    def _is_needed(self, n_active: int) -> bool:
        """Whether one instance fewer would leave the others too busy."""
        settings = self._settings
        return self.demand > (n_active - 1) * settings.target_outstanding * settings.scale_in_margin


def _outstanding(active: Sequence[Instance], load: Load, target: float) -> float:
    """Outstanding requests, those that wait for a starting instance counted up to the target."""
    n_sent, n_waiting, n_counted = 0, 0, 0.0
    for each in active:
        if each.state == "ready":
            n_sent += each.in_flight
        else:
            n_waiting += each.in_flight
            n_counted += min(each.in_flight, target)
    return n_sent + n_counted + max(0, load.n_held - n_waiting)
