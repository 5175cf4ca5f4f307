"""Starting and stopping a plan: address, telemetry, instances, controller, commands, in this order."""

import asyncio
import fcntl
import importlib.util
import os
import resource
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, contextmanager, suppress
from dataclasses import asdict
from typing import Any

from emulator.premium_plan import names
from emulator.premium_plan.commands import Commands
from emulator.premium_plan.control import ControlEndpoint, listen_to_terminal
from emulator.premium_plan.controller import Controller
from emulator.premium_plan.errors import CommandError, PlanError
from emulator.premium_plan.events import EventLog
from emulator.premium_plan.faults import Faults
from emulator.premium_plan.fleet import INSTANCES, Fleet
from emulator.premium_plan.front_end import FrontEnd
from emulator.premium_plan.isolation import Isolation
from emulator.premium_plan.sending import Sender
from emulator.premium_plan.settings import (
    CONNECTION_STRING,
    SITE_NAME,
    PlanSettings,
    known_settings,
    shared_environment,
)
from emulator.premium_plan.state_store import TABLES_CONNECTION_STRING, OwnAzurite, store_of
from planner.scale_rules import ScaleRules

LOCK_FILE = "plan.lock"


def run_plan(settings: PlanSettings, *, say: Callable[[str], None]) -> None:
    """Run a plan until SIGINT, SIGTERM or its time limit, on the main thread of a process of its own.

    Args:
        say: shows a line, or several, to the person at the terminal.

    Raises:
        PlanError: it cannot start: the address or the folder is taken, or no instance becomes ready.
        HostStartError: local.settings.json cannot be used.
    """
    if not (settings.script_root / "host.json").is_file():
        raise PlanError(
            f"host.json is missing in {settings.script_root}; name the function app's directory with --script-root"
        )
    _allow_many_connections()
    with _own_folder(settings), asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(_run(settings, say))


async def _run(settings: PlanSettings, say: Callable[[str], None]) -> None:
    stopping = _stop_on_signals()
    async with AsyncExitStack() as closing:
        front_end = FrontEnd()
        url = await _listen(front_end, settings)
        closing.push_async_callback(front_end.close)
        known = known_settings(settings)
        environment = shared_environment(settings, known)
        store = store_of(known | environment, settings.script_root)
        if settings.uses_azurite:
            azurite = OwnAzurite(settings.data / "azurite")
            closing.callback(azurite.close)
            store, environment[TABLES_CONNECTION_STRING] = await asyncio.to_thread(azurite.start)
        events = EventLog(settings.data, say=say, sender=_sender(settings, known | environment))
        closing.callback(events.close)
        isolation = Isolation(settings.plan.sku)
        fleet = Fleet(
            settings,
            front_end=front_end,
            events=events,
            isolation=isolation,
            environment=environment,
            on_change=lambda: controller.wake(),
        )
        rules = ScaleRules(settings.plan, settings.scale)
        controller = Controller(
            rules,
            fleet,
            front_end,
            events,
            always_ready=settings.plan.always_ready,
            tick_s=settings.tick_s,
        )
        front_end.on_demand = controller.wake
        events.record(names.STARTED, _describe(settings, url), **_numbers(settings, url))
        events.record(names.NOTICE, isolation.describe(settings.plan.max_burst))
        steering = asyncio.create_task(controller.run())
        closing.push_async_callback(_end, fleet, controller, events, steering, stopping)
        await _first_ready(fleet, stopping, steering)
        if stopping.is_set():
            return
        faults = Faults(fleet, store)
        closing.callback(faults.restore_store)

        def status() -> dict[str, Any]:
            return _status(settings, url, fleet, rules, front_end)

        commands = Commands(fleet, faults, events, status=status)
        control = ControlEndpoint(settings.data, commands.execute)
        await control.start()
        closing.callback(control.close)
        _listen_to_terminal(commands, fleet, say)
        if settings.is_at_terminal:
            say(_welcome(settings, url, events))
        await _until(stopping, steering, time_limit_s=settings.time_limit_s)


@contextmanager
def _own_folder(settings: PlanSettings) -> Iterator[None]:
    """The data folder, with nothing of an earlier plan's instances, and no other plan on it."""
    try:
        settings.data.mkdir(parents=True, exist_ok=True)
        with (settings.data / LOCK_FILE).open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(settings.data / INSTANCES, ignore_errors=True)
            yield
    except BlockingIOError as err:
        raise PlanError(
            f"another plan runs on {settings.data}; stop it, or choose another folder with --data"
        ) from err
    except OSError as err:
        raise PlanError(
            f"cannot use {settings.data}: {err.strerror}; choose another folder with --data"
        ) from err


def _allow_many_connections() -> None:
    """Each request in flight holds two sockets; the usual limit of 1,024 files is soon reached."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    if importlib.util.find_spec("uvloop") is None:
        return None
    import uvloop

    return uvloop.new_event_loop


def _stop_on_signals() -> asyncio.Event:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stopping.set)
    return stopping


async def _listen(front_end: FrontEnd, settings: PlanSettings) -> str:
    try:
        port = await front_end.start(settings.host, settings.port)
    except OSError as err:
        raise PlanError(
            f"cannot listen on {settings.host}:{settings.port}: {os.strerror(err.errno or 0)}; "
            "stop what runs there, or choose another --port"
        ) from err
    return f"http://{settings.host}:{port}"


def _sender(settings: PlanSettings, known: dict[str, str]) -> Sender | None:
    connection_string = settings.connection_string or known.get(CONNECTION_STRING, "")
    return Sender(connection_string, role=known[SITE_NAME]) if connection_string else None


async def _first_ready(fleet: Fleet, stopping: asyncio.Event, steering: "asyncio.Task[None]") -> None:
    """Return when an instance has become ready, or the plan is to stop.

    Raises:
        PlanError: an instance fails to start before any is ready.
    """
    while not (fleet.n_ready or stopping.is_set()):
        if fleet.failure is not None:
            raise PlanError(str(fleet.failure))
        _raise_what_ended(steering)
        await asyncio.sleep(0.02)


async def _until(
    stopping: asyncio.Event, steering: "asyncio.Task[None]", *, time_limit_s: float | None
) -> None:
    waiting = asyncio.create_task(stopping.wait())
    await asyncio.wait({waiting, steering}, timeout=time_limit_s, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    _raise_what_ended(steering)


def _raise_what_ended(steering: "asyncio.Task[None]") -> None:
    """The controller never ends by itself."""
    if steering.done():
        try:
            steering.result()
        except OSError as err:
            raise PlanError(f"the plan cannot go on: {err}; free what is short, and start it again") from err


async def _end(
    fleet: Fleet,
    controller: Controller,
    events: EventLog,
    steering: "asyncio.Task[None]",
    stopping: asyncio.Event,
) -> None:
    """Stop deciding, then every instance; a second signal does not wait for them."""
    steering.cancel()
    with suppress(asyncio.CancelledError, Exception):
        await steering
    stopping.clear()
    ending = asyncio.create_task(fleet.close())
    again = asyncio.create_task(stopping.wait())
    await asyncio.wait({ending, again}, return_when=asyncio.FIRST_COMPLETED)
    if not ending.done():
        fleet.kill_all()
    again.cancel()
    await ending
    controller.account(time.monotonic())
    total = {kind: round(spent_s, 3) for kind, spent_s in fleet.ledger.total_s.items()}
    spent = ", ".join(f"{kind.replace('_', '-')} {spent_s:.1f} s" for kind, spent_s in total.items())
    events.record(names.STOPPED, f"the plan has stopped; allocated: {spent or 'nothing'}", total_s=total)


def _listen_to_terminal(commands: Commands, fleet: Fleet, say: Callable[[str], None]) -> None:
    async def do(line: str) -> None:
        try:
            outcome = await commands.execute(line)
        except CommandError:
            return  # the event that tells it has been shown
        if line in ("status", "help"):
            say(outcome)

    def begin(line: str) -> None:
        fleet.begin(do(line))

    listen_to_terminal(asyncio.get_running_loop(), begin)


def _welcome(settings: PlanSettings, url: str, events: EventLog) -> str:
    return f"""
Front end  {url}
Events     {events.path}
Commands   a line here, or `python -m emulator plan-command --data {settings.data} ...`; `help` lists them

Ctrl-C stops everything.
"""


def _describe(settings: PlanSettings, url: str) -> str:
    plan = settings.plan
    limit = "" if plan.scale_limit is None else f", at most {plan.scale_limit} for the app"
    return (
        f"{plan.sku.name} plan at {url}: {plan.always_ready} always ready, {plan.pre_warmed} pre-warmed, "
        f"burst up to {plan.max_burst}{limit}"
    )


def _numbers(settings: PlanSettings, url: str) -> dict[str, Any]:
    return {"url": url, "plan": asdict(settings.plan), "scale": asdict(settings.scale)}


def _status(
    settings: PlanSettings, url: str, fleet: Fleet, rules: ScaleRules, front_end: FrontEnd
) -> dict[str, Any]:
    now_s, load = time.monotonic(), front_end.load()
    fleet.observe()
    instances = [
        {
            names.INSTANCE: member.id,
            "state": member.state,
            names.ROLE: member.seen.role,
            names.CAUSE: member.cause,
            "age_s": round(now_s - member.allocated_s, 3),
            "in_flight": load.in_flight.get(member.id, 0),
            names.PID: member.process.pid,
            names.PORT: member.process.port,
            names.LOG: str(member.process.log),
        }
        for member in fleet.members.values()
    ]
    return {
        **_numbers(settings, url),
        "instances": instances,
        names.DEMAND: round(rules.demand, 3),
        "load": asdict(load) | {"in_flight": dict(load.in_flight)},
        names.SECONDS: dict(fleet.ledger.total_s),
    }
