"""Timer triggers that fire: one loop for each, as `TimerListener` of the WebJobs extensions runs them.

A function's runs never overlap: a run that is due while the last one still goes on follows it at once,
and those missed meanwhile are not made up for. Pulling the trigger by hand, under /admin, is not bound
by this, here as there.

Two things of Azure's are left out, both of which need a storage account there: the lease by which one
instance alone fires, and the stored status by which a restarted host notices that it is past due. With a
blank `AzureWebJobsStorage` the real host runs no timer at all, save those that fire more than once a
minute or say `use_monitor=False` ("Could not create BlobContainerClient for ScheduleMonitor").
"""

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from azure.functions.timer import TimerRequest

from emulator.functions_host.errors import ScheduleError
from emulator.functions_host.functions import HostedFunction
from emulator.functions_host.invocation import InvocationFailed, Invoker
from emulator.functions_host.schedules import Schedule, read_schedule

logger = logging.getLogger("host")

_N_SHOWN = 5
"Occurrences that the host logs at its start."
_NEVER = "0001-01-01T00:00:00+00:00"
"How the host writes the time of a run that has not been; DateTime.MinValue."


class Timer:
    """One timer function and its schedule.

    Args:
        now: the local clock, without a zone.
        sleep: waits for seconds.

    Raises:
        ScheduleError: the schedule never comes.
    """

    def __init__(
        self,
        function: HostedFunction,
        schedule: Schedule,
        *,
        invoker: Invoker,
        now: Callable[[], datetime] = datetime.now,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._function = function
        self._schedule = schedule
        self._invoker = invoker
        self._now = now
        self._sleep = sleep
        trigger = next(binding for binding in function.bindings if binding["type"] == function.trigger_type)
        self._runs_on_startup = bool(trigger.get("runOnStartup"))
        self._is_monitored = trigger.get("useMonitor", True) and not self._is_frequent()
        self._last: datetime | None = None

    async def run(self) -> None:
        """Fire until cancelled, or until the schedule has no further time."""
        due = self._schedule.next_after(self._now())
        if self._runs_on_startup:
            due = await self._fire(due, at=self._now())
        while True:
            await self._sleep(max(0.0, (due - self._now()).total_seconds()))
            # Sleeping may end a moment early; counted from `due`, the same time does not come twice.
            due = await self._fire(due, at=max(due, self._now()))

    def coming(self) -> list[datetime]:
        """The next times it fires."""
        times = [self._now()]
        for _ in range(_N_SHOWN):
            times.append(self._schedule.next_after(times[-1]))
        return times[1:]

    def describe(self) -> str:
        """What the host logs of a timer when it starts."""
        times = "\n".join(time.strftime("%m/%d/%Y %H:%M:%S") for time in self.coming())
        return (
            f"The next {_N_SHOWN} occurrences of the '{self._function.name}' schedule "
            f"({self._schedule}) will be:\n{times}"
        )

    async def _fire(self, due: datetime, *, at: datetime) -> datetime:
        """Run the function once; returns when it is due again, counted from when this run began."""
        with suppress(InvocationFailed):  # logged; a failed run does not end the schedule
            await self._invoker.invoke(
                self._function, self._request(due), reason=f"Timer fired at {at.astimezone().isoformat()}"
            )
        self._last = at
        return self._schedule.next_after(at)

    def _request(self, due: datetime) -> TimerRequest:
        status = {"Last": _stamp(self._last), "Next": _stamp(due), "LastUpdated": _stamp(self._last)}
        return TimerRequest(
            past_due=False,
            schedule={"AdjustForDST": True},
            schedule_status=status if self._is_monitored else None,
        )

    def _is_frequent(self) -> bool:
        """Whether it fires more than once in a minute; the host keeps no status of such a timer."""
        start = datetime(2000, 1, 1)
        second = self._schedule.next_after(self._schedule.next_after(start))
        return second - start < timedelta(minutes=1)


class Timers:
    """All timers of an app."""

    def __init__(self, timers: list[Timer]) -> None:
        self._timers = timers
        self._loops: list[asyncio.Task[None]] = []

    @classmethod
    def of(
        cls,
        functions: Iterable[HostedFunction],
        *,
        invoker: Invoker,
        app_settings: Mapping[str, str] = os.environ,
    ) -> "Timers":
        """The timers among the functions; one whose schedule cannot be read is logged and left out."""
        timers = []
        for function in functions:
            if not function.is_timer:
                continue
            try:
                schedule = read_schedule(_expression(function), app_settings)
                timer = Timer(function, schedule, invoker=invoker)
                logger.info("%s", timer.describe())
            except ScheduleError as err:
                logger.error("The '%s' function is in error: %s", function.name, err)
                continue
            timers.append(timer)
        return cls(timers)

    def start(self) -> None:
        """Begin to fire, on the running event loop."""
        self._loops = [asyncio.create_task(timer.run()) for timer in self._timers]

    async def stop(self) -> None:
        """Fire no more; a run that goes on is cancelled."""
        for loop in self._loops:
            loop.cancel()
        await asyncio.gather(*self._loops, return_exceptions=True)


def _expression(function: HostedFunction) -> str:
    bindings: Iterable[dict[str, Any]] = function.bindings
    return str(next(b["schedule"] for b in bindings if b["type"] == function.trigger_type))


def _stamp(time: datetime | None) -> str:
    return _NEVER if time is None else time.astimezone(UTC).isoformat()
