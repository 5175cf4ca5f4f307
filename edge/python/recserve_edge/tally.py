"""What the operator is told of a device: who answered, why, how fast, and whether edge and cloud agree."""

import math
import threading
import uuid
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

from recserve_edge.request import ItemId

BUCKET_BASE = 1.2
MIN_BUCKET, MAX_BUCKET = -20, 60
MAX_ROWS = 200
"Of one report."
N_COMPARED = 10


class _Row(NamedTuple):
    by: str
    reason: str
    bucket: int


class Tally:
    """Counts answers and comparisons until they are reported; any thread may use it.

    Args:
        client_version: of this package.
    """

    def __init__(self, *, client_version: str) -> None:
        self._client_version = client_version
        self._lock = threading.Lock()
        self._answers: Counter[_Row] = Counter()
        self._n_compared = 0
        self._overlap_sum = 0.0
        self._n_identical = 0

    def count(self, by: str, reason: str, latency_ms: float) -> None:
        with self._lock:
            self._answers[_Row(by, reason, bucket_of(latency_ms))] += 1

    def compare(self, edge: Sequence[ItemId], cloud: Sequence[ItemId]) -> None:
        """Take the lists that edge and cloud answered the same request with."""
        edge, cloud = edge[:N_COMPARED], cloud[:N_COMPARED]
        longest = max(len(edge), len(cloud))
        with self._lock:
            self._n_compared += 1
            self._overlap_sum += len({*edge} & {*cloud}) / longest if longest else 1.0
            self._n_identical += list(edge) == list(cloud)

    def is_empty(self) -> bool:
        return not self._answers and not self._n_compared

    def report(self, bundle_version: str) -> dict[str, Any]:
        """What was counted since the report before, as the service reads it; counting begins anew.

        Rows beyond `MAX_ROWS` are left for the next report.
        """
        with self._lock:
            reported = self._answers.most_common(MAX_ROWS)
            for row, _ in reported:
                del self._answers[row]
            report: dict[str, Any] = {
                "report_id": str(uuid.uuid4()),
                "client": "python",
                "client_version": self._client_version,
                "bundle_version": bundle_version,
                "answers": [{**row._asdict(), "n": n} for row, n in reported],
            }
            if self._n_compared:
                report["comparisons"] = {
                    "n": self._n_compared,
                    "overlap_sum": round(self._overlap_sum, 6),
                    "n_identical": self._n_identical,
                }
            self._n_compared, self._overlap_sum, self._n_identical = 0, 0.0, 0
            return report


def bucket_of(latency_ms: float) -> int:
    """The b for which 1.2^(b-1) < latency <= 1.2^b, between -20 and 60."""
    if latency_ms <= 0:
        return MIN_BUCKET
    bucket = math.ceil(math.log(latency_ms) / math.log(BUCKET_BASE))
    return max(MIN_BUCKET, min(MAX_BUCKET, bucket))
