"""At how many requests in flight does latency break? A line with one bend, and how sure its place is.

The model is continuous, linear on both sides of the knee, in the logarithm of latency, whose noise is a factor:

    log latency = base + before * x + extra * max(0, x - knee)

It is fitted to the weighted median of the points at each level of load, so that minutes in which latency had other
reasons, such as a slow store, do not bend it. For each candidate of the knee the rest is least squares, so the best
candidate is found by trying them all; only bends upwards count. The interval is the bootstrap's over moments, whose
instances stay together, since what befalls one minute befalls all of them; moments beside each other are alike too,
which makes it somewhat too narrow. It is widened over stretches without points.
"""

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FEWEST_POINTS = 16
FEWEST_REQUESTS = 100
"A 99th percentile of fewer is their maximum."
FEWEST_ON_A_SIDE = 2
"Levels, below and above the knee."
HEAVIEST = 1000.0
"A point weighs as many requests as it stands for, up to this: the noise between two minutes does not vanish with many."
N_LEVELS = 28
"Levels of load, of equal width over the range of the points."
FEWEST_LEVELS = 5
N_CANDIDATES = 48
N_RESAMPLES = 200
LEAST_SPREAD = 1.5
"Most in flight to least: a narrower range shows no shape."
LEAST_EVIDENCE = 10.0
"By which the bend must beat a straight line in the Bayesian information criterion; 10 is called very strong."
LEAST_RISE = 1.25
"Latency at the most in flight to that at the knee: a smaller rise breaks nothing."
LEAST_AGREEMENT = 0.9
"Share of the resamples in which latency bends upwards."
WIDEST = 0.6
"Width of the interval, of the range of the points: a wider one has not found the knee."
EMPTY, NEAR = 0.2, 0.1
"Of the range of the points: a stretch without any that is wider than the first, and as near to the knee as the second."
NEAR_TOP = 0.9
"Of the rise of latency, in its logarithm."
JUMP = 2.0
"Latency above a stretch without points to that below it, from which on it breaks somewhere in between."
SPARSE = "too few points lie between light and heavy load"

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Knee:
    """Where latency begins to rise."""

    in_flight: float
    low: float
    high: float
    "In 95 % of the resamples the knee is between them."
    latency_ms: float
    "At the knee, by the fitted line."
    before: float
    after: float
    "Of the logarithm of latency, per request in flight, below the knee and above it."
    n_points: int

    def latency_ms_at(self, in_flight: Floats) -> Floats:
        """The fitted line."""
        distance = np.asarray(in_flight, dtype=float) - self.in_flight
        slope = np.where(distance > 0, self.after, self.before)
        return np.asarray(self.latency_ms * np.exp(slope * distance), dtype=float)

    def in_flight_at(self, latency_ms: float) -> float | None:
        """At how many in flight the line above the knee passes a latency; None if it has by then."""
        if latency_ms < self.latency_ms:
            return None
        return float(self.in_flight + np.log(latency_ms / self.latency_ms) / self.after)


@dataclass(frozen=True, slots=True)
class NoKnee:
    """Why there is none, as a sentence."""

    reason: str
    low: float | None = None
    "With `high`, where latency does break, though the points do not tell at which number between them."
    high: float | None = None


def find_knee(
    in_flight: Floats,
    latency_ms: Floats,
    n_requests: Floats,
    *,
    moments: NDArray[np.generic],
    rng: np.random.Generator,
) -> Knee | NoKnee:
    """Fit the line and say where it bends, or why the points do not show that.

    Args:
        in_flight: mean of each point, (n,).
        latency_ms: such as the 99th percentile, (n,).
        n_requests: that the point stands for, (n,); points of fewer than `FEWEST_REQUESTS` are left out.
        moments: when, (n,); points of one moment are resampled together.
        rng: draws the resamples.
    """
    usable = (n_requests >= FEWEST_REQUESTS) & (latency_ms > 0) & np.isfinite(in_flight)
    x, y, moments = in_flight[usable], np.log(latency_ms[usable]), moments[usable]
    weights = np.minimum(n_requests[usable], HEAVIEST) / HEAVIEST
    if len(x) < FEWEST_POINTS:
        return NoKnee(
            f"a knee needs {FEWEST_POINTS} points of {FEWEST_REQUESTS} requests or more, and there are {len(x)}"
        )
    low, high = float(x.min()), float(x.max())
    if high < LEAST_SPREAD * max(low, 0.1) or high - low < 1:
        return NoKnee(f"load hardly varied: {low:.2g} to {high:.2g} requests were in flight")
    levels = np.minimum(((x - low) / (high - low) * N_LEVELS).astype(int), N_LEVELS - 1)
    _, levels = np.unique(levels, return_inverse=True)
    centres = np.bincount(levels, weights * x) / np.bincount(levels, weights)
    medians, shares = _medians(y, levels, weights[None, :])
    rising = slice(0, _top(medians[0]) + 1)
    centres = centres[rising]
    if len(centres) == 1:
        return NoKnee("latency is highest under the lightest load")
    jump = _jump(centres, medians[0][rising])
    if len(centres) < FEWEST_LEVELS:
        return (
            NoKnee(SPARSE, *jump)
            if jump
            else NoKnee(
                f"a knee needs {FEWEST_LEVELS} levels of load up to where latency is highest; there are {len(centres)}"
            )
        )
    candidates = np.unique(
        np.linspace(centres[FEWEST_ON_A_SIDE - 1], centres[-FEWEST_ON_A_SIDE], N_CANDIDATES)
    )

    medians, shares = medians[:, rising], shares[:, rising]
    errors, slopes, bases = _fit(centres, medians, shares, candidates)
    is_upward = (slopes[:, :, 1] > 0) & (slopes.sum(axis=2) > 0)
    if not is_upward[:, 0].any():
        said = "latency does not rise faster at the high end than at the low one"
        return NoKnee(SPARSE, *jump) if jump else NoKnee(said)
    best = int(np.argmin(np.where(is_upward, errors, np.inf)[:, 0]))
    knee, (before, extra), base = float(candidates[best]), slopes[best, 0], float(bases[best, 0])
    if _evidence(centres, medians[0], shares[0], float(errors[best, 0])) < LEAST_EVIDENCE:
        return NoKnee(SPARSE, *jump) if jump else NoKnee("a straight line fits as well as one with a bend")
    rise = float(np.exp((before + extra) * (high - knee)))
    if rise < LEAST_RISE:
        return NoKnee(
            f"above the bend latency rises by {rise - 1:.0%} only: the load never reached where it breaks"
        )

    _, numbers = np.unique(moments, return_inverse=True)
    drawn = rng.multinomial(
        numbers.max() + 1, np.full(numbers.max() + 1, 1 / (numbers.max() + 1)), N_RESAMPLES
    )
    medians, shares = _medians(y, levels, weights * drawn[:, numbers])
    errors, slopes, _ = _fit(centres, medians[:, rising], shares[:, rising], candidates)
    is_upward = (slopes[:, :, 1] > 0) & (slopes.sum(axis=2) > 0)
    places = np.argmin(np.where(is_upward, errors, np.inf), axis=0)
    upward = is_upward.any(axis=0)
    if upward.mean() < LEAST_AGREEMENT:
        return NoKnee(f"{1 - upward.mean():.0%} of resamples of the points show no bend upwards")
    ends = np.percentile(candidates[places[upward]], [2.5, 97.5])
    interval_low, interval_high = _out_to_points(x, min(ends[0], knee), max(ends[1], knee))
    if interval_high - interval_low > WIDEST * (high - low):
        return NoKnee(SPARSE, interval_low, interval_high)
    return Knee(
        in_flight=knee,
        low=interval_low,
        high=interval_high,
        latency_ms=float(np.exp(base + before * knee)),
        before=float(before),
        after=float(before + extra),
        n_points=len(x),
    )


def _out_to_points(x: Floats, low: float, high: float) -> tuple[float, float]:
    """An interval that ends at points, and holds any wide stretch without points that it comes near.

    Where nothing was seen, only the model says where the knee is, and the model is not the truth.
    """
    ordered = np.unique(x)
    low, high = float(x[x <= low].max(initial=x.min())), float(x[x >= high].min(initial=x.max()))
    reach = np.ptp(ordered)
    for begin, end in itertools.pairwise(ordered.tolist()):
        if end - begin > EMPTY * reach and begin <= high + NEAR * reach and end >= low - NEAR * reach:
            low, high = min(low, begin), max(high, end)
    return low, high


def _top(medians: Floats) -> int:
    """The first level at which latency is near its most.

    What lies beyond says nothing of where latency breaks: it levels off where the limiter holds it.
    """
    low, high = float(medians.min()), float(medians.max())
    return int(np.argmax(medians >= low + NEAR_TOP * (high - low)))


def _jump(x: Floats, y: Floats) -> tuple[float, float] | None:
    """The first wide stretch without levels behind which latency is another one."""
    for last in np.flatnonzero(np.diff(x) > EMPTY * np.ptp(x)).tolist():
        if np.median(y[last + 1 :]) - np.median(y[: last + 1]) > np.log(JUMP):
            return float(x[last]), float(x[last + 1])
    return None


def _medians(y: Floats, levels: NDArray[np.intp], weights: Floats) -> tuple[Floats, Floats]:
    """Weighted medians at each level for each row of weights, and the levels' own weights.

    Args:
        weights: (n_fits, n).

    Returns:
        Both (n_fits, n_levels). A level's weight is the root of its points': twenty minutes at one level tell more
        than one does, and not twenty times as much.
    """
    n_levels = int(levels.max()) + 1
    medians, shares = np.zeros((len(weights), n_levels)), np.zeros((len(weights), n_levels))
    for level in range(n_levels):
        places = np.flatnonzero(levels == level)
        ordered = places[np.argsort(y[places])]
        reached = np.cumsum(weights[:, ordered], axis=1)
        medians[:, level] = y[ordered][np.argmax(reached >= reached[:, -1:] / 2, axis=1)]
        shares[:, level] = np.sqrt(reached[:, -1])
    return medians, shares


def _fit(x: Floats, y: Floats, weights: Floats, candidates: Floats) -> tuple[Floats, Floats, Floats]:
    """Weighted least squares for each candidate and each row of values and weights.

    Args:
        x: (n,).
        y: (n_fits, n).
        weights: (n_fits, n).

    Returns:
        Sums of squared errors (n_candidates, n_fits); slopes before and extra (n_candidates, n_fits, 2); bases
        (n_candidates, n_fits).
    """
    errors = np.empty((len(candidates), len(weights)))
    slopes = np.empty((len(candidates), len(weights), 2))
    bases = np.empty((len(candidates), len(weights)))
    squares = np.sum(weights * y * y, axis=1)
    for place, knee in enumerate(candidates):
        design = np.stack([np.ones_like(x), x, np.maximum(x - knee, 0.0)], axis=1)
        products = (design[:, :, None] * design[:, None, :]).reshape(len(x), 9)
        matrices = (weights @ products).reshape(-1, 3, 3)
        # Resamples may lack one side of the knee; the ridge keeps those solvable, and changes no other.
        matrices += np.eye(3) * (1e-9 * np.trace(matrices, axis1=1, axis2=2)[:, None, None] + 1e-12)
        targets = (weights * y) @ design
        found = np.linalg.solve(matrices, targets[:, :, None])[:, :, 0]
        errors[place] = squares - np.sum(found * targets, axis=1)
        slopes[place] = found[:, 1:]
        bases[place] = found[:, 0]
    return errors, slopes, bases


def _evidence(x: Floats, y: Floats, weights: Floats, bent_error: float) -> float:
    """By how much a bend, two parameters more, improves the Bayesian information criterion over a straight line."""
    design = np.stack([np.ones_like(x), x], axis=1) * np.sqrt(weights)[:, None]
    target = y * np.sqrt(weights)
    found, *_ = np.linalg.lstsq(design, target, rcond=None)
    straight_error = float(np.sum((target - design @ found) ** 2))
    n = len(x)
    smallest = 1e-12 * max(float(target @ target), 1e-12)
    return n * float(np.log(max(straight_error, smallest) / max(bent_error, smallest))) - 2 * float(np.log(n))
