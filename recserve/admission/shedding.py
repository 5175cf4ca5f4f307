"""Which share of the requests must go so that the others are answered in time: a pure rule."""

import math
from typing import NamedTuple

MAX_ERROR = 4.0
"Relative error beyond which a delay is just far too long; keeps one stall from closing the door."
MAX_STEP_S = 0.1
"Longest time that one reading speaks for."


class ShedGains(NamedTuple):
    """What a controller is set to; units are those of `ShedShare`."""

    target_s: float
    integral_per_s: float = 1.5
    proportional: float = 0.15
    most: float = 0.98


def step(integral: float, delay_s: float, elapsed_s: float, gains: ShedGains) -> tuple[float, float]:
    """The integral and the share after some time: the rule of `ShedShare`.

    A function of numbers alone, which the simulator compiles.
    """
    error = min(delay_s / gains.target_s - 1, MAX_ERROR)
    integral += gains.integral_per_s * error * min(elapsed_s, MAX_STEP_S)
    integral = max(0.0, min(gains.most, integral))
    return integral, min(gains.most, integral + gains.proportional * max(0.0, error))


class ShedShare:
    """The share of requests to refuse, moved until the standing queueing delay is on target.

        error     = min(delay_s / target_s - 1, 4)
        integral += integral_per_s * error * dt                           clamped to [0, most]
        share     = integral + proportional * max(error, 0)               at most `most`

    It is the PI controller of PIE (RFC 8033), which drops packets, in units of the target, so that the
    gains are the same for every target, and with gains for milliseconds instead of wide-area round trips.
    A share refuses only what must go: a process that refuses all while it is over its target has no
    goodput at all, and whoever switches between everything and nothing serves bursts.

    Why these gains: with load rho (work that arrives, in seconds a second) the delay moves by
    rho * (1 - share) - 1, hence around the target like an oscillator with damping
    rho * proportional / target_s and squared frequency rho * integral_per_s / target_s. For rho = 3 and
    5 ms the defaults damp it a little more than critically, at 1 / 25 ms, which is slow enough to
    tolerate a reading that is a pass of the loop old.

    It misbehaves when the delay has nothing to do with the number of requests, such as a neighbour that
    takes the CPU: it refuses in vain, at most the share `most`.

    Args:
        target_s: the delay to settle at.
        integral_per_s: gain of the error over time.
        proportional: gain of a change of the error.
        most: largest share; below 1, so that something always teaches us that things are better.
    """

    __slots__ = ("_at_s", "_gains", "_integral", "share")

    def __init__(
        self,
        target_s: float,
        *,
        integral_per_s: float = 1.5,
        proportional: float = 0.15,
        most: float = 0.98,
    ) -> None:
        if not target_s > 0:
            raise ValueError(f"target delay of {target_s} s; it must be positive")
        self._gains = ShedGains(target_s, integral_per_s, proportional, most)
        self._integral = 0.0
        self._at_s = -math.inf
        self.share = 0.0
        "Share of requests to refuse, in [0, most]."

    def update(self, delay_s: float, now_s: float) -> float:
        """Learn the standing delay.

        Returns:
            The share to refuse.
        """
        self._integral, self.share = step(self._integral, delay_s, now_s - self._at_s, self._gains)
        self._at_s = now_s
        return self.share
