"""Devices that answer beside the user: what is left for the cloud, what users see, and what bundles cost to send.

share        of the requests is answered by devices, spread at random over the traffic
compared     one of `compare_every` of those is asked of the cloud too, behind the answer
as users see the answers of devices and those of the cloud, each by its share; the cloud's take the round trip longer
downloads    devices x updates a month x bytes of the bundle, as egress
"""

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from planner.billing import Bill, bill, egress_usage
from planner.model import Quantiles
from planner.price_list import PriceList
from planner.traffic import Traffic

COMPARE_EVERY = 50
"As clients are set unless told otherwise."
N_POINTS = 1000
"Of the distribution of devices, in a mixture."


@dataclass(frozen=True, slots=True, kw_only=True)
class Downloads:
    """How often a bundle goes to devices.

    Raises:
        ValueError: a number is out of range; the message names it.
    """

    n_devices: int
    updates_per_month: float
    bundle_bytes: int
    "All files on the wire."

    def __post_init__(self) -> None:
        if self.n_devices < 1:
            raise ValueError(f"{self.n_devices} devices that fetch the bundle; give at least 1")
        if not (math.isfinite(self.updates_per_month) and self.updates_per_month >= 0):
            raise ValueError(f"{self.updates_per_month:g} updates of the bundle a month; give 0 or more")
        if self.bundle_bytes < 1:
            raise ValueError(f"a bundle of {self.bundle_bytes} bytes; give at least 1")

    @property
    def bytes_per_month(self) -> int:
        return math.ceil(self.n_devices * self.updates_per_month * self.bundle_bytes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """Devices as the planner knows them.

    Raises:
        ValueError: a number is out of range; the message names it.
    """

    share: float
    "Of all requests, that devices answer."
    answer_s: Quantiles
    "Of an answer by a device, as its user waits for it."
    round_trip_s: float = 0.0
    "Between user and cloud, beside what the measurements' network has."
    ndcg_10: float | None = None
    "Quality of the bundle's model; None: unknown."
    compare_every: int = COMPARE_EVERY
    "One of so many answers of devices is asked of the cloud too; 0: none."
    downloads: Downloads | None = None
    "None: nobody said how many devices there are."
    guesses: tuple[str, ...] = ()
    "What was not measured but derived, in words."
    notes: tuple[str, ...] = ()
    "What is left out because nobody said it, in words."

    def __post_init__(self) -> None:
        check_share(self.share)
        if not (math.isfinite(self.round_trip_s) and self.round_trip_s >= 0):
            raise ValueError(f"a round trip of {self.round_trip_s * 1e3:g} ms; times are finite, 0 or more")
        if self.ndcg_10 is not None and not 0 <= self.ndcg_10 <= 1:
            raise ValueError(f"NDCG@10 of {self.ndcg_10:g} on devices; it is between 0 and 1")
        if self.compare_every < 0:
            raise ValueError(f"one of {self.compare_every} answers compared; give 0 for none, or 1 or more")


def check_share(share: float) -> None:
    """Refuse a share of answers by devices that leaves nothing to plan, or is none.

    Raises:
        ValueError: it is 1, or not between 0 and 1.
    """
    if share == 1:
        raise ValueError(
            "devices that answer all requests leave the cloud no traffic, and nothing to plan; "
            "give an edge share below 1, such as 0.95"
        )
    if not 0 < share < 1:
        raise ValueError(
            f"an edge share of {share:g}; give the share of requests that devices answer, 0 to 1"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What users see of answers, the round trip included; percentiles are endless where refusals reach them."""

    p50_s: float
    p95_s: float
    p99_s: float
    slo_share: float
    "Of all requests, answered within the SLO."
    quality: float | None
    "Mean NDCG@10; None: unknown."


def cloud_traffic(traffic: Traffic, *, share: float, compare_every: int = COMPARE_EVERY) -> Traffic:
    """What of the traffic the cloud gets: exactly the share that devices leave, and what they compare.

    Who asks the cloud is drawn with the arrivals' own seed, each request alike: bursts stay bursts.

    Args:
        traffic: of all users.
        share: of it, that devices answer.
        compare_every: as of `Edge`.

    Raises:
        ValueError: the share leaves nothing, or is none.
    """
    check_share(share)

    def draw(rng: np.random.Generator, factor: float) -> NDArray[np.float64]:
        arrivals_s = traffic.draw(rng, factor)
        n_device = round(share * len(arrivals_s))
        n_compared = n_device // compare_every if compare_every else 0
        of_devices = rng.permutation(len(arrivals_s))[: n_device - n_compared]
        return np.delete(arrivals_s, of_devices)

    name = f"{traffic.name}, {share * 100:.4g}% of it by devices"
    return replace(traffic, name=name, is_drawn=True, draw=draw)


def as_users_see(
    latency_s: NDArray[np.float64],
    *,
    slo_s: float,
    quality: float | None,
    edge: Edge | None = None,
    round_trip_s: float = 0.0,
) -> Seen:
    """Answers of devices and of the cloud, as one distribution.

        P(wait <= t) = share x P(device <= t) + (1 - share) x P(cloud + round trip <= t)

    Args:
        latency_s: of the cloud's answers, NaN where it refused, (n,), at least one.
        slo_s: that answers are counted by.
        quality: mean NDCG@10 of the cloud's answers; None: unknown.
        edge: None: the cloud answers all.
        round_trip_s: of the cloud's answers.
    """
    share = edge.share if edge else 0.0
    cloud_s = np.where(np.isnan(latency_s), np.inf, latency_s) + round_trip_s
    device_s = _points(edge.answer_s) if edge else np.empty(0)
    waits_s = np.concatenate([device_s, cloud_s])
    weights = np.concatenate(
        [np.full(len(device_s), share / N_POINTS), np.full(len(cloud_s), (1 - share) / len(cloud_s))]
    )
    order = np.argsort(waits_s, kind="stable")
    up_to = np.cumsum(weights[order])
    p50_s, p95_s, p99_s = (
        float(waits_s[order[min(int(np.searchsorted(up_to, at - 1e-9)), len(order) - 1)]])
        for at in (0.5, 0.95, 0.99)
    )
    return Seen(
        p50_s=p50_s,
        p95_s=p95_s,
        p99_s=p99_s,
        slo_share=float(weights[waits_s <= slo_s].sum()),
        quality=_mixed(quality, edge),
    )


def downloads_bill(downloads: Downloads, prices: PriceList) -> Bill:
    """What a month's bundles cost to send, at list prices."""
    return bill(egress_usage(downloads.bytes_per_month, title="Bundle downloads"), prices)


def _mixed(quality: float | None, edge: Edge | None) -> float | None:
    if edge is None or quality is None:
        return quality
    return None if edge.ndcg_10 is None else edge.share * edge.ndcg_10 + (1 - edge.share) * quality


def _points(quantiles: Quantiles) -> NDArray[np.float64]:
    """Equally likely values, (N_POINTS,)."""
    if len(quantiles) == 1:
        return np.full(N_POINTS, quantiles[0])
    middles = (np.arange(N_POINTS) + 0.5) / N_POINTS
    return np.interp(middles, np.linspace(0, 1, len(quantiles)), quantiles)
