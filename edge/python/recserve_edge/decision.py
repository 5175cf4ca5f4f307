"""Edge or cloud: one pure function of what is known when a request comes.

The first rule that applies wins; `edge/vectors/decisions.json` has every row with its borders, and the JavaScript
client follows the same.

    cloud   no_bundle           no verified bundle is in memory
    cloud   rules               pins, boosts, diversity, exploration, freshness or explain are asked for
    cloud   stale_bundle        the manifest was last confirmed longer ago than the service allows
    cloud   clock               how long ago cannot be told
    cloud   no_local_history    a user of whom nothing is known here, without a history
    cloud   cloud_is_near       the better model costs no time
    edge    default             everything else

An age is the larger of what the monotonic clock and the wall clock say: the one stands still while some machines
sleep, the other is set by people. A wall clock that went back behind the confirmation, or was a day off the
service's then, says nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Literal, NamedTuple

from recserve_edge.errors import Failure
from recserve_edge.request import Request

NEAR_MS = 15.0
"Median round trip up to which the cloud is near."
MAX_ROUND_TRIPS = 20
"Measured round trips that count, the newest."
MIN_ROUND_TRIPS = 3
MAX_SKEW_S = 86_400.0
"Largest difference between the device's wall clock and the service's that is borne."


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleFacts:
    """What a decision has to know of a bundle."""

    ndcg_10: float
    served_ndcg_10: float | None
    "Of the model that the cloud answers with; None where it is not known."
    max_age_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmation:
    """When the service last said that this bundle is the one."""

    wall_s: float
    "Unix time on the device's clock."
    monotonic_s: float | None
    "None: another process was told."
    service_s: float
    "Unix time on the service's clock."


@dataclass(frozen=True, slots=True, kw_only=True)
class Instant:
    wall_s: float
    monotonic_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """What is known when a request comes."""

    bundle: BundleFacts | None
    confirmed: Confirmation | None
    now: Instant
    round_trips_ms: Sequence[float]
    "Of cloud answers, oldest first."
    n_known_events: int
    "Of the request's user, on this device."


class Decision(NamedTuple):
    by: Literal["edge", "cloud", "none"]
    reason: str
    degraded: tuple[str, ...] = ()
    "What the answer has to do without."
    failure: Failure | None = None
    "With `none`: how the cloud failed."


def decide(situation: Situation, request: Request) -> Decision:
    """Who is asked first, and why."""
    bundle = situation.bundle
    if bundle is None:
        return Decision("cloud", "no_bundle")
    if request.needs_cloud_rules:
        return Decision("cloud", "rules")
    if reason := _why_not_fresh(bundle, situation):
        return Decision("cloud", reason)
    if _lacks_history(situation, request):
        return Decision("cloud", "no_local_history")
    if _is_cloud_near(situation.round_trips_ms) and bundle.ndcg_10 < (bundle.served_ndcg_10 or 0):
        return Decision("cloud", "cloud_is_near")
    return Decision("edge", "default")


def fall_back(situation: Situation, request: Request, failure: Failure) -> Decision:
    """Who answers once the cloud was asked and did not."""
    if situation.bundle is None:
        return Decision("none", "no_bundle", failure=failure)
    lacks = {
        "rules": request.needs_cloud_rules,
        "stale_bundle": _why_not_fresh(situation.bundle, situation) is not None,
        "history": _lacks_history(situation, request),
    }
    return Decision("edge", failure, tuple(name for name, is_lacking in lacks.items() if is_lacking))


def age_s(confirmed: Confirmation | None, now: Instant) -> float | None:
    """Seconds since the bundle was confirmed; None where no clock can tell."""
    if confirmed is None:
        return None
    by_wall_s = now.wall_s - confirmed.wall_s
    ages_s = []
    if by_wall_s >= 0 and abs(confirmed.wall_s - confirmed.service_s) <= MAX_SKEW_S:
        ages_s.append(by_wall_s)
    if confirmed.monotonic_s is not None:
        ages_s.append(now.monotonic_s - confirmed.monotonic_s)
    return max(ages_s, default=None)


def service_time_s(confirmed: Confirmation | None, now: Instant) -> float | None:
    """What time it is, Unix time: by the device where its clock can be right, else by the service's and the time since.

    Returns:
        None where the device's clock is wrong, and another process was told the right time.
    """
    if confirmed is None:
        return now.wall_s
    if now.wall_s >= confirmed.wall_s and abs(confirmed.wall_s - confirmed.service_s) <= MAX_SKEW_S:
        return now.wall_s
    if confirmed.monotonic_s is None:
        return None
    return confirmed.service_s + now.monotonic_s - confirmed.monotonic_s


def _why_not_fresh(bundle: BundleFacts, situation: Situation) -> str | None:
    age = age_s(situation.confirmed, situation.now)
    if age is None:
        return "clock"
    return "stale_bundle" if age > bundle.max_age_s else None


def _lacks_history(situation: Situation, request: Request) -> bool:
    return request.user_id is not None and not situation.n_known_events and not request.history


def _is_cloud_near(round_trips_ms: Sequence[float]) -> bool:
    newest = round_trips_ms[-MAX_ROUND_TRIPS:]
    return len(newest) >= MIN_ROUND_TRIPS and median(newest) <= NEAR_MS
