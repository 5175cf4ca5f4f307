"""The instances of a simulated Premium plan, as the scale rules see them, and what becomes of their decisions.

What `emulator.premium_plan.fleet` does with processes is done with slots here. Instances start as long as the
measured distribution says, and never fail.
"""

import math

from planner.allocation import classify
from planner.plans import PremiumPlan
from planner.scale_rules import Decision, Instance, Load, Role, ScaleRules, ScaleSettings
from planner.simulation.chance import COLD_START, draw, uniform
from planner.simulation.routing import start
from planner.simulation.world import CLASSES, DRAINING, EMPTY, READY, STARTING, World

STATES = {"starting": STARTING, "ready": READY, "draining": DRAINING}


class Fleet:
    """Owns the slots of a world, and the rules that fill them.

    Its always-ready instances are there and ready when it begins, at 0 s.

    Attributes:
        instances: all that are allocated, oldest first.
        decisions: what was decided, with the time in seconds.
    """

    def __init__(self, world: World, plan: PremiumPlan, settings: ScaleSettings) -> None:
        self.rules = ScaleRules(plan, settings)
        self.instances: list[Instance] = []
        self.decisions: list[tuple[float, Decision]] = []
        self._world = world
        self._plan = plan
        self._slots: dict[str, int] = {}
        self._ids: dict[int, Instance] = {}
        for _ in range(plan.always_ready):
            instance = self._add("active", ready_s=math.inf)
            instance.state = "ready"
        self._account()

    def observe(self) -> list[Instance]:
        """What the scale rules see."""
        slots = self._world.slots
        for instance in self.instances:
            instance.in_flight = int(slots[self._slots[instance.id]]["in_flight"])
        return self.instances

    def decide(self) -> None:
        """Ask the rules, and do what they say; the next tick is one interval away."""
        clock = self._world.clock[0]
        now_s = float(clock["now_s"])
        load = Load(int(clock["n_arrived"]), int(clock["n_held"]))
        for decision in self.rules.decide(now_s, self.observe(), load):
            self.decisions.append((now_s, decision))
            if decision.action == "add":
                self._add(decision.role)
            elif decision.action == "activate":
                self._of(decision).role = "active"
            else:
                self._remove(self._of(decision))
        self._account()
        clock["tick_s"] = now_s + self._world.constants[0]["tick_s"]

    def became_ready(self, slot: int) -> None:
        """A start has ended; the rules are asked at once."""
        instance = self._ids[slot]
        if instance.state == "starting":
            instance.state = "ready"
        self._account()
        self._wake()

    def drained(self, slot: int) -> None:
        """An instance that was to go has nothing left to do."""
        self._end(self._ids[slot])
        self._account()
        self._wake()

    def _add(self, role: Role, *, ready_s: float | None = None) -> Instance:
        world, clock = self._world, self._world.clock[0]
        empty = [slot for slot in range(int(clock["n_slots"])) if world.slots[slot]["state"] == EMPTY]
        slot = empty[0] if empty else int(clock["n_slots"])
        if slot == len(world.slots):
            raise RuntimeError(f"{slot} instances are allocated, most of them draining; none can be added")
        clock["n_slots"] = max(int(clock["n_slots"]), slot + 1)
        now_s = float(clock["now_s"])
        if ready_s is None:
            table = world.tables[1]
            u = uniform(world.keys, COLD_START, int(clock["n_started"]))
            ready_s = now_s + draw(world.quantiles, int(table["first"]), int(table["n"]), u)
        start(world, slot, ready_s, now_s)
        instance = Instance(f"I{int(clock['n_started'])}", role, "starting")
        self.instances.append(instance)
        self._slots[instance.id], self._ids[slot] = slot, instance
        return instance

    def _of(self, decision: Decision) -> Instance:
        return next(each for each in self.instances if each.id == decision.instance)

    def _remove(self, instance: Instance) -> None:
        was_starting, instance.state = instance.state == "starting", "draining"
        slot = self._slots[instance.id]
        self._world.slots[slot]["turns_s"] = math.inf
        if self._world.slots[slot]["in_flight"] == 0:
            self._end(instance)
        elif was_starting:
            self._world.clock[0]["to_reassign"] = slot

    def _end(self, instance: Instance) -> None:
        slot = self._slots.pop(instance.id)
        del self._ids[slot]
        self.instances.remove(instance)
        it = self._world.slots[slot]
        self._world.allocated_s[it["kind"]] += float(self._world.clock[0]["now_s"]) - it["since_s"]
        it["state"], it["turns_s"] = EMPTY, math.inf
        self._write()

    def _wake(self) -> None:
        self._world.clock[0]["tick_s"] = self._world.clock[0]["now_s"]

    def _write(self) -> None:
        """Bring roles, states and order into the world."""
        world = self._world
        world.clock[0]["n_by_age"] = len(self.instances)
        for place, instance in enumerate(self.instances):
            slot = self._slots[instance.id]
            world.by_age[place] = slot
            it = world.slots[slot]
            it["state"], it["is_active"] = STATES[instance.state], instance.role == "active"

    def _account(self) -> None:
        """Begin the seconds of those whose class has changed."""
        self._write()
        now_s = float(self._world.clock[0]["now_s"])
        for name, kind in classify(self.observe(), self._plan.always_ready):
            it = self._world.slots[self._slots[name]]
            if it["kind"] != CLASSES.index(kind):
                self._world.allocated_s[it["kind"]] += now_s - it["since_s"]
                it["kind"], it["since_s"] = CLASSES.index(kind), now_s
