"""An alarm on an event loop, finer than the loop's own timers.

Timers of event loops tick in milliseconds, which is longer than many answers take, and a loop that spins
instead uses a whole core to know the time. A `timerfd` of Linux is a file that becomes readable at an
instant, to the nanosecond and without the slack that the kernel gives sleeping threads; the loop sleeps in
`epoll` until then. Elsewhere the loop sleeps until shortly before, and spins for the rest.
"""

import asyncio
import contextlib
import ctypes
import os
import sys
from collections.abc import Callable
from time import perf_counter
from typing import Protocol

SPIN_S = 0.002
"How long before its instant the spinning alarm stops to trust the loop's timers."
CLOCK_MONOTONIC, TFD_TIMER_ABSTIME = 1, 1
TFD_NONBLOCK, TFD_CLOEXEC = 0o4000, 0o2000000


class Alarm(Protocol):
    """Calls back once for each instant that is set; setting another replaces it."""

    def set(self, at_s: float) -> None:
        """Ring at this instant of `perf_counter`, or at once if that is past."""

    def close(self) -> None: ...


def make_alarm(ring: Callable[[], None]) -> Alarm:
    """The finest alarm that this system has, on the running loop."""
    return TimerFileAlarm(ring) if sys.platform == "linux" else SpinningAlarm(ring)


class _TimeSpec(ctypes.Structure):
    _fields_ = (("s", ctypes.c_long), ("ns", ctypes.c_long))


class _TimerSpec(ctypes.Structure):
    _fields_ = (("interval", _TimeSpec), ("value", _TimeSpec))


class TimerFileAlarm:
    """Linux; `perf_counter` is its CLOCK_MONOTONIC there. Python has timerfd itself from 3.13 on only."""

    def __init__(self, ring: Callable[[], None]) -> None:
        self._loop, self._ring = asyncio.get_running_loop(), ring
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._file = self._libc.timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC)
        if self._file < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create")
        self._spec = _TimerSpec()
        self._loop.add_reader(self._file, self._on_readable)

    def set(self, at_s: float) -> None:
        at_ns = max(int(at_s * 1e9), 1)  # 0 would disarm it
        self._spec.value.s, self._spec.value.ns = divmod(at_ns, 10**9)
        if self._libc.timerfd_settime(self._file, TFD_TIMER_ABSTIME, ctypes.byref(self._spec), None):
            raise OSError(ctypes.get_errno(), "timerfd_settime")

    def _on_readable(self) -> None:
        with contextlib.suppress(BlockingIOError):  # set anew since it became readable
            os.read(self._file, 8)
            self._ring()

    def close(self) -> None:
        self._loop.remove_reader(self._file)
        os.close(self._file)


class SpinningAlarm:
    """Anywhere."""

    def __init__(self, ring: Callable[[], None]) -> None:
        self._loop, self._ring = asyncio.get_running_loop(), ring
        self._handle: asyncio.Handle | None = None
        self._at_s = 0.0

    def set(self, at_s: float) -> None:
        self.close()
        self._at_s = at_s
        self._handle = self._loop.call_later(max(at_s - perf_counter() - SPIN_S, 0), self._look)

    def _look(self) -> None:
        if perf_counter() < self._at_s:
            self._handle = self._loop.call_soon(self._look)
        else:
            self._handle = None
            self._ring()

    def close(self) -> None:
        if self._handle:
            self._handle.cancel()
