"""Logarithmic axes that begin and end at 1, 2 or 5 of a decade, close around their values."""

import math

import numpy as np
from numpy.typing import NDArray

from console.charts.base import Spec, value_axis
from console.palette import Palette

STEPS = (1, 2, 5)
ROOM = 1.12
"Between the outermost values and the ends of the axis, as a factor."


def log_axis(palette: Palette, values: NDArray[np.float64], *also: float) -> Spec:
    """An axis around the positive values, and around others that must be on it, such as a promise."""
    known = np.append(values[np.isfinite(values) & (values > 0)], also)
    low, high = (float(known.min()), float(known.max())) if len(known) else (1.0, 10.0)
    return value_axis(palette, is_log=True) | {"min": step_below(low / ROOM), "max": step_above(high * ROOM)}


def step_below(value: float) -> float:
    """The next of 1, 2, 5, 10, ... at a positive value or below."""
    decade = 10.0 ** np.floor(np.log10(value))
    step = max(step for step in STEPS if step * decade <= value * (1 + 1e-9))
    return float(f"{step * decade:.3g}")


def step_above(value: float) -> float:
    """The next of 1, 2, 5, 10, ... at a positive value or above."""
    decade = 10.0 ** np.floor(np.log10(value))
    step = min(step for step in (*STEPS, 10) if step * decade >= value * (1 - 1e-9))
    return float(f"{step * decade:.3g}")


def ticks_between(low: float, high: float) -> list[float]:
    """Round numbers for a log axis: 1, 2, 5, 10 and so on, or powers of ten over more than four decades."""
    steps = STEPS if math.log10(high / low) <= 4 else (1,)
    exponents = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    return [step * 10.0**e for e in exponents for step in steps if low <= step * 10.0**e <= high]
