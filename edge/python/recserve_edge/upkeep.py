"""What a client does beside answering, when it is due: look for bundles, compare answers, send events and reports."""

import logging
import threading
from collections import deque
from collections.abc import Callable

from recserve_edge.background import Background
from recserve_edge.clocks import Clocks
from recserve_edge.delivery import Delivery
from recserve_edge.errors import EdgeError
from recserve_edge.keeping import BundleKeeper
from recserve_edge.request import ItemId, Request
from recserve_edge.settings import EdgeSettings

MAX_COMPARISONS = 8
"Answers that wait to be compared; further ones are not."
LEAST_BETWEEN_UPDATES_S = 60.0
"While a deployment replaces instances, answers of both versions come in turns."
FIRST_RETRY_S = 5.0
"After an update that failed; doubles up to `update_every_s`, and to ten minutes at most."
MAX_RETRY_S = 600.0
CLOSE_PATIENCE_S = 1.0

log = logging.getLogger(__name__)


class Upkeep:
    """Does one thing at a time, on whichever thread calls `step`.

    Args:
        keeper: takes bundles.
        delivery: sends events and reports.
        compare: asks the cloud what edge has answered, and counts how far they agree.
        settings: how often.
        clocks: the device's.
    """

    def __init__(
        self,
        keeper: BundleKeeper,
        delivery: Delivery,
        *,
        compare: Callable[[Request, list[ItemId]], None],
        settings: EdgeSettings,
        clocks: Clocks,
    ) -> None:
        self._keeper = keeper
        self._delivery = delivery
        self._compare = compare
        self._settings = settings
        self._clocks = clocks
        self._comparisons: deque[tuple[Request, list[ItemId]]] = deque(maxlen=MAX_COMPARISONS)
        self._stepping = threading.Lock()
        started_s = clocks.monotonic()
        self._updated_s: float | None = None
        self._n_failed_updates = 0
        self._update_due_s = started_s
        self._events_due_s = started_s + settings.events_every_s
        self._report_due_s = started_s + settings.report_every_s
        self._background: Background | None = None

    def start(self) -> None:
        """Have a thread call `step` from here on."""
        self._background = Background(self.step)

    def step(self) -> float:
        """Do what is due; returns the seconds until something is due again."""
        with self._stepping:
            now_s = self._clocks.monotonic()
            if now_s >= self._update_due_s:
                self._update()
            while self._comparisons:
                self._compare(*self._comparisons.popleft())
            if now_s >= min(self._events_due_s, self._report_due_s):
                self._send(now_s)
            due_s = min(self._update_due_s, self._events_due_s, self._report_due_s)
            return max(0.0, due_s - self._clocks.monotonic())

    def update(self) -> bool:
        """Look for a bundle at once; returns whether the service confirmed one."""
        with self._stepping:
            return self._update()

    def flush(self) -> bool:
        """Send events and a report at once; returns whether nothing waits any more."""
        with self._stepping:
            self._report_due_s = self._clocks.monotonic()
            return self._send(self._report_due_s)

    def update_soon(self) -> None:
        """The cloud answers from other models than the manifest said: look for a bundle, though not all the time."""
        now_s = self._clocks.monotonic()
        if self._updated_s is None or now_s - self._updated_s >= LEAST_BETWEEN_UPDATES_S:
            self._update_due_s = now_s
            self._wake()

    def send_soon(self) -> None:
        """Many events wait: send them, unless the service has just not taken them."""
        if not self._delivery.n_failures:
            self._events_due_s = self._clocks.monotonic()
            self._wake()

    def compare_soon(self, request: Request, edge: list[ItemId]) -> None:
        """Ask the cloud for what edge has answered; where many wait, the oldest is let go."""
        self._comparisons.append((request, edge))
        self._wake()

    def close(self, *, is_online: bool) -> bool:
        """Do no more; what waits is sent once where the service was there last, and left to the next process.

        Returns:
            Whether nothing is under way any more.
        """
        if self._background is not None:
            self._background.stop()
        if not self._stepping.acquire(timeout=CLOSE_PATIENCE_S):
            log.warning("a question to the service is still under way; it ends with the process")
            return False
        try:
            if is_online:
                self._delivery.send_last(now_s=self._clocks.wall(), timeout_s=self._settings.timeout_s)
            self._delivery.freeze()
        except EdgeError as err:
            log.warning("what was not reported is lost: %s", err)
        finally:
            self._stepping.release()
        return True

    def _update(self) -> bool:
        is_confirmed = self._keeper.update()
        self._updated_s = self._clocks.monotonic()
        if is_confirmed:
            self._n_failed_updates, wait_s = 0, self._settings.update_every_s
        else:
            retry_s = min(MAX_RETRY_S, FIRST_RETRY_S * 2.0 ** min(self._n_failed_updates, 30))
            wait_s = min(self._settings.update_every_s, retry_s)
            self._n_failed_updates += 1
        self._update_due_s = self._updated_s + wait_s
        return is_confirmed

    def _send(self, now_s: float) -> bool:
        is_report_due = now_s >= self._report_due_s
        retry_s = self._delivery.send(now_s=self._clocks.wall(), with_report=is_report_due)
        now_s = self._clocks.monotonic()
        if retry_s is not None:
            self._events_due_s = now_s + retry_s
            self._report_due_s = max(self._report_due_s, self._events_due_s)
            return False
        self._events_due_s = now_s + self._settings.events_every_s
        if is_report_due:
            self._report_due_s = now_s + self._settings.report_every_s
        return True

    def _wake(self) -> None:
        if self._background is not None:
            self._background.wake()
