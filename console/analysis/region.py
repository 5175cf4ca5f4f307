"""A region of the latency heatmap as URL query parameters, so that a selection of requests is a link."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

from console.formats import between, ms
from console.scope import LONGEST, Scope, link_to, read_moment, write_moment

MOST_MS = 1e9
NAMES = ("since", "until", "least_ms", "most_ms")
"What a link says of a region; the range of the whole view is `from` and `to`."
UNREADABLE = "The link's region is no time range with two latencies; drag over the heatmap for another."


@dataclass(frozen=True, slots=True)
class LatencyRegion:
    """Requests that began between two moments and took between two latencies."""

    since: datetime
    until: datetime
    least_ms: float = 0.0
    most_ms: float = MOST_MS

    @property
    def label(self) -> str:
        """In words, UTC."""
        high = "any latency above" if self.most_ms >= MOST_MS else ms(self.most_ms)
        low = ms(self.least_ms) if self.least_ms > 0 else "0"
        return f"{between(self.since, self.until)}, {low} to {high}"

    def params(self) -> dict[str, str]:
        return {
            "since": write_moment(self.since),
            "until": write_moment(self.until),
            "least_ms": f"{self.least_ms:.12g}",
            "most_ms": f"{self.most_ms:.12g}",
        }


def region_of(since_ms: float, until_ms: float, least_ms: float, most_ms: float) -> LatencyRegion:
    """What was dragged, out to whole seconds and to three figures of a latency.

    Args:
        since_ms: since the epoch, as is `until_ms`.
    """
    since = datetime.fromtimestamp(math.floor(since_ms / 1000), UTC)
    until = datetime.fromtimestamp(math.ceil(until_ms / 1000), UTC)
    return LatencyRegion(
        since,
        max(until, since + timedelta(seconds=1)),
        _figures(least_ms, math.floor),
        _figures(most_ms, math.ceil),
    )


def read_region(params: Mapping[str, str]) -> tuple[LatencyRegion | None, str]:
    """The region of a link that anybody may have written; and a sentence where it has one that is none."""
    if not any(name in params for name in NAMES):
        return None, ""
    since, until = read_moment(params.get("since", "")), read_moment(params.get("until", ""))
    least_ms, most_ms = _number(params.get("least_ms", "0")), _number(params.get("most_ms", str(MOST_MS)))
    if since is None or until is None or not timedelta(0) < until - since <= LONGEST:
        return None, UNREADABLE
    if not 0 <= least_ms < most_ms <= MOST_MS:
        return None, UNREADABLE
    return LatencyRegion(since, until, least_ms, most_ms), ""


def link_to_region(scope: Scope, region: LatencyRegion) -> str:
    """The latency view with these requests selected; for any view that has a number made of requests."""
    link = link_to("latency", scope)
    return f"{link}{'&' if '?' in link else '?'}{urlencode(region.params())}"


def _number(text: str) -> float:
    try:
        return float(text) if len(text) <= 24 else math.nan
    except ValueError:
        return math.nan


def _figures(value: float, towards: Callable[[float], int]) -> float:
    """To three figures, down or up."""
    if value <= 0:
        return 0.0
    step = 10.0 ** (math.floor(math.log10(value)) - 2)
    return float(f"{towards(value / step) * step:.12g}")
