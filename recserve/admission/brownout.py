"""Answer from a cheaper rung of the ladder before refusing: a dimmer, moved by pressure."""

import math
from typing import NamedTuple

from recserve.admission.priority import Priority

MAX_STEP_S = 0.05
"A reading of the pressure holds until the next one, at most this long; a longer silence is a calm."


class DimmerGains(NamedTuple):
    """What a dimmer is set to; units are those of `Dimmer`."""

    last: int
    "Number of the last rung."
    rise_at: float = 0.75
    fall_at: float = 0.4
    rise_per_s: float = 4.0
    fall_per_s: float = 1.5


def move(level: float, pressure: float, elapsed_s: float, gains: DimmerGains) -> float:
    """The level after some time, at the pressure that was read when it began: the rule of `Dimmer`.

    A function of numbers alone, which the simulator compiles.
    """
    held_s = min(elapsed_s, MAX_STEP_S)
    if pressure > gains.rise_at:
        level = min(float(gains.last), level + gains.rise_per_s * held_s)
    elif pressure < gains.fall_at:
        level -= gains.fall_per_s * held_s
    return max(0.0, level - gains.fall_per_s * (elapsed_s - held_s))


class Dimmer:
    """How far down the ladder requests go, as a number d in [0, n_rungs - 1].

    Its whole part is a rung, its fraction the share of requests that takes the next one. It moves with
    time, not with the number of requests:

        pressure > rise_at:  d rises by rise_per_s
        pressure < fall_at:  d falls by fall_per_s
        in between:          d stays

    so that pressure, which falls as cheaper answers are given, settles between the two without flapping.
    The dimmer is that of brownout (Klein et al., "Brownout: building more robust cloud applications", ICSE
    2014), there driven by response times.

    It misbehaves when cheaper rungs are not cheaper: pressure stays, and everybody is at the last rung.

    Args:
        n_rungs: variants on the ladder.
        rise_at: pressure over which it rises. Below 1, where refusals begin; infinity turns it off.
        fall_at: pressure under which it falls, less than `rise_at`.
        rise_per_s: rungs a second, fast: every moment too late is a refusal.
        fall_per_s: rungs a second, slow: falling too early brings the pressure back.
    """

    __slots__ = ("_at_s", "_gains", "_pressure", "level")

    def __init__(
        self,
        n_rungs: int,
        *,
        rise_at: float = 0.75,
        fall_at: float = 0.4,
        rise_per_s: float = 4.0,
        fall_per_s: float = 1.5,
    ) -> None:
        if n_rungs < 1:
            raise ValueError("a ladder without rungs; it needs at least one variant")
        if not (rise_per_s > 0 and fall_per_s > 0):
            raise ValueError(f"rates of {rise_per_s} and {fall_per_s} rungs a second; both must be positive")
        if not fall_at < rise_at:
            raise ValueError(f"falls at {fall_at}, rises at {rise_at}; it must fall at a lower pressure")
        self._gains = DimmerGains(n_rungs - 1, rise_at, fall_at, rise_per_s, fall_per_s)
        self._pressure = 0.0
        self._at_s = -math.inf
        self.level = 0.0
        "d, in [0, n_rungs - 1]."

    def update(self, pressure: float, now_s: float) -> None:
        """Learn the pressure, as of `Limiter.pressure`."""
        self.level = move(self.level, self._pressure, now_s - self._at_s, self._gains)
        self._pressure, self._at_s = pressure, now_s

    def rung(self, priority: Priority, u: float) -> int:
        """The rung of one request: floor(d + u), with 2 d in place of d for low priority.

        Args:
            priority: low priority goes first, and deeper.
            u: drawn from [0, 1); the same u never gets a better rung at a higher d.
        """
        level = min(2 * self.level, self._gains.last) if priority == "low" else self.level
        return min(int(level + u), self._gains.last)
