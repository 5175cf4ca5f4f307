"""Timers on a clock that the test turns, and one app whose timers fire for real."""

import asyncio
from datetime import datetime, timedelta
from typing import Any

import pytest

from emulator.functions_host.functions import HostedFunction
from emulator.functions_host.invocation import InvocationFailed
from emulator.functions_host.schedules import read_schedule
from emulator.functions_host.timers import Timer, Timers

START = datetime(2026, 11, 22, 13, 46, 30)


class Clock:
    """Time passes when somebody sleeps, and while a function runs; the end cancels whoever sleeps."""

    def __init__(self, *, end: timedelta) -> None:
        self.now = START
        self._end = START + end

    def __call__(self) -> datetime:
        return self.now

    async def sleep(self, wait_s: float) -> None:
        self.now += timedelta(seconds=wait_s)
        if self.now > self._end:
            raise asyncio.CancelledError


class Invoker:
    """Notes when a function ran and with what; a run takes time, and may fail."""

    def __init__(self, clock: Clock, *, takes_s: float = 0.0, fails: bool = False) -> None:
        self._clock = clock
        self._takes = timedelta(seconds=takes_s)
        self._fails = fails
        self.starts: list[str] = []
        self.requests: list[Any] = []
        self.reasons: list[str] = []

    async def invoke(self, function: HostedFunction, request: Any, *, reason: str) -> None:
        self.starts.append(f"{self._clock.now:%H:%M:%S}")
        self.requests.append(request)
        self.reasons.append(reason)
        self._clock.now += self._takes
        if self._fails:
            raise InvocationFailed


def timer_function(schedule: str = "0 * * * * *", **binding: object) -> HostedFunction:
    async def call(timer: object) -> None: ...

    return HostedFunction(
        name="tick",
        call=call,
        is_async=True,
        directory="",
        script_file="function_app.py",
        bindings=({"type": "timerTrigger", "name": "timer", "schedule": schedule, **binding},),
        trigger_type="timerTrigger",
        trigger_argument="timer",
        takes_context=False,
    )


async def run(
    schedule: str, *, minutes: float, takes_s: float = 0.0, fails: bool = False, **binding: object
) -> Invoker:
    clock = Clock(end=timedelta(minutes=minutes))
    invoker = Invoker(clock, takes_s=takes_s, fails=fails)
    timer = Timer(
        timer_function(schedule, **binding),
        read_schedule(schedule, {}),
        invoker=invoker,  # type: ignore[arg-type]
        now=clock,
        sleep=clock.sleep,
    )
    with pytest.raises(asyncio.CancelledError):
        await timer.run()
    return invoker


async def test_timer_fires_at_the_times_of_its_schedule() -> None:
    invoker = await run("0 * * * * *", minutes=3)

    assert invoker.starts == ["13:47:00", "13:48:00", "13:49:00"]
    assert invoker.reasons[0].startswith("Timer fired at 2026-11-22T13:47:00")


async def test_timer_that_runs_on_startup_fires_at_once_and_then_on_schedule() -> None:
    assert (await run("0 * * * * *", minutes=1, runOnStartup=True)).starts == ["13:46:30", "13:47:00"]


async def test_runs_do_not_overlap_and_those_missed_meanwhile_are_one() -> None:
    invoker = await run("0 * * * * *", minutes=6, takes_s=150)

    assert invoker.starts == ["13:47:00", "13:49:30", "13:52:00"]


async def test_failed_run_does_not_end_the_schedule() -> None:
    assert len((await run("0 * * * * *", minutes=3, fails=True)).starts) == 3


async def test_sleep_that_ends_early_does_not_fire_twice() -> None:
    clock = Clock(end=timedelta(minutes=2))
    invoker = Invoker(clock)

    async def sleep_a_little_less(wait_s: float) -> None:
        await clock.sleep(max(0.0, wait_s - 0.01))

    schedule = read_schedule("0 * * * * *", {})
    timer = Timer(timer_function(), schedule, invoker=invoker, now=clock, sleep=sleep_a_little_less)  # type: ignore[arg-type]
    with pytest.raises(asyncio.CancelledError):
        await timer.run()

    assert invoker.starts == ["13:46:59", "13:47:59"]


async def test_request_tells_when_it_ran_last_and_is_due() -> None:
    invoker = await run("0 * * * * *", minutes=2)

    first, second = invoker.requests
    assert [request.past_due for request in invoker.requests] == [False, False]
    assert first.schedule_status["Last"].startswith("0001-01-01")
    assert second.schedule_status["Last"] == first.schedule_status["Next"]
    assert datetime.fromisoformat(second.schedule_status["Next"]).astimezone().minute == 48


async def test_timer_without_monitor_or_of_less_than_a_minute_has_no_status() -> None:
    for schedule, binding in (("0 * * * * *", {"useMonitor": False}), ("*/10 * * * * *", {})):
        invoker = await run(schedule, minutes=1, **binding)

        assert invoker.requests[0].schedule_status == {}


async def test_timer_with_a_wrong_schedule_is_logged_and_the_others_go_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO", "host")
    functions = [timer_function("%MISSING%"), timer_function("0 0 0 30 2 *"), timer_function("%RELOAD%")]

    timers = Timers.of(
        functions, invoker=Invoker(Clock(end=timedelta())), app_settings={"RELOAD": "0 0 * * * *"}
    )  # type: ignore[arg-type]

    errors = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert errors == [
        "The 'tick' function is in error: '%MISSING%' does not resolve to a value; add the app setting MISSING",
        "The 'tick' function is in error: schedule '0 0 0 30 2 *' never comes",
    ]
    assert "The next 5 occurrences of the 'tick' schedule (Cron: '0 0 * * * *') will be:" in caplog.text
    timers.start()
    await timers.stop()


def test_timers_of_a_real_app_fire(start_host) -> None:
    host = start_host(
        """
        @app.timer_trigger(arg_name="timer", schedule="%TICK%")
        async def tick(timer: func.TimerRequest) -> None:
            running = asyncio.current_task() is not None
            logging.info("ticked on the loop %s, past due %s", running, timer.past_due)

        @app.timer_trigger(arg_name="timer", schedule="0 0 1 1 1 *", run_on_startup=True)
        def yearly(timer: func.TimerRequest) -> None:
            logging.info("yearly ran on %s", threading.current_thread().name)

        @app.timer_trigger(arg_name="timer", schedule="%NOBODY%")
        async def broken(timer: func.TimerRequest) -> None: ...

        @app.route()
        async def f(req): return "x"
        """,
        local_settings={"IsEncrypted": False, "Values": {"TICK": "* * * * * *"}},
    )

    host.wait_for_log("ticked on the loop True, past due False")
    host.wait_for_log("yearly ran on function_0")
    host.wait_for_log("The next 5 occurrences of the 'yearly' schedule (Cron: '0 0 1 1 1 *') will be:")
    assert "The 'broken' function is in error: '%NOBODY%' does not resolve to a value" in host.log
    with host.client() as client:
        assert client.get("/api/f").text == "x"
        assert client.post("/admin/functions/yearly", json={"input": ""}).status_code == 202
    assert host.stop() == 0
    assert "        tick: timerTrigger\n" in host.stdout
    assert "does not fire by itself" not in host.stdout
