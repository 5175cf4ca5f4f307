"""What devices report of their own answers, added up before it is sent.

Every device tells the same few things, so reports of `SUM_FOR_S` seconds become one row for each combination of
them: what is sent, and paid for, grows with the combinations and not with the devices.
"""

from collections.abc import Iterator
from typing import NamedTuple

from msgspec import UNSET

from recserve.schemas import EdgeReport

SUM_FOR_S = 10.0
MOST_ROWS = 1000
"Of one sum. Versions come from devices, so anybody can invent them; what does not fit is of bundle `other`."
OTHER = "other"
BUCKET_RATIO = 1.2
"Of latencies: bucket b is (1.2^(b - 1), 1.2^b] ms."


class Answers(NamedTuple):
    """Answers of one kind."""

    client: str
    bundle: str
    by: str
    reason: str
    bucket: int

    @property
    def latency_ms(self) -> float:
        """The geometric middle of the bucket."""
        return float(BUCKET_RATIO ** (self.bucket - 0.5))


class Comparisons(NamedTuple):
    """Answers of devices beside the cloud's."""

    client: str
    bundle: str
    n: int
    overlap: float
    "Mean share of the cloud's list that was on the device's."
    n_identical: int


class DeviceTally:
    """Adds reports up.

    Args:
        now_s: on the clock of later calls.
    """

    def __init__(self, now_s: float) -> None:
        self._since_s = now_s
        self._answers: dict[Answers, int] = {}
        self._comparisons: dict[tuple[str, str], tuple[int, float, int]] = {}

    def add(self, report: EdgeReport) -> None:
        is_full = len(self._answers) + len(self._comparisons) >= MOST_ROWS
        bundle = OTHER if is_full else report.bundle_version
        for told in report.answers:
            kind = Answers(report.client, bundle, told.by, OTHER if is_full else told.reason, told.bucket)
            self._answers[kind] = self._answers.get(kind, 0) + told.n
        if report.comparisons is not UNSET:
            n, overlap_sum, n_identical = self._comparisons.get((report.client, bundle), (0, 0.0, 0))
            compared = report.comparisons
            self._comparisons[report.client, bundle] = (
                n + compared.n,
                overlap_sum + compared.overlap_sum,
                n_identical + compared.n_identical,
            )

    def is_due(self, now_s: float) -> bool:
        """Whether it is time to send the sums."""
        return now_s - self._since_s >= SUM_FOR_S

    def take(self, now_s: float) -> tuple[dict[Answers, int], list[Comparisons]]:
        """The sums, which begin anew: answers of each kind, and comparisons."""
        answers, comparisons = self._answers, list(self._rows_of_comparisons())
        self._since_s, self._answers, self._comparisons = now_s, {}, {}
        return answers, comparisons

    def _rows_of_comparisons(self) -> Iterator[Comparisons]:
        for (client, bundle), (n, overlap_sum, n_identical) in self._comparisons.items():
            yield Comparisons(client, bundle, n, min(1.0, overlap_sum / n), n_identical)
