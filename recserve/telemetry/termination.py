"""The last second of a process that is told to end.

A worker that has no handler for SIGTERM dies of it at once, without `atexit`: with it what telemetry holds
(python-worker issue 578). So the signal closes first, and then does what it would have done.
"""

import os
import signal
import threading
from collections.abc import Callable
from functools import partial
from types import FrameType

CLOSE_WAIT_S = 3.0
"How long the process may outlive the signal: endpoints that are well take a tenth of it."


def close_before_termination(close: Callable[[], None]) -> bool:
    """Call `close` when SIGTERM comes, and die of the signal when it returns.

    Requests go on meanwhile: it is called on a thread of its own. A second SIGTERM does not wait. Nothing is
    changed off the main thread, where Python takes no handlers, nor where somebody else handles the signal.

    Args:
        close: bounded in time, since the process ends only after it.

    Returns:
        Whether it will be called.
    """
    if threading.current_thread() is not threading.main_thread():
        return False
    if signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        return False
    signal.signal(signal.SIGTERM, partial(_terminate, close))
    return True


def _terminate(close: Callable[[], None], number: int, frame: FrameType | None) -> None:
    signal.signal(number, signal.SIG_DFL)
    try:
        threading.Thread(target=_end, args=(close, number), name="termination", daemon=True).start()
    except RuntimeError:  # no thread can begin: the interpreter ends already, or there are too many
        _end(close, number)


def _end(close: Callable[[], None], number: int) -> None:
    try:
        close()
    finally:
        signal.raise_signal(number)
        os._exit(128 + number)  # the first process of a container outlives the signal
