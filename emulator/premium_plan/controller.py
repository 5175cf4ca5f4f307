"""The scale controller: asks the rules ten times a second, and does what they say."""

import asyncio
import time
from collections import Counter
from contextlib import suppress

from emulator.premium_plan import names
from emulator.premium_plan.events import EventLog
from emulator.premium_plan.fleet import Fleet
from emulator.premium_plan.front_end import FrontEnd, FrontEndLoad
from emulator.premium_plan.members import Cause
from planner.allocation import classify
from planner.scale_rules import Decision, Load, ScaleRules

ACCOUNT_EVERY_S = 1.0
LONGEST_PAUSE_S = 30.0
"Between starts of an app that fails to start."

EXPLANATIONS = {
    "minimum": "{n_active} of the always-ready instances are there",
    "demand": "{demand:.1f} outstanding requests want {n_wanted} instances, {n_active} are there",
    "first_load": "the first requests came, the buffer is filled",
    "refill": "the buffer has {n_pre_warmed}, it is refilled",
    "low_demand": "{demand:.1f} outstanding requests need fewer than {n_active} instances",
    "load_ended": "no requests come any more",
}


class Controller:
    """Steers a fleet by the scale rules.

    Args:
        always_ready: instances that the plan keeps at all times.
        tick_s: how often the rules are asked, at least.
    """

    def __init__(
        self,
        rules: ScaleRules,
        fleet: Fleet,
        front_end: FrontEnd,
        events: EventLog,
        *,
        always_ready: int,
        tick_s: float,
    ) -> None:
        self._rules = rules
        self._fleet = fleet
        self._front_end = front_end
        self._events = events
        self._always_ready = always_ready
        self._tick_s = tick_s
        self._woken = asyncio.Event()
        self._paused_until_s = 0.0
        self._n_failed_starts = 0
        self._accounted_s = time.monotonic()
        self._before = front_end.load()

    def wake(self) -> None:
        """Ask the rules at once: something has happened."""
        self._woken.set()

    async def run(self) -> None:
        """Steer until cancelled."""
        while True:
            self.tick(time.monotonic())
            with suppress(TimeoutError):
                # Not `wait_for`, which in Python 3.11 swallows a cancellation that comes with a wake-up.
                async with asyncio.timeout(self._tick_s):
                    await self._woken.wait()
            self._woken.clear()

    def tick(self, now_s: float) -> None:
        """Ask the rules once, and account for the second when it is over."""
        self._pause_after_failed_starts(now_s)
        load = self._front_end.load()
        instances = self._fleet.observe()
        if now_s >= self._paused_until_s:
            for decision in self._rules.decide(now_s, instances, Load(load.n_arrived, load.n_held)):
                self._do(decision, load)
        if now_s - self._accounted_s >= ACCOUNT_EVERY_S:
            self.account(now_s)

    def account(self, now_s: float) -> None:
        """Record the allocated seconds since the last time."""
        load, before = self._front_end.load(), self._before
        instances = self._fleet.observe()
        self._events.record_allocation(
            self._fleet.ledger.take(),
            **{
                names.N_INSTANCES: Counter(kind for _, kind in classify(instances, self._always_ready)),
                names.DEMAND: round(self._rules.demand, 3),
                names.N_HELD: load.n_held,
                names.N_ARRIVED: load.n_arrived - before.n_arrived,
                names.N_ANSWERED: load.n_answered - before.n_answered,
                names.N_FAILED: load.n_failed - before.n_failed,
                names.N_COLD: load.n_cold - before.n_cold,
                names.HELD_S: round(load.held_s - before.held_s, 6),
            },
        )
        self._accounted_s, self._before = now_s, load

    def _pause_after_failed_starts(self, now_s: float) -> None:
        """Leave an app that fails to start alone for a while, longer each time."""
        n_failed = self._fleet.n_failed_starts
        if n_failed > self._n_failed_starts:
            pause_s = min(2.0 ** (n_failed - 1), LONGEST_PAUSE_S)
            self._paused_until_s = now_s + pause_s
            self._events.record(
                names.HEALTH,
                f"{self._fleet.failure}\n    no instance is added for {pause_s:g} s",
                reason=str(self._fleet.failure),
            )
        self._n_failed_starts = n_failed

    def _do(self, decision: Decision, load: FrontEndLoad) -> None:
        numbers = {
            names.DEMAND: round(decision.demand, 3),
            names.N_WANTED: decision.n_wanted,
            names.N_ACTIVE: decision.n_active,
            names.N_PRE_WARMED: decision.n_pre_warmed,
            names.N_HELD: load.n_held,
        }
        why = EXPLANATIONS[decision.reason].format(**numbers)
        what = f"{decision.action} {decision.instance or 'an instance'}"
        self._events.record(
            names.DECISION,
            f"{what}: {why}",
            **{
                names.INSTANCE: decision.instance,
                names.ACTION: decision.action,
                names.ROLE: decision.role,
                names.REASON: decision.reason,
                **numbers,
            },
        )
        if decision.action == "add":
            self._fleet.add(decision.role, self._cause(decision))
        elif decision.action == "activate" and decision.instance is not None:
            self._fleet.activate(decision.instance)
        elif decision.instance is not None:
            self._fleet.remove(decision.instance, why)

    def _cause(self, decision: Decision) -> Cause:
        if decision.reason != "minimum":
            return "scale_out"
        return "replacement" if self._fleet.n_ready else "first"
