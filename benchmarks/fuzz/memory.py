"""What worker and host hold of memory while requests come, and whether that grows."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

SETTLED_SHARE = 0.25
"Of the samples, at the beginning: caches fill and libraries are imported."
FLAT_SHARE = 0.02
"What the line through the others may rise, of the first quarter's median, and still count as flat."


@dataclass(frozen=True, slots=True)
class Sample:
    n_requests: int
    "So far."
    app_mib: float
    "Resident, after a collection of garbage."
    host_mib: float


def sample_memory(n_requests: int, *, app_pid: int, host_pid: int) -> Sample:
    return Sample(n_requests, rss_mib(app_pid), rss_mib(host_pid))


def rss_mib(pid: int) -> float:
    """Resident memory of a process; 0 if it has ended."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except OSError:
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def growth(samples: Sequence[Sample]) -> dict[str, Any]:
    """Medians by quarter, and the slope of a line through all samples, once things have settled."""
    settled = samples[int(len(samples) * SETTLED_SHARE) :]
    told: dict[str, Any] = {
        "settled_after": settled[0].n_requests,
        "samples": [[each.n_requests, round(each.app_mib, 1), round(each.host_mib, 1)] for each in samples],
    }
    thousands = [each.n_requests / 1000 for each in settled]
    for name in ("app", "host"):
        values = np.array([getattr(each, f"{name}_mib") for each in settled])
        quarters = [float(np.median(quarter)) for quarter in np.array_split(values, 4) if len(quarter)]
        slope = float(np.polyfit(thousands, values, 1)[0]) if len(settled) > 1 else 0.0
        told[name] = {
            "at_first_mib": round(getattr(samples[0], f"{name}_mib"), 1),
            "quarters_mib": [round(quarter, 1) for quarter in quarters],
            "mib_per_1000_requests": round(slope, 3),
            "is_flat": slope * (thousands[-1] - thousands[0]) <= quarters[0] * FLAT_SHARE,
        }
    return told
