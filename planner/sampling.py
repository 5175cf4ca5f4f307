"""Too many arrivals to search with: some stretches of them, spread evenly, the busiest among them, stand for all.

A search simulates its arrivals some hundred times. Beyond `MOST` every k-th stretch of `STRETCH_S` (shorter where
there would be fewer than `LEAST_STRETCHES`) is kept and put behind the one before, so that the hours of a day keep
their shares. Where stretches meet the rate jumps by what it changed in between, and nobody knows the hour any more:
a sample has no period.
"""

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from planner.traffic import Traffic

MOST = 1_000_000
"Arrivals that a search simulates, at most: about two thirds of a second each time."
STRETCH_S = 900.0
LEAST_STRETCHES = 4


def sample_of(traffic: Traffic, *, seed: int, most: int = MOST) -> Traffic:
    """The traffic, or a sample of it where it has too many arrivals, which tells what it leaves out.

    Args:
        seed: of the arrivals that tell the busiest stretch.
        most: arrivals that are not too many.
    """
    arrivals_s = traffic.arrivals_s(seed=seed)
    every = math.ceil(len(arrivals_s) / most)
    if every == 1:
        return traffic
    stretch_s = min(STRETCH_S, traffic.duration_s / (LEAST_STRETCHES * every))
    n_stretches = int(traffic.duration_s / stretch_s)
    counts = np.histogram(arrivals_s, n_stretches, (0, n_stretches * stretch_s))[0]
    first = int(counts.argmax()) % every
    n_kept = len(range(first, n_stretches, every))

    def draw(rng: np.random.Generator, factor: float) -> NDArray[np.float64]:
        return keep_stretches(traffic.draw(rng, factor), stretch_s, first=first, every=every, n=n_kept)

    left_out = (
        f"{len(arrivals_s):,} arrivals are more than {most:,}: {n_kept} stretches of {stretch_s:g} s stand for "
        f"all {traffic.duration_s:g} s, every {every}th, the busiest among them; hours are not planned"
    )
    return replace(traffic, duration_s=n_kept * stretch_s, period_s=None, draw=draw, left_out=left_out)


def keep_stretches(
    arrivals_s: NDArray[np.float64], stretch_s: float, *, first: int, every: int, n: int
) -> NDArray[np.float64]:
    """Arrivals of so many stretches, from the first on every so many, one behind the other."""
    number = (arrivals_s // stretch_s).astype(np.int64)
    place = (number - first) // every
    is_kept = ((number - first) % every == 0) & (number >= first) & (place < n)
    kept_s: NDArray[np.float64] = (arrivals_s - (number - place) * stretch_s)[is_kept]
    return kept_s
