"""Answer from a cheaper rung of the ladder before refusing: a dimmer, moved by pressure."""

import math

from recserve.admission.priority import Priority

MAX_STEP_S = 0.05
"A reading of the pressure holds until the next one, at most this long; a longer silence is a calm."


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

    __slots__ = ("_at_s", "_fall_at", "_fall_per_s", "_last", "_pressure", "_rise_at", "_rise_per_s", "level")

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
        self._last = n_rungs - 1
        self._rise_at, self._fall_at = rise_at, fall_at
        self._rise_per_s, self._fall_per_s = rise_per_s, fall_per_s
        self._pressure = 0.0
        self._at_s = -math.inf
        self.level = 0.0
        "d, in [0, n_rungs - 1]."

    def update(self, pressure: float, now_s: float) -> None:
        """Learn the pressure, as of `Limiter.pressure`."""
        elapsed_s = now_s - self._at_s
        held_s = min(elapsed_s, MAX_STEP_S)
        level = self.level
        if self._pressure > self._rise_at:
            level = min(float(self._last), level + self._rise_per_s * held_s)
        elif self._pressure < self._fall_at:
            level -= self._fall_per_s * held_s
        self.level = max(0.0, level - self._fall_per_s * (elapsed_s - held_s))
        self._pressure, self._at_s = pressure, now_s

    def rung(self, priority: Priority, u: float) -> int:
        """The rung of one request: floor(d + u), with 2 d in place of d for low priority.

        Args:
            priority: low priority goes first, and deeper.
            u: drawn from [0, 1); the same u never gets a better rung at a higher d.
        """
        level = min(2 * self.level, self._last) if priority == "low" else self.level
        return min(int(level + u), self._last)
