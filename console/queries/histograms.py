"""Figures of latency histograms with buckets of equal ratio, as the queries answer them.

Bucket b holds what took longer than growth^(b - 1) and not longer than growth^b milliseconds. Counts of any
windows, variants or instances add up, and percentiles of the sum are percentiles of all.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]


def counts_by_bucket(rows: Iterable[Row]) -> dict[int, int]:
    """Requests by bucket, added up over rows with `bucket` and `n_requests`; in the order of the buckets."""
    counts: Counter[int] = Counter()
    for row in rows:
        counts[int(row["bucket"])] += int(row["n_requests"])
    return dict(sorted(counts.items()))


def bucket_limits_ms(bucket: int, *, growth: float) -> tuple[float, float]:
    """Above which latency a bucket begins, and up to which it goes."""
    return growth ** (bucket - 1), growth**bucket


def percentile_ms(rows: Iterable[Row], share: float, *, growth: float) -> float | None:
    """The latency that a share of the requests stay within; the middle of its bucket.

    Args:
        share: such as 0.99.

    Returns:
        None where there are no requests.
    """
    counts = counts_by_bucket(rows)
    wanted, n_up_to = share * sum(counts.values()), 0
    for bucket, n in counts.items():
        n_up_to += n
        if n_up_to >= wanted:
            return float(growth ** (bucket - 0.5))
    return None


def mean_over_band(
    rows: Iterable[Row], columns: Sequence[str], *, from_share: float, to_share: float
) -> dict[str, float]:
    """Means of columns over the requests between two percentiles; a bucket on the edge counts in part.

    Args:
        rows: of `phases_by_latency`: means by bucket.
        columns: such as `queue_ms`.
        from_share: such as 0.99, for what is slower than 99 % of the requests.
        to_share: such as 1.

    Returns:
        Nothing where there are no requests.
    """
    ordered = sorted(rows, key=lambda row: int(row["bucket"]))
    n_all = sum(row["n_requests"] for row in ordered)
    sums, weight_sum, n_below = dict.fromkeys(columns, 0.0), 0.0, 0
    for row in ordered:
        n = row["n_requests"]
        weight = min(n_below + n, to_share * n_all) - max(n_below, from_share * n_all)
        n_below += n
        if weight <= 0:
            continue
        weight_sum += weight
        for column in columns:
            sums[column] += weight * (row[column] or 0.0)
    return {column: total / weight_sum for column, total in sums.items()} if weight_sum else {}
