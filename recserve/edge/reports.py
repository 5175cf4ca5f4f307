"""What devices tell of their own answers, each report once."""

from collections import OrderedDict
from collections.abc import Callable
from time import monotonic

REMEMBERED_S = 3600.0
"A device that got no answer sends its report again within this time."
MOST_REPORTS = 10_000
"About 1 MB."


class EdgeReports:
    """Remembers which reports have come to this process.

    A device that tries again may meet another process; what it tells is then counted twice.

    Args:
        clock: monotonic, in seconds.
    """

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._seen: OrderedDict[str, float] = OrderedDict()
        "When each came, oldest first."

    def is_first(self, report_id: str) -> bool:
        """Whether this report has not come in the last hour; it has from here on."""
        now_s = self._clock()
        while self._seen and self._is_over(next(iter(self._seen.values())), now_s):
            self._seen.popitem(last=False)
        if report_id in self._seen:
            return False
        self._seen[report_id] = now_s
        return True

    def _is_over(self, came_s: float, now_s: float) -> bool:
        return now_s - came_s > REMEMBERED_S or len(self._seen) >= MOST_REPORTS
