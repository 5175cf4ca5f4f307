"""When requests arrive: schedules drawn once, before the load starts.

All are seconds from the start, ascending, (n_arrivals,).
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

DISPLACED_S = 5.0
"How far, at most, the copies of a replayed arrival stand from it."


class Phase(NamedTuple):
    """A stretch of time with one mean rate."""

    rate_per_s: float
    duration_s: float


class State(NamedTuple):
    """One state of a modulated process."""

    rate_per_s: float
    holding_s: float
    "How long it lasts, on average."


def poisson(phases: Sequence[Phase], rng: np.random.Generator) -> NDArray[np.float64]:
    """Arrivals of a Poisson process whose rate changes from phase to phase.

    Given their number, the arrivals of a Poisson process are independent and uniform: each phase draws
    its number, then their places.

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


def bursty(calm: State, burst: State, *, duration_s: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Arrivals of a Markov-modulated Poisson process with two states (MMPP-2).

    Holding times are exponential; the first state is drawn with the share of time that each has in the
    long run, which makes the mean rate the same at every instant.

    Raises:
        ValueError: a rate is negative, or a holding time not above 0.
    """
    if not (0 < calm.holding_s < np.inf and 0 < burst.holding_s < np.inf):
        raise ValueError(f"{calm}, {burst}: mean holding times must be finite and above 0")
    is_burst = rng.random() < burst.holding_s / (calm.holding_s + burst.holding_s)
    phases, left_s = [], duration_s
    while left_s > 0:
        state = burst if is_burst else calm
        phases.append(Phase(state.rate_per_s, min(float(rng.exponential(state.holding_s)), left_s)))
        left_s -= phases[-1].duration_s
        is_burst = not is_burst
    return poisson(phases, rng)


def around_mean(
    rate_per_s: float, *, burst_over_calm: float, calm_s: float, burst_s: float
) -> tuple[State, State]:
    """The calm and the burst state of a process with this mean rate and this ratio of its two rates."""
    calm_rate_per_s = rate_per_s * (calm_s + burst_s) / (calm_s + burst_s * burst_over_calm)
    return State(calm_rate_per_s, calm_s), State(calm_rate_per_s * burst_over_calm, burst_s)


def diurnal(
    rate_per_s: float,
    *,
    peak_over_trough: float,
    period_s: float,
    duration_s: float,
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """Arrivals of a Poisson process whose rate is a cosine: a day, from trough over peak to trough.

    The rate at t is `rate_per_s` x (1 - a cos(2 pi t / period_s)), a = (ratio - 1) / (ratio + 1).
    Arrivals of a process with the peak's rate are kept with probability rate(t) / peak (Lewis and Shedler 1979).

    Raises:
        ValueError: the ratio is below 1, the period not above 0, or the rate negative.
    """
    if not (1 <= peak_over_trough < np.inf and 0 < period_s < np.inf):
        raise ValueError(
            f"a ratio of {peak_over_trough} or a period of {period_s} s: send at least 1, and above 0"
        )
    amplitude = (peak_over_trough - 1) / (peak_over_trough + 1)
    arrivals_s = poisson([Phase(rate_per_s * (1 + amplitude), duration_s)], rng)
    share = (1 - amplitude * np.cos(2 * np.pi * arrivals_s / period_s)) / (1 + amplitude)
    return arrivals_s[rng.random(len(arrivals_s)) < share]


def replay(
    recorded_s: NDArray[np.float64],
    *,
    speed: float = 1.0,
    rate_per_s: float | None = None,
    duration_s: float | None = None,
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """Recorded arrivals again: exactly, or faster, or at another rate, for as long as wished.

    In this order: time is divided by `speed`; the recording is repeated, one mean gap after its last
    arrival, until `duration_s`; then the mean rate is brought to `rate_per_s`. Below the recording's own
    rate each arrival stays with the same probability (thinning). Above it the recording stays as it is and
    is superposed with copies of itself, the last of them thinned, whose arrivals are displaced by up to
    `DISPLACED_S` either way: as if more people had used the service in those minutes. What the rate does
    over longer spells is kept; spikes shorter than that are smoothed in the copies.

    Args:
        recorded_s: seconds from the first arrival, ascending, (n_recorded,); at least one.
        speed: 2 replays an hour in half an hour.
        rate_per_s: mean rate wanted; None keeps the recording's, times `speed`.
        duration_s: None replays the recording once.
        rng: draws what stays, and how far copies are displaced.

    Raises:
        ValueError: `speed` is not above 0, the rate is negative, or a single arrival is to be repeated.
    """
    if not 0 < speed < np.inf:
        raise ValueError(f"a speed of {speed}: send a number above 0; 2 is twice as fast")
    if rate_per_s is not None and not 0 <= rate_per_s < np.inf:
        raise ValueError(f"a rate of {rate_per_s}: send 0 or more arrivals a second")
    arrivals_s = recorded_s / speed
    period_s = _period_s(arrivals_s)
    if duration_s is not None:
        arrivals_s = _repeat(arrivals_s, period_s, duration_s)
    length_s = period_s if duration_s is None else duration_s
    if rate_per_s is None or not len(arrivals_s):
        return arrivals_s
    return _at_rate(arrivals_s, rate_per_s, length_s, rng)


def _period_s(arrivals_s: NDArray[np.float64]) -> float:
    """From one beginning of the recording to the next."""
    n_gaps = len(arrivals_s) - 1
    return float(arrivals_s[-1] * (n_gaps + 1) / n_gaps) if n_gaps else 0.0


def _repeat(arrivals_s: NDArray[np.float64], period_s: float, duration_s: float) -> NDArray[np.float64]:
    if duration_s <= arrivals_s[-1]:
        return arrivals_s[arrivals_s < duration_s]
    if not period_s:
        raise ValueError(
            f"all {len(arrivals_s)} arrivals of the trace are at one instant, which cannot be repeated for "
            f"{duration_s:g} s; name a longer trace, or no duration"
        )
    starts_s = np.arange(0, duration_s, period_s)
    repeated_s = (starts_s[:, None] + arrivals_s).ravel()
    return repeated_s[repeated_s < duration_s]


def _at_rate(
    arrivals_s: NDArray[np.float64], rate_per_s: float, length_s: float, rng: np.random.Generator
) -> NDArray[np.float64]:
    if not length_s:
        raise ValueError("arrivals at one instant have no rate that could be changed; name a longer trace")
    factor = rate_per_s * length_s / len(arrivals_s)
    if factor <= 1:
        return arrivals_s[rng.random(len(arrivals_s)) < factor]
    n_whole, part = divmod(factor - 1, 1)
    copies = np.full(len(arrivals_s), int(n_whole)) + (rng.random(len(arrivals_s)) < part)
    copied_s = np.repeat(arrivals_s, copies)
    displaced_s = copied_s + rng.uniform(-DISPLACED_S, DISPLACED_S, len(copied_s))
    return np.sort(np.concatenate([arrivals_s, displaced_s % length_s]))
