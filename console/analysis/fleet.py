"""How many instances there were, by when each was seen first and last."""

from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from console.telemetry import Table

HEARTBEAT = timedelta(minutes=1)
"What an instance says of itself arrives so often, and stands for the time before it."

LOOKS = 20
"At so many moments of each stretch."


def instances_over_time(
    instances: Table, since: datetime, until: datetime, *, n_points: int = 60
) -> NDArray[np.float64]:
    """How many were there at once in each of so many stretches of a range, (n_points,); empty where none was seen.

    The last stretch ends where the newest instance was last seen, if that is before the end of the range.

    Args:
        instances: the answer to `instances`.
    """
    if not instances.n_rows:
        return np.empty(0)
    beat = np.timedelta64(HEARTBEAT)
    starts, ends = instances["first_seen"] - beat, instances["last_seen"]
    first, last = (np.datetime64(at.astimezone(UTC).replace(tzinfo=None), "us") for at in (since, until))
    first, last = max(first, instances["first_seen"].min()), min(last, ends.max())
    moments = np.linspace(first.astype(np.int64), last.astype(np.int64), n_points * LOOKS).astype(
        "datetime64[us]"
    )
    is_there = (starts[:, None] <= moments) & (moments <= ends[:, None] + beat)
    most: NDArray[np.float64] = is_there.sum(axis=0).reshape(n_points, LOOKS).max(axis=1).astype(float)
    return most
