"""Alarms ring once, not before their instant, on both kinds."""

import asyncio
import sys
from time import perf_counter

import pytest

from emulator.load.alarm import SpinningAlarm, TimerFileAlarm

KINDS = [SpinningAlarm, *([TimerFileAlarm] if sys.platform == "linux" else [])]


@pytest.mark.parametrize("kind", KINDS)
async def test_alarm_rings_once_and_not_before_its_instant(
    kind: type[SpinningAlarm] | type[TimerFileAlarm],
) -> None:
    rung_s: list[float] = []
    alarm = kind(lambda: rung_s.append(perf_counter()))
    due_s = perf_counter() + 0.05
    alarm.set(due_s - 0.04)
    alarm.set(due_s)
    await asyncio.sleep(0.15)
    alarm.close()

    assert len(rung_s) == 1
    assert rung_s[0] >= due_s


@pytest.mark.parametrize("kind", KINDS)
async def test_alarm_for_the_past_rings_at_once(kind: type[SpinningAlarm] | type[TimerFileAlarm]) -> None:
    rung = asyncio.Event()
    alarm = kind(rung.set)
    alarm.set(perf_counter() - 1)
    await asyncio.wait_for(rung.wait(), 5)
    alarm.close()
