"""When requests arrive: schedules drawn once, before the load starts."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Phase(NamedTuple):
    """A stretch of time with one mean rate."""

    rate_per_s: float
    duration_s: float


def poisson(phases: Sequence[Phase], rng: np.random.Generator) -> NDArray[np.float64]:
    """Arrivals of a Poisson process whose rate changes from phase to phase.

    Given their number, the arrivals of a Poisson process are independent and uniform: each phase draws
    its number, then their places.

    Returns:
        Seconds from the start, ascending, (n_arrivals,).

    Raises:
        ValueError: a rate or a duration is negative or not finite.
    """
    arrivals, start_s = [], 0.0
    for phase in phases:
        if not (0 <= phase.rate_per_s < np.inf and 0 <= phase.duration_s < np.inf):
            raise ValueError(f"{phase}: rate and duration must be finite and not negative")
        n_arrivals = rng.poisson(phase.rate_per_s * phase.duration_s)
        arrivals.append(start_s + np.sort(rng.random(n_arrivals)) * phase.duration_s)
        start_s += phase.duration_s
    return np.concatenate(arrivals) if arrivals else np.empty(0)
