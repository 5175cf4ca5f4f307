"""Whether a promise of latency is kept: shares, burn rates, and the minute that did most harm.

A promise says that a share of requests, its target, is answered within so many ms. What is not answered, and what
is answered later, uses up the error budget:

    burn rate = share that missed / (1 - target)

At 1 the budget lasts exactly as long as the promise; at 14.4 an hour eats two percent of a month's [Google, The Site
Reliability Workbook, chapter 5].
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from console.analysis.proportions import wilson
from console.pieces import Tone
from console.telemetry import Table

PAGE_AT = {timedelta(hours=1): 14.4, timedelta(hours=6): 6.0}
"Burn rates over these windows that wake somebody up."
FEW = 1000
"Fewer requests than this bound a share of one percent only loosely."


@dataclass(frozen=True, slots=True)
class Promise:
    """`target` of all requests are answered within `within_ms`."""

    target: float
    within_ms: float

    @property
    def budget(self) -> float:
        """The share that may miss it."""
        return 1 - self.target


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What became of some requests; all counts are weighted."""

    n_requests: float = 0.0
    n_good: float = 0.0
    n_over: float = 0.0
    "Answered, and later than promised."
    n_shed: float = 0.0
    n_failed: float = 0.0

    @property
    def n_missed(self) -> float:
        return self.n_requests - self.n_good

    @property
    def share(self) -> float:
        """Of requests that kept the promise; NaN where there were none."""
        return self.n_good / self.n_requests if self.n_requests else float("nan")

    @property
    def refused_share(self) -> float:
        """Of requests that were shed or failed; NaN where there were none."""
        return (self.n_shed + self.n_failed) / self.n_requests if self.n_requests else float("nan")

    def burn(self, promise: Promise) -> float:
        """The burn rate; NaN where there were no requests."""
        return (1 - self.share) / promise.budget

    def burn_interval(self, promise: Promise) -> tuple[float, float]:
        """The 95 % interval of the burn rate that so many requests allow."""
        missed = wilson(self.n_missed, self.n_requests)
        return float(missed.low) / promise.budget, float(missed.high) / promise.budget


@dataclass(frozen=True, slots=True)
class Worst:
    """The bin in which most requests missed the promise."""

    since: datetime
    until: datetime
    kept: Kept


def kept_of(requests: Table, *, since: datetime | None = None) -> Kept:
    """Sums over the answer to `requests`.

    Args:
        since: only bins that begin then or later.
    """
    if since is not None:
        requests = _since(requests, since)
    if not requests.n_rows:
        return Kept()
    return Kept(**{name: float(np.nansum(requests[name])) for name in Kept.__dataclass_fields__})


def with_held(requests: Table, held: Table) -> Table:
    """The answer to `requests`, without the good ones among those that the platform held for longer than promised.

    They look good from within the app, which saw them late. One that was slow in the app too is subtracted twice.

    Args:
        held: the answer to `held`, in bins of the same width.
    """
    if not requests.n_rows or not held.n_rows:
        return requests
    starts = requests["interval_start"]
    places = np.clip(np.searchsorted(starts, held["interval_start"], side="right") - 1, 0, None)
    n_late = np.bincount(places, np.nan_to_num(held["n_held_over"]), minlength=starts.size)
    n_good = np.clip(requests["n_good"] - n_late, 0, None)
    return Table(
        requests.columns,
        tuple(n_good if name == "n_good" else requests[name] for name in requests.columns),
    )


def burn_course(
    requests: Table, promise: Promise, *, since: datetime, n_points: int = 40
) -> NDArray[np.float64]:
    """Burn rates of successive stretches of the answer, for a sparkline; NaN for those without requests.

    Stretches are equal in time, so that a pause shows.

    Args:
        since: only bins that begin then or later.
    """
    requests = _since(requests, since)
    if not requests.n_rows:
        return np.empty(0)
    _, places = _places(requests, n_points)
    n, n_good = (np.bincount(places, np.nan_to_num(requests[name])) for name in ("n_requests", "n_good"))
    burns: NDArray[np.float64] = (n - n_good) / np.where(n > 0, n, np.nan) / promise.budget
    return burns


def refused_course(requests: Table, *, n_points: int = 60) -> NDArray[np.float64]:
    """The share that was shed or failed in successive stretches; NaN for those without requests."""
    if not requests.n_rows:
        return np.empty(0)
    _, places = _places(requests, n_points)
    n = np.bincount(places, np.nan_to_num(requests["n_requests"]))
    refused = np.bincount(places, np.nan_to_num(requests["n_shed"] + requests["n_failed"]))
    shares: NDArray[np.float64] = refused / np.where(n > 0, n, np.nan)
    return shares


def rate_course(requests: Table, width_s: float, *, n_points: int = 60) -> NDArray[np.float64]:
    """Requests per second of successive stretches.

    Args:
        width_s: of the answer's bins.
    """
    if not requests.n_rows:
        return np.empty(0)
    starts, places = _places(requests, n_points)
    n = np.bincount(places, np.nan_to_num(requests["n_requests"]))
    n_bins = np.bincount(places[np.unique(starts, return_index=True)[1]], minlength=n.size)
    rates: NDArray[np.float64] = n / np.maximum(n_bins, 1) / width_s
    return rates


def worst_of(requests: Table, width: timedelta) -> Worst | None:
    """The bin of the answer that harmed most requests; None where none missed the promise."""
    if not requests.n_rows:
        return None
    missed = requests["n_requests"] - requests["n_good"]
    at = int(np.nanargmax(missed))
    if missed[at] <= 0:
        return None
    bin_of = requests.where(np.arange(requests.n_rows) == at)
    since: datetime = bin_of.list("interval_start")[0]
    return Worst(since, since + width, kept_of(bin_of))


def burn_tone(burn: float, window: timedelta) -> Tone:
    """Good while the budget lasts, bad where somebody is to be woken."""
    if not np.isfinite(burn):
        return "quiet"
    return "good" if burn <= 1 else "warn" if burn < PAGE_AT[window] else "bad"


def _since(requests: Table, since: datetime) -> Table:
    if not requests.n_rows:
        return requests
    at = np.datetime64(since.astimezone(UTC).replace(tzinfo=None), "us")
    return requests.where(requests["interval_start"] >= at)


def _places(requests: Table, n_points: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Start of each bin in seconds since the first, and the stretch that it falls into."""
    starts = (requests["interval_start"] - requests["interval_start"].min()) / np.timedelta64(1, "s")
    step_s = max(float(starts.max()) / n_points, 1e-9)
    return starts, np.minimum((starts // step_s).astype(np.int64), n_points - 1)
