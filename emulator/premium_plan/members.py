"""One instance of the fleet: its process, and what the plan knows of it."""

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from emulator.premium_plan.errors import InstanceFailed
from emulator.premium_plan.health import NEVER_READY
from emulator.premium_plan.instances import InstanceProcess
from planner.scale_rules import Instance

Cause = Literal["first", "scale_out", "replacement", "restart", "deployment"]
"""Why an instance was started: the plan began; the rules wanted more; one was lost; a command. Only scaling
fires the warmup trigger."""


@dataclass(slots=True, eq=False, kw_only=True)
class Member:
    """One instance of the fleet."""

    seen: Instance
    "As the scale rules see it."
    process: InstanceProcess
    cause: Cause
    cores: tuple[int, ...]
    temporary: Path
    allocated_s: float
    state_s: float
    "Since when it is in its state."
    predecessor: "Member | None" = None
    "Whose place it takes once it is ready; until then neither the rules nor the front end know it."
    is_replaced: bool = False
    "A successor starts."
    is_routed: bool = False
    "The front end knows it."
    problem: str = ""
    "Why the plan has killed it."
    life: "asyncio.Task[None] | None" = None
    settled: asyncio.Event = field(default_factory=asyncio.Event)
    "It has become ready, or has ended."

    @property
    def id(self) -> str:
        return self.seen.id

    @property
    def state(self) -> str:
        return self.seen.role if self.seen.state == "ready" else self.seen.state


def failure_of(member: Member, problem: str) -> InstanceFailed:
    """Why it did not become ready; with what it said last, where the app does not tell by itself."""
    if problem.startswith(NEVER_READY):
        return InstanceFailed(f"instance {member.id} {problem}")
    lines = [f"    {line}" for line in member.process.last_lines] or ["    (it said nothing)"]
    return InstanceFailed("\n".join([f"instance {member.id} {problem}; its last lines:", *lines]))
