"""The plan's instances, from allocation to end.

    starting --ready--> pre_warmed --activate--> active --remove--> draining --stopped--> ended
        `-----ready------------------------------^
    any of them --it crashes, is killed, holds too much memory or answers no probes--> ended

Whatever changes an instance goes through `Fleet`, which keeps front end, ledger and event log true to it.
"""

import asyncio
import shutil
import time
from collections.abc import Callable, Coroutine, Iterable, Mapping
from contextlib import suppress
from typing import Any, Literal

from emulator.premium_plan import names
from emulator.premium_plan.errors import InstanceFailed
from emulator.premium_plan.events import EventLog
from emulator.premium_plan.front_end import FrontEnd
from emulator.premium_plan.health import until_ready, until_unhealthy
from emulator.premium_plan.instances import InstanceProcess, ending_of
from emulator.premium_plan.isolation import Isolation
from emulator.premium_plan.members import Cause, Member, failure_of
from emulator.premium_plan.notes import Notes, read_notes, write_notes
from emulator.premium_plan.settings import PlanSettings, instance_environment
from planner.allocation import AllocationLedger
from planner.scale_rules import Instance, Role

INSTANCES = "instances"
"Folder of logs and temporary directories, below the plan's data."


class Fleet:
    """Owns all instances.

    Args:
        environment: what all of them find.
        on_change: called when an instance became ready or ended.

    Attributes:
        ledger: allocated seconds, of all that ever were.
        n_ready: how many have ever become ready.
        failure: why the newest start has failed; None once one did not.
        n_failed_starts: starts that have failed, one after the other.
    """

    def __init__(
        self,
        settings: PlanSettings,
        *,
        front_end: FrontEnd,
        events: EventLog,
        isolation: Isolation,
        environment: Mapping[str, str],
        on_change: Callable[[], None],
    ) -> None:
        self._settings = settings
        self._front_end = front_end
        self._events = events
        self._isolation = isolation
        self._environment = environment
        self._on_change = on_change
        self._members: dict[str, Member] = {}
        self._n_added = 0
        self._notes: Notes = {}
        "Of the instance that ended last."
        self._work: set[asyncio.Task[None]] = set()
        self._is_closing = False
        self.ledger = AllocationLedger(settings.plan.always_ready)
        self.n_ready = 0
        self.n_failed_starts = 0
        self.failure: InstanceFailed | None = None

    @property
    def members(self) -> dict[str, Member]:
        """All that are allocated, by id, oldest first."""
        return self._members

    def observe(self) -> list[Instance]:
        """What the scale rules see: all that are allocated, but for those that are to take another's place."""
        in_flight = self._front_end.load().in_flight
        for member in self._members.values():
            member.seen.in_flight = in_flight.get(member.id, 0)
        self._account()
        return [member.seen for member in self._members.values() if member.predecessor is None]

    def add(self, role: Role, cause: Cause, *, predecessor: Member | None = None) -> Member:
        """Allocate an instance: it is billed from here on.

        Args:
            predecessor: the one whose place it takes once it is ready.
        """
        self._n_added += 1
        instance, folder = f"I{self._n_added}", self._settings.data / INSTANCES
        temporary = folder / instance
        temporary.mkdir(parents=True, exist_ok=True)
        if cause not in ("first", "scale_out"):
            notes = read_notes(predecessor.temporary) if predecessor else self._notes
            write_notes(notes, temporary, instance=instance, is_deployment=cause == "deployment")
        process = InstanceProcess(
            instance,
            script_root=self._settings.script_root,
            environment=instance_environment(self._environment, instance=instance, temporary=temporary),
            log=folder / f"{instance}.log",
            on_exit=lambda: self._ended(member),
        )
        member = Member(
            seen=Instance(instance, role, "starting"),
            process=process,
            cause=cause,
            cores=self._isolation.confine(process.pid, instance),
            temporary=temporary,
            allocated_s=(now_s := time.monotonic()),
            state_s=now_s,
            predecessor=predecessor,
        )
        self._members[instance] = member
        self._account(now_s)
        if predecessor is not None:
            predecessor.is_replaced = True
        elif role == "active":
            self._route(member)
        on_cores = f", on core {' and '.join(map(str, member.cores))}" if member.cores else ""
        self._tell(member, "", f"{instance} starts ({cause.replace('_', '-')}) as {role}{on_cores}")
        member.life = self.begin(self._live(member))
        return member

    def activate(self, instance: str) -> None:
        """Take an instance out of the buffer: requests go to it from here on."""
        member = self._members[instance]
        before = member.state
        member.seen.role = "active"
        self._route(member)
        self._account()
        warmth = "it was warm" if member.seen.state == "ready" else "it is still starting"
        self._tell(member, before, f"{instance} leaves the buffer for requests: {warmth}")

    def remove(self, instance: str, reason: str) -> None:
        """Let an instance finish what it has, then end it; not one that a successor is to replace."""
        member = self._members[instance]
        if member.is_replaced or member.seen.state == "draining":
            return
        before, member.seen.state = member.state, "draining"
        self._account()
        self._tell(member, before, f"{member.id} drains: {reason}", reason=reason)
        self.begin(self._drain(member, reason))

    def kill(self, member: Member, problem: str) -> None:
        """End an instance at once; what it has not answered fails."""
        member.problem = problem
        self._unroute(member, problem)
        member.process.kill()

    async def restart(self, members: Iterable[Member], cause: Literal["restart", "deployment"]) -> int:
        """Replace instances, each when its successor is ready; gives how many could be."""
        replaced = [each for each in members if not each.is_replaced and each.seen.state != "draining"]
        successors = [self.add(each.seen.role, cause, predecessor=each) for each in replaced]
        for successor in successors:
            await successor.settled.wait()
        return sum(successor.seen.state != "starting" for successor in successors)

    async def close(self) -> None:
        """End all instances, within the time that a process has to end by itself."""
        self._is_closing = True
        for task in list(self._work):
            task.cancel()
        processes = [member.process for member in self._members.values()]
        await asyncio.gather(*(process.stop(self._settings.stop_timeout_s) for process in processes))

    def kill_all(self) -> None:
        """End all instances without waiting for them."""
        for member in self._members.values():
            member.process.kill()

    def begin(self, work: Coroutine[None, None, None]) -> "asyncio.Task[None]":
        """Do something beside all else, to its end or the plan's."""
        task = asyncio.get_running_loop().create_task(work)
        self._work.add(task)
        task.add_done_callback(self._work.discard)
        return task

    async def _live(self, member: Member) -> None:
        """Become ready, then answer probes, until something is wrong."""
        port, pid = member.process.port, member.process.pid
        try:
            await until_ready(port, self._settings, fires_warmup=member.cause == "scale_out")
        except InstanceFailed as err:
            self.kill(member, str(err))
            return
        self._become_ready(member)
        limit_bytes = self._isolation.memory_limit_bytes
        problem = await until_unhealthy(port, pid, self._settings, memory_limit_bytes=limit_bytes)
        self._events.record(names.HEALTH, f"{member.id} {problem}", instance=member.id, reason=problem)
        self.kill(member, problem)

    def _become_ready(self, member: Member) -> None:
        self.n_failed_starts, self.failure = 0, None
        self.n_ready += 1
        if member.seen.state == "draining":
            return
        member.seen.state = "ready"
        predecessor, member.predecessor = member.predecessor, None
        if predecessor is not None:
            member.seen.role = predecessor.seen.role
        if member.is_routed:
            self._front_end.ready(member.id)
        elif member.seen.role == "active":
            self._route(member)
        ready_s = time.monotonic() - member.allocated_s
        message = f"{member.id} is ready after {ready_s:.2f} s: {member.state.replace('_', '-')}"
        self._tell(member, "starting", message, ready_s=round(ready_s, 3))
        if predecessor is not None:
            predecessor.is_replaced = False
            self.remove(predecessor.id, f"{member.cause}: {member.id} takes its place")
        self._account()
        member.settled.set()
        self._on_change()

    async def _drain(self, member: Member, reason: str) -> None:
        if member.is_routed:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._settings.drain_timeout_s):
                    await self._front_end.drain(member.id)
            self._unroute(member, reason)
        await member.process.stop(self._settings.stop_timeout_s)

    def _ended(self, member: Member) -> None:
        """Its process has ended, for whatever reason."""
        del self._members[member.id]
        if member.life is not None:
            member.life.cancel()
        ending = ending_of(member.process.exit_status)
        is_orderly = not member.problem and (member.seen.state == "draining" or self._is_closing)
        reason = member.problem or ("stopped" if is_orderly else f"ended by itself: {ending}")
        self._unroute(member, reason)
        self._isolation.release(member.cores, member.id)
        if member.seen.state == "starting" and not is_orderly:
            self.n_failed_starts += 1
            self.failure = failure_of(member, reason)
        self._pass_on(member)
        self._account(now_s := time.monotonic())
        lifetime_s = now_s - member.allocated_s
        self._events.record(
            names.ENDED,
            f"{member.id} has ended after {lifetime_s:.1f} s: {reason}",
            **{
                names.INSTANCE: member.id,
                names.FROM: member.state,
                names.REASON: reason,
                names.LIFETIME_S: round(lifetime_s, 3),
                names.EXIT_STATUS: member.process.exit_status,
                names.LAST_LINES: None if is_orderly else member.process.last_lines,
            },
        )
        member.settled.set()
        self._on_change()

    def _pass_on(self, member: Member) -> None:
        """Leave an ended instance's notes and place to others."""
        self._notes = read_notes(member.temporary) or self._notes
        shutil.rmtree(member.temporary, ignore_errors=True)
        if member.predecessor is not None:
            member.predecessor.is_replaced = False
        for successor in self._members.values():
            if successor.predecessor is member:
                successor.predecessor = None
                successor.seen.role = member.seen.role
                if successor.seen.role == "active":
                    self._route(successor)

    def _route(self, member: Member) -> None:
        member.is_routed = True
        is_ready = member.seen.state == "ready"
        self._front_end.add(member.id, port=member.process.port, is_ready=is_ready)

    def _unroute(self, member: Member, reason: str) -> None:
        if member.is_routed:
            member.is_routed = False
            self._front_end.remove(member.id, reason)

    def _account(self, now_s: float | None = None) -> None:
        now_s = time.monotonic() if now_s is None else now_s
        self.ledger.observe(now_s, [member.seen for member in self._members.values()])

    def _tell(self, member: Member, before: str, message: str, **more: Any) -> None:
        """A change of state."""
        now_s = time.monotonic()
        properties = {
            names.INSTANCE: member.id,
            names.FROM: before or None,
            names.TO: member.state,
            names.IN_STATE_S: round(now_s - member.state_s, 3) if before else None,
            names.ROLE: member.seen.role,
            names.CAUSE: member.cause,
            names.PID: member.process.pid,
            names.PORT: member.process.port,
        }
        member.state_s = now_s
        self._events.record(names.STATE, message, **properties, **more)
