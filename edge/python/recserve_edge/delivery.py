"""Events and reports on their way to the service: in batches, again and again, and each counted once.

A batch leaves the queue when the service says that it keeps it. One that the service refuses as it is gets split until
the event at fault is alone, which is dropped and told; the others go on. Anything else, a captive portal's page and a
wrong key among it, keeps the events and is tried again: after 1, 2, 4, ... seconds, 5 minutes at most, each with
chance, or when the service says.
"""

import logging
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from recserve_edge.cloud import Cloud
from recserve_edge.errors import EventNotKept
from recserve_edge.events import EventStore, Waiting
from recserve_edge.tally import Tally

MAX_BATCH = 100
TIMEOUT_S = 10.0
"For one batch."
FIRST_BACKOFF_S = 1.0
MAX_BACKOFF_S = 300.0

log = logging.getLogger(__name__)


class Delivery:
    """Sends what waits; called from one thread at a time.

    Args:
        cloud: where it goes.
        store: where it waits.
        tally: what reports are made from.
        bundle_version: what answers on this device; empty: nothing.
        on_refused: told of an event that was dropped because the service refuses it, and why.
        rng: spreads retries of many devices.

    Attributes:
        n_failures: attempts that failed, in a row.
    """

    def __init__(
        self,
        cloud: Cloud,
        store: EventStore,
        tally: Tally,
        *,
        bundle_version: Callable[[], str],
        on_refused: Callable[[dict[str, Any], str], None],
        rng: Random,
    ) -> None:
        self._cloud = cloud
        self._store = store
        self._tally = tally
        self._bundle_version = bundle_version
        self._on_refused = on_refused
        self._rng = rng
        self.n_failures = 0

    def send(self, *, now_s: float, with_report: bool = False) -> float | None:
        """Send all that waits.

        Args:
            now_s: Unix time.
            with_report: make a report even where no event goes along.

        Returns:
            Seconds to wait before another attempt; None when all was sent.
        """
        try:
            while True:
                events = self._store.oldest_waiting(MAX_BATCH)
                report = self._report(is_wanted=with_report or bool(events))
                if not events and report is None:
                    self.n_failures = 0
                    return None
                self._deliver(events, report, now_s, TIMEOUT_S)
        except _NotNow as err:
            self.n_failures += 1
            log.info("%s; what waits is sent later", err)
            return err.retry_after_s if err.retry_after_s is not None else self._backoff_s()
        except EventNotKept as err:  # the disk is full: what was sent is sent again, and counted once
            self.n_failures += 1
            log.warning("%s", err)
            return self._backoff_s()

    def send_last(self, *, now_s: float, timeout_s: float) -> None:
        """Send the oldest that wait, once, and with little patience: the process ends."""
        try:
            events = self._store.oldest_waiting(MAX_BATCH)
            if events:
                self._deliver(events, self._report(is_wanted=True), now_s, timeout_s)
        except (_NotNow, EventNotKept) as err:
            log.info("%s; what waits is sent by the next process", err)

    def freeze(self) -> None:
        """Write down what has not been reported, for the next process of this device."""
        while not self._tally.is_empty():
            self._store.keep_report(self._tally.report(self._bundle_version()))

    def _report(self, *, is_wanted: bool) -> Waiting | None:
        waiting = self._store.oldest_report()
        if waiting is None and is_wanted and not self._tally.is_empty():
            self._store.keep_report(self._tally.report(self._bundle_version()))
            waiting = self._store.oldest_report()
        return waiting

    def _deliver(
        self, events: Sequence[Waiting], report: Waiting | None, now_s: float, timeout_s: float
    ) -> None:
        """Send a batch, or its parts where it is refused.

        Raises:
            _NotNow: the service cannot be reached, or cannot take it at this time.
            EventNotKept: what became of it cannot be written down.
        """
        posted = self._cloud.post_events(
            [event.body for event in events], report.body if report else None, timeout_s=timeout_s
        )
        if posted.outcome == "failed":
            raise _NotNow(posted.detail, posted.retry_after_s)
        if posted.outcome == "kept":
            if events:
                self._store.mark_sent(events, now_s=now_s)
            if report:
                self._store.drop_report(report)
        elif report and events:
            # Either may be at fault: a service of before there were reports refuses the field.
            self._deliver(events, None, now_s, timeout_s)
            self._deliver((), report, now_s, timeout_s)
        elif report:
            log.warning("the service refuses a report, which is dropped: %s", posted.detail)
            self._store.drop_report(report)
        elif len(events) > 1:
            middle = len(events) // 2
            self._deliver(events[:middle], None, now_s, timeout_s)
            self._deliver(events[middle:], None, now_s, timeout_s)
        else:
            log.warning("the service refuses an event, which is dropped: %s", posted.detail)
            self._store.drop(events[0])
            self._on_refused(events[0].body, posted.detail)

    def _backoff_s(self) -> float:
        longest_s = min(MAX_BACKOFF_S, FIRST_BACKOFF_S * 2.0 ** min(self.n_failures - 1, 30))
        return longest_s * self._rng.uniform(0.5, 1.0)


class _NotNow(Exception):
    """What waits stays.

    Args:
        detail: why.
        retry_after_s: when the service wants to be asked again; None: it does not say.
    """

    def __init__(self, detail: str, retry_after_s: float | None) -> None:
        super().__init__(detail)
        self.retry_after_s = retry_after_s
