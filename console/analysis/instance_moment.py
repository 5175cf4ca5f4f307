"""How an instance was at a moment, against the minutes around it."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from console.telemetry import Table

FEWEST_MINUTES = 5
"Below so many others, nobody can say what is normal."
SAMPLED_FOR = timedelta(minutes=1)
"Metrics are sent once a minute, dated with its end."


@dataclass(frozen=True, slots=True)
class Reading:
    """One figure of an instance at a moment, against the rest of the time around it."""

    now: float
    normal: float
    "Median of the other minutes; NaN where there are none."
    rank: float
    "Share of the other minutes that were lower."
    n_others: int
    before: tuple[float, ...]
    "By minute, oldest first, up to the moment."

    @property
    def is_unusual(self) -> bool:
        """Higher than nearly ever, and by half at least."""
        return (
            self.n_others >= FEWEST_MINUTES and self.rank >= 0.95 and self.now > 1.5 * max(self.normal, 1e-9)
        )


def read_moment_of(table: Table, column: str, began: datetime, ended: datetime) -> Reading | None:
    """A column of one instance's minutes at the operation; None where its minute is not there.

    Args:
        table: with `interval_start`, a minute each.
    """
    if not table.n_rows:
        return None
    starts, values = table["interval_start"], table[column]
    first = np.datetime64(began.replace(tzinfo=None, second=0, microsecond=0), "us")
    last = np.datetime64((ended + SAMPLED_FOR).replace(tzinfo=None), "us")
    is_known = np.isfinite(values)
    is_then = (starts >= first) & (starts <= last) & is_known
    if not is_then.any():
        return None
    others = values[is_known & ~is_then]
    now = float(values[is_then].max())
    before = values[is_known & (starts <= last)]
    return Reading(
        now,
        float(np.median(others)) if len(others) else float("nan"),
        float((others < now).mean()) if len(others) else float("nan"),
        len(others),
        tuple(before[-30:].tolist()),
    )
