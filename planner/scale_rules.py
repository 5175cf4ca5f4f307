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

What is due is decided by `judge` and `outstanding_of`, functions of numbers alone: `ScaleRules` calls them as they
are, the simulator compiles the same functions to machine code. `ScaleRules` says which instances it concerns.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

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


class Limits(NamedTuple):
    """Plan and settings, as `judge` takes them."""

    always_ready: int
    pre_warmed: int
    max_burst: int
    max_active: int
    target_outstanding: float
    window_s: float
    pace_s: float
    idle_s: float
    scale_in_after_s: float
    scale_in_every_s: float
    scale_in_margin: float


class Memory(NamedTuple):
    """What is remembered from one judgement to the next."""

    demand: float = 0.0
    "Smoothed outstanding requests."
    n_arrived: int = 0
    observed_s: float = -math.inf
    loaded_s: float = -math.inf
    "When there was last load."
    added_s: float = -math.inf
    buffered_s: float = -math.inf
    needed_s: float = -math.inf
    "When all active instances were last needed."
    removed_s: float = -math.inf


class Seen(NamedTuple):
    """What there is at a moment; instances that drain are not counted."""

    now_s: float
    n_active: int
    n_pre_warmed: int
    outstanding: float
    n_arrived: int


class Due(NamedTuple):
    """What is to be done, in this order. An instance is taken from the buffer as long as that has one."""

    n_missing: int
    "Active instances to take at once, up to the minimum."
    takes: bool
    "One more active instance is to be taken, for the demand."
    refills: bool
    "One is to be added to the buffer."
    is_first_load: bool
    "The buffer was left to go when load had ended, or never filled."
    releases: bool
    "The buffer is to go: load has ended."
    removes: bool
    "The youngest active instance is to go."
    is_loaded: bool
    n_wanted: int


def limits_of(plan: PremiumPlan, settings: ScaleSettings) -> Limits:
    return Limits(
        plan.always_ready,
        plan.pre_warmed,
        plan.max_burst,
        plan.max_active,
        float(settings.target_outstanding),
        float(settings.window_s),
        float(settings.pace_s),
        float(settings.idle_s),
        float(settings.scale_in_after_s),
        float(settings.scale_in_every_s),
        float(settings.scale_in_margin),
    )


def outstanding_of(in_flight: Sequence[int], is_ready: Sequence[bool], n_held: int, target: float) -> float:
    """Outstanding requests, those that wait for a starting instance counted up to the target.

    Args:
        in_flight: of each active instance that does not drain, those that wait for it included.
        is_ready: whether it is; else it starts.
        n_held: as of `Load`.
        target: requests that one instance is meant to have.
    """
    n_sent, n_waiting, n_counted = 0, 0, 0.0
    for each in range(len(in_flight)):
        if is_ready[each]:
            n_sent += in_flight[each]
        else:
            n_waiting += in_flight[each]
            n_counted += min(float(in_flight[each]), target)
    return n_sent + n_counted + max(0, n_held - n_waiting)


def judge(memory: Memory, seen: Seen, limits: Limits) -> tuple[Memory, Due]:
    """What is due, and what to remember of it."""
    now_s = seen.now_s
    elapsed_s = now_s - memory.observed_s
    demand = memory.demand + (seen.outstanding - memory.demand) * -math.expm1(-elapsed_s / limits.window_s)
    loaded_s, added_s, buffered_s = memory.loaded_s, memory.added_s, memory.buffered_s
    needed_s, removed_s = memory.needed_s, memory.removed_s
    if seen.outstanding > 0 or seen.n_arrived > memory.n_arrived:
        loaded_s = now_s
    n_wanted = math.ceil(demand / limits.target_outstanding - 1e-9)
    n_wanted = max(limits.always_ready, min(n_wanted, limits.max_active))

    n_missing = max(0, limits.always_ready - seen.n_active)
    n_active = seen.n_active + n_missing
    n_buffer = max(0, seen.n_pre_warmed - n_missing)
    has_room = n_buffer > 0 or n_active + n_buffer < limits.max_burst
    takes = n_active < n_wanted and has_room and now_s - added_s >= limits.pace_s
    if takes:
        n_active += 1
        n_buffer = max(0, n_buffer - 1)
        added_s = now_s
    # Whether one instance fewer would leave the others too busy.
    is_needed = demand > (n_active - 1) * limits.target_outstanding * limits.scale_in_margin
    if n_active >= n_wanted and is_needed:
        needed_s = now_s

    is_loaded = now_s - loaded_s < limits.idle_s
    refills = releases = is_first_load = False
    if is_loaded:
        refills = (
            n_buffer < limits.pre_warmed
            and n_active < limits.max_active
            and n_active + n_buffer < limits.max_burst
            and now_s - buffered_s >= limits.pace_s
        )
        is_first_load = buffered_s == -math.inf
        if refills:
            buffered_s = now_s
    else:
        buffered_s = -math.inf
        releases = n_buffer > 0

    is_idle = now_s - max(needed_s, added_s) >= limits.scale_in_after_s
    is_spare = seen.n_active > limits.always_ready
    removes = is_spare and is_idle and now_s - removed_s >= limits.scale_in_every_s
    if removes:
        removed_s = now_s
    return (
        Memory(demand, seen.n_arrived, now_s, loaded_s, added_s, buffered_s, needed_s, removed_s),
        Due(n_missing, takes, refills, is_first_load, releases, removes, is_loaded, n_wanted),
    )


class ScaleRules:
    """Decides; remembers the smoothed demand and when it last acted.

    Args:
        plan: the limits.
        settings: what is assumed.

    Attributes:
        limits: both, as numbers.
        memory: what it remembers.
    """

    def __init__(self, plan: PremiumPlan, settings: ScaleSettings | None = None) -> None:
        self.limits = limits_of(plan, settings or ScaleSettings())
        self.memory = Memory()

    @property
    def demand(self) -> float:
        """Smoothed outstanding requests."""
        return self.memory.demand

    def decide(self, now_s: float, instances: Sequence[Instance], load: Load) -> list[Decision]:
        """What to do, given what there is.

        Args:
            now_s: never less than in the call before.
            instances: all that are allocated, oldest first.
            load: of the front end.

        Returns:
            Steps to take in this order, each once; the instances are taken to have followed them by the next call.
        """
        active = [each for each in instances if each.role == "active" and each.state != "draining"]
        buffer = [each for each in instances if each.role == "pre_warmed" and each.state != "draining"]
        outstanding = outstanding_of(
            [each.in_flight for each in active],
            [each.state == "ready" for each in active],
            load.n_held,
            self.limits.target_outstanding,
        )
        seen = Seen(now_s, len(active), len(buffer), outstanding, load.n_arrived)
        self.memory, due = judge(self.memory, seen, self.limits)
        n_active = len(active)
        steps: list[Decision] = []

        def step(action: Action, role: Role, reason: Reason, instance: str | None = None) -> None:
            steps.append(
                Decision(
                    action=action,
                    role=role,
                    instance=instance,
                    reason=reason,
                    demand=self.demand,
                    n_wanted=due.n_wanted,
                    n_active=n_active,
                    n_pre_warmed=len(buffer),
                )
            )

        def take_one(reason: Reason) -> None:
            """Activate the warmest instance of the buffer, or add a cold one."""
            nonlocal n_active
            if buffer:
                chosen = next((each for each in buffer if each.state == "ready"), buffer[0])
                step("activate", "pre_warmed", reason, chosen.id)
                buffer.remove(chosen)
            else:
                step("add", "active", reason)
            n_active += 1

        for _ in range(due.n_missing):
            take_one("minimum")
        if due.takes:
            take_one("demand")
        if due.refills:
            step("add", "pre_warmed", "first_load" if due.is_first_load else "refill")
        if due.releases:
            for each in buffer:
                step("remove", "pre_warmed", "load_ended", each.id)
        if due.removes:
            step("remove", "active", "low_demand" if due.is_loaded else "load_ended", active[-1].id)
        return steps
