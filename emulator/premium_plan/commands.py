"""What can be said to a plan while it runs, one command a line."""

import json
import math
from collections.abc import Callable
from typing import Any

from emulator.premium_plan import names
from emulator.premium_plan.errors import CommandError
from emulator.premium_plan.events import EventLog
from emulator.premium_plan.faults import Faults
from emulator.premium_plan.fleet import Fleet
from emulator.premium_plan.members import Member

CUT_S = 10.0
HELP = """kill <instance>               end its process at once, as a crash does
freeze <instance> [seconds]   stop it, for a time or until thaw
slow <instance> <share>       let it run for a share of the time, such as 0.2, until thaw
thaw <instance>               undo freeze and slow
restart <instance>|all        replace instances: new ones are ready before old ones drain
deploy                        restart all, as of another deployment
cut state [seconds]           cut the state store off, for 10 s unless told otherwise
restore state                 undo that
status                        instances, load and allocated seconds, as JSON
help                          this"""


class Commands:
    """Carries commands out.

    Args:
        status: what `status` shows.
    """

    def __init__(
        self, fleet: Fleet, faults: Faults, events: EventLog, *, status: Callable[[], dict[str, Any]]
    ) -> None:
        self._fleet = fleet
        self._faults = faults
        self._events = events
        self._status = status

    async def execute(self, line: str) -> str:
        """Do what a line says; gives what came of it once it is done.

        Raises:
            CommandError: it cannot be done; the message says what can.
        """
        words = line.split()
        match words:
            case ["status"]:
                return json.dumps(self._status(), indent=2)
            case ["help"]:
                return HELP
        try:
            outcome = await self._do(words)
        except CommandError as err:
            self._tell(line, f"cannot be done: {err}")
            raise
        self._tell(line, outcome)
        return outcome

    async def _do(self, words: list[str]) -> str:
        match words:
            case ["kill", instance]:
                member = self._member(instance)
                self._faults.kill(member)
                await member.process.ended.wait()
                return f"{instance} is killed"
            case ["freeze", instance]:
                self._faults.freeze(self._member(instance), None)
                return f"{instance} is frozen"
            case ["freeze", instance, seconds]:
                duration_s = _seconds(seconds)
                self._faults.freeze(self._member(instance), duration_s)
                return f"{instance} is frozen for {duration_s:g} s"
            case ["slow", instance, share]:
                running = _share(share)
                self._faults.slow(self._member(instance), running)
                return f"{instance} runs for {running:.0%} of the time"
            case ["thaw", instance]:
                self._faults.thaw(self._member(instance))
                return f"{instance} runs freely"
            case ["restart", "all"]:
                return await self._replace(list(self._fleet.members.values()), "restart")
            case ["restart", instance]:
                return await self._replace([self._member(instance)], "restart")
            case ["deploy"]:
                return await self._replace(list(self._fleet.members.values()), "deployment")
            case ["cut", "state", *seconds] if len(seconds) <= 1:
                duration_s = _seconds(seconds[0]) if seconds else CUT_S
                return f"{await self._faults.cut_store(duration_s)}; for {duration_s:g} s"
            case ["restore", "state"]:
                self._faults.restore_store()
                return "the state store can be used"
        raise CommandError(f"unknown command {' '.join(words)!r}; there are:\n{HELP}")

    async def _replace(self, members: list[Member], cause: Any) -> str:
        n_wanted = sum(not each.is_replaced and each.seen.state != "draining" for each in members)
        n_replaced = await self._fleet.restart(members, cause)
        if n_replaced < n_wanted:
            raise CommandError(
                f"only {n_replaced} of {n_wanted} instances could be replaced; the others go on. "
                f"{self._fleet.failure or ''}".rstrip()
            )
        return f"{n_replaced} instances are replaced"

    def _member(self, instance: str) -> Member:
        members = {name.lower(): member for name, member in self._fleet.members.items()}
        if instance.lower() not in members:
            known = ", ".join(self._fleet.members) or "none"
            raise CommandError(f"no instance {instance!r}; there are {known}")
        return members[instance.lower()]

    def _tell(self, line: str, outcome: str) -> None:
        properties = {names.COMMAND_LINE: line, names.OUTCOME: outcome}
        self._events.record(names.COMMAND, f"> {line}: {outcome}", **properties)


def _seconds(text: str) -> float:
    duration_s = _number(text)
    if not duration_s > 0:
        raise CommandError(f"{text!r} is no duration; give seconds above 0")
    return duration_s


def _share(text: str) -> float:
    share = _number(text)
    if not 0.01 <= share <= 1:
        raise CommandError(f"{text!r} is no share of the time; give a number from 0.01 to 1")
    return share


def _number(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        return math.nan
    return number if math.isfinite(number) else math.nan
