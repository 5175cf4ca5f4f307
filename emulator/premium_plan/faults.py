"""What goes wrong on purpose: instances that freeze or slow down, a state store that is cut off."""

import asyncio
import signal

from emulator.premium_plan.errors import CommandError
from emulator.premium_plan.fleet import Fleet
from emulator.premium_plan.members import Member
from emulator.premium_plan.state_store import StateStore

SLOW_PERIOD_S = 0.05
"A slow instance runs for a share of each such period, and is stopped for the rest."


class Faults:
    """Does what commands ask; what it began it can undo."""

    def __init__(self, fleet: Fleet, store: StateStore) -> None:
        self._fleet = fleet
        self._store = store
        self._on_members: dict[str, asyncio.Task[None]] = {}
        self._cut: asyncio.Task[None] | None = None

    def kill(self, member: Member) -> None:
        """End its process as a crash would: the plan learns of it as it would of any."""
        member.process.kill()

    def freeze(self, member: Member, duration_s: float | None) -> None:
        """Stop its process for a time, or until `thaw`."""
        self.thaw(member)
        member.process.send_signal(signal.SIGSTOP)
        if duration_s is not None:
            self._on_members[member.id] = self._fleet.begin(self._thaw_after(member, duration_s))

    def slow(self, member: Member, share: float) -> None:
        """Let its process run for a share of the time only, until `thaw`."""
        self.thaw(member)
        if share < 1:
            self._on_members[member.id] = self._fleet.begin(self._run_for_share(member, share))

    def thaw(self, member: Member) -> None:
        """Undo what was done to an instance."""
        if task := self._on_members.pop(member.id, None):
            task.cancel()
        member.process.send_signal(signal.SIGCONT)

    async def cut_store(self, duration_s: float) -> str:
        """Cut the state store off for a time; gives what that means.

        Raises:
            CommandError: it is cut already, or cannot be.
        """
        if self._cut is not None and not self._cut.done():
            raise CommandError("the state store is cut off already; `restore state` ends that")
        await asyncio.to_thread(self._store.cut)
        self._cut = self._fleet.begin(self._restore_after(duration_s))
        return self._store.description

    def restore_store(self) -> None:
        if self._cut is not None:
            self._cut.cancel()
        self._store.restore()

    async def _thaw_after(self, member: Member, duration_s: float) -> None:
        await asyncio.sleep(duration_s)
        member.process.send_signal(signal.SIGCONT)

    async def _run_for_share(self, member: Member, share: float) -> None:
        while member.process.exit_status is None:
            member.process.send_signal(signal.SIGSTOP)
            await asyncio.sleep((1 - share) * SLOW_PERIOD_S)
            member.process.send_signal(signal.SIGCONT)
            await asyncio.sleep(share * SLOW_PERIOD_S)

    async def _restore_after(self, duration_s: float) -> None:
        try:
            await asyncio.sleep(duration_s)
        finally:
            self._store.restore()
