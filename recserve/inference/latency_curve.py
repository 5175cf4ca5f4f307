"""How long a model run takes for a batch of n: learned from the runs themselves, in pure numbers."""

import math

FORGETTING = 0.98
"Weight of a run relative to the one after it: about the last 50 count."
OUTLIER = 3.0
"A run is believed to take at most this many times what was expected: a stall says nothing about the model."
MIN_SPREAD = 0.01
"Variance of the batch sizes below which runs say nothing about the slope."
SMALLEST_KNEE = 2
"With runs of one size only, nothing about the slope would ever be learned again."


class LatencyCurve:
    """The duration of a run as a straight line of its batch size, D(n) = a + b n, with a, b >= 0.

    Least squares with exponential forgetting (recursive least squares in its information form): of the
    runs (n, d), five sums decay by 0.98 a run, and

        b = cov(n, d) / var(n), clamped to [0, mean(d) / mean(n)];    a = mean(d) - b mean(n)

    so that D never falls and never is negative. A duration over 3 D(n) counts as 3 D(n). As long as all
    runs have the same size, b stays what it was; to begin with it is mean(d) / mean(n), as if batching
    bought nothing.

    A line is what a call's fixed cost, a matrix that is read once and work for each row add up to: with
    100 k items, 1 took 3.2 ms, and 8 to 32 took 0.5 ms each. It misbehaves where the duration is not a
    line, for instance when a batch outgrows a cache: then it is right near the sizes that are run, which is
    where it is asked.
    """

    __slots__ = ("_a", "_b", "_n", "_nd", "_nn", "_spread", "_sum_d", "_weight", "largest_seen")

    def __init__(self) -> None:
        self._weight = self._n = self._nn = self._sum_d = self._nd = 0.0
        self._a = self._b = math.nan
        self._spread = 0.0
        self.largest_seen = 0
        "Largest batch that has been run."

    def observe(self, n: int, duration_s: float) -> None:
        """A batch of n took this long."""
        if (expected_s := self.duration_s(n)) > 0:
            duration_s = min(duration_s, OUTLIER * expected_s)
        self._weight = FORGETTING * self._weight + 1
        self._n = FORGETTING * self._n + n
        self._nn = FORGETTING * self._nn + n * n
        self._sum_d = FORGETTING * self._sum_d + duration_s
        self._nd = FORGETTING * self._nd + n * duration_s
        if n > self.largest_seen:
            self.largest_seen = n
        mean_n, mean_d = self._n / self._weight, self._sum_d / self._weight
        self._spread = spread = self._nn / self._weight - mean_n * mean_n
        steepest = mean_d / mean_n
        if spread > MIN_SPREAD:
            self._b = max(0.0, min(steepest, (self._nd / self._weight - mean_n * mean_d) / spread))
        elif not self._b <= steepest:  # nothing is known of the slope, or it has become impossible
            self._b = steepest
        self._a = max(0.0, mean_d - self._b * mean_n)

    def duration_s(self, n: int) -> float:
        """D(n); 0 before the first run."""
        return self._a + self._b * n if self.largest_seen else 0.0

    def knee(self, *, throughput_weight: float = 9.0) -> int:
        """The batch size beyond which throughput is no longer worth its latency, at least 2.

        It maximises Kleinrock's generalised power, with X(n) = n / D(n) requests a second:

            power(n) = X(n)^r / D(n) = n^r / (a + b n)^(r + 1)    =>    knee = r a / b

        There, throughput is r / (r + 1) of what endless batches would reach: 90 % with r = 9. Never more
        than twice the largest batch seen, so that what nobody measured is entered in steps.

        When all recent runs had one size, the slope is a memory: the knee is then the next step, so that a
        slope that stalls once made too steep is measured again and does not hold batches small for ever.

        Source: Kleinrock, "Power and deterministic rules of thumb for probabilistic problems in computer
        communications", ICC 1979.

        Args:
            throughput_weight: r; how much more throughput counts than latency.
        """
        step = self._next_step()
        is_known = self._b > 0 and self._spread > MIN_SPREAD
        wanted = throughput_weight * self._a / self._b if is_known else math.inf
        return max(SMALLEST_KNEE, step if wanted >= step else round(wanted))

    def largest_within(self, budget_s: float) -> int:
        """The largest batch whose run takes at most `budget_s`, in steps as in `knee`; 0 if none does."""
        step = self._next_step()
        if self.duration_s(1) > budget_s:
            return 0
        wanted = (budget_s - self._a) / self._b if self._b > 0 else math.inf
        return step if wanted >= step else max(1, int(wanted))

    def _next_step(self) -> int:
        return max(1, 2 * self.largest_seen)
