"""The thread that does what is due while the application does its own work."""

import logging
import threading
from collections.abc import Callable

LONGEST_SLEEP_S = 60.0
"Clocks are looked at again after this: a machine that slept has missed what was due."
AFTER_FAILURE_S = 60.0
STOP_PATIENCE_S = 5.0
"A question to a service that does not answer is not waited for longer: it ends with the process."

log = logging.getLogger(__name__)


class Background:
    """Calls a function again and again.

    Args:
        step: does what is due, and says in how many seconds it wants to be called again.
    """

    def __init__(self, step: Callable[[], float]) -> None:
        self._step = step
        self._is_woken = threading.Event()
        self._is_stopped = False
        self._thread = threading.Thread(target=self._run, name="recserve-edge", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Have the function called soon."""
        self._is_woken.set()

    def stop(self) -> None:
        """Have it called no more; one that is under way ends first, as far as it does in a few seconds."""
        self._is_stopped = True
        self._is_woken.set()
        self._thread.join(STOP_PATIENCE_S)

    def _run(self) -> None:
        while not self._is_stopped:
            self._is_woken.clear()
            try:
                wait_s = self._step()
            except Exception:  # the thread must not end over what nobody has foreseen
                log.exception("the edge client's background work failed; it goes on in %s s", AFTER_FAILURE_S)
                wait_s = AFTER_FAILURE_S
            if not self._is_stopped:
                self._is_woken.wait(min(wait_s, LONGEST_SLEEP_S))
