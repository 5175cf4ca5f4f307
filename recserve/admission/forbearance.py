"""Stop refusing for a while when refusing is what the process is late from: a pure rule."""

import math

WINDOW_S = 0.1
"How long requests are counted before they are judged."
MIN_SAMPLES = 20
"Fewest requests of a window."
N_WINDOWS = 3
"Windows in a row that must be futile; in the first of an overload the right share is still being found."
FUTILE_SHARE = 0.8
"Four of five: then refusing takes more time than answering, even where an answer costs twice a refusal."
HOPELESS_SHARE = 0.5
"Half: there are twice as many callers as places, whoever they are."
HOPELESS = 16.0
"Targets that the delay may reach while nobody is refused for it; with an eighth of the SLO, twice the SLO."
SHORTEST_S, LONGEST_S = 2.0, 32.0


class Forbearance:
    """Whether refusing has turned out futile, so that requests had better be answered.

    A window is futile when at least `FUTILE_SHARE` of its requests were refused and the mean of the standing
    queueing delays that they met was over the target all the same. What is left of the queue is then the work
    of refusing, and refusing more cannot shorten it. This happens when callers who are refused ask again at
    once: the queue is made of their retries and is as long as they are many, whatever becomes of them. After
    `N_WINDOWS` futile windows a trial begins:

    - forbearing: a queue of retries does not grow for being answered. The trial ends after 2 s, or twice as
      long as the last, up to 32 s, if refusing is futile again before as much time has passed;
    - hopeless: in a window of it at least `HOPELESS_SHARE` were refused all the same, for want of places,
      and the delay was over the target, or it was over `HOPELESS` targets. So there are more and more callers
      and not the same ones. It ends at once, and refusing goes on for 2, 4, ... 32 s at the least.

    Only a trial tells the two apart: from inside, a refused caller who returns looks like another caller.
    Bronson et al., "Metastable failures in distributed systems" (HotOS 2021), name the trap, in which work
    about the overload keeps it up; this is the way out that needs no help from callers.

    It misbehaves when those who ask again at once are more than twice the places, or more than can be
    answered in twice the SLO: then refusing goes on for most of the time, as if they were ever new callers.

    Args:
        target_s: the queueing delay from which the process is behind.
    """

    __slots__ = (
        "_delays_s",
        "_ends_s",
        "_n_futile",
        "_n_refused",
        "_n_requests",
        "_pause_s",
        "_resumes_s",
        "_target_s",
        "_trial_s",
        "_until_s",
    )

    def __init__(self, target_s: float) -> None:
        if not target_s > 0:
            raise ValueError(f"target delay of {target_s} s; it must be positive")
        self._target_s = target_s
        self._trial_s = self._pause_s = 0.0
        self._until_s = self._resumes_s = -math.inf
        self._ends_s = -math.inf
        self._n_futile = self._n_requests = self._n_refused = 0
        self._delays_s = 0.0

    def holds(self, now_s: float) -> bool:
        """Whether requests are to be let in that would otherwise be refused."""
        return now_s < self._until_s

    def observe(self, *, is_refused: bool, delay_s: float, now_s: float) -> None:
        """Learn what became of a request.

        Args:
            is_refused: for the process' sake, not because its caller was in too great a hurry.
            delay_s: the standing queueing delay that it met.
            now_s: on a clock that never goes back.
        """
        if self._n_requests == 0:
            self._ends_s = now_s + WINDOW_S
        self._n_requests += 1
        self._n_refused += is_refused
        self._delays_s += delay_s
        if now_s >= self._ends_s and self._n_requests >= MIN_SAMPLES:
            self._judge(self._n_refused / self._n_requests, self._delays_s / self._n_requests, now_s)
            self._n_requests = self._n_refused = 0
            self._delays_s = 0.0

    def _judge(self, refused_share: float, delay_s: float, now_s: float) -> None:
        if self.holds(now_s):
            patience = 1.0 if refused_share >= HOPELESS_SHARE else HOPELESS
            if delay_s > patience * self._target_s:
                self._pause_s = _longer(self._pause_s, now_s - self._resumes_s)
                self._until_s, self._resumes_s = now_s, now_s + self._pause_s
            return
        is_futile = refused_share >= FUTILE_SHARE and delay_s > self._target_s
        self._n_futile = self._n_futile + 1 if is_futile else 0
        if self._n_futile >= N_WINDOWS and now_s >= self._resumes_s:
            self._trial_s = _longer(self._trial_s, now_s - self._until_s)
            self._until_s = now_s + self._trial_s
            self._n_futile = 0


def _longer(duration_s: float, elapsed_s: float) -> float:
    """Twice as long as last time, or the shortest again if more than that has passed since."""
    return min(LONGEST_S, 2 * duration_s) if elapsed_s < duration_s else SHORTEST_S
