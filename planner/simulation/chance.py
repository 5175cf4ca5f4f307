"""Chance as a function: the n-th number of a stream, whoever asks for it and when.

What request 17 draws for its overhead depends on the seed alone, and not on the plan, so that plans are compared
under the same luck (common random numbers), and the difference of two needs fewer seeds than either.

The numbers are those of SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators",
OOPSLA 2014), whose n-th output is a mix of key + n * gamma; the keys of the streams are drawn from numpy's generator.
"""

import numpy as np
from numpy.typing import NDArray

from planner.simulation.compiled import compiled

OVERHEAD, SHEDDING, RUNG, RUN, COLD_START = range(5)
"Streams: by request the first three, by run and by instance the others."
N_STREAMS = 5

GAMMA = np.uint64(0x9E3779B97F4A7C15)
MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
MIX_2 = np.uint64(0x94D049BB133111EB)
S30, S27, S31, S11 = np.uint64(30), np.uint64(27), np.uint64(31), np.uint64(11)


def keys_of(rng: np.random.Generator) -> NDArray[np.uint64]:
    """Keys of all streams."""
    return rng.integers(0, 2**64, N_STREAMS, np.uint64)


@compiled
def uniform(keys: NDArray[np.uint64], stream: int, index: int) -> float:
    """A number of [0, 1)."""
    z = keys[stream] + np.uint64(index) * GAMMA
    z = (z ^ (z >> S30)) * MIX_1
    z = (z ^ (z >> S27)) * MIX_2
    z = z ^ (z >> S31)
    return float(z >> S11) * 2.0**-53


@compiled
def draw(quantiles: NDArray[np.float64], first: int, n: int, u: float) -> float:
    """The value of a distribution at a probability.

    Args:
        quantiles: of many distributions, one after the other.
        first: where those of this one begin.
        n: how many it has, at evenly spaced probabilities.
        u: in [0, 1).
    """
    if n == 1:
        return float(quantiles[first])
    place = u * (n - 1)
    low = int(place)
    below = quantiles[first + low]
    return float(below + (place - low) * (quantiles[first + low + 1] - below))
