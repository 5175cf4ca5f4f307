"""What the global bar says, as a value and as URL query parameters, so that every view is a link."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

from console.formats import between
from console.settings import Source

FIRST_VIEW = "overview"
"It has no path of its own: Streamlit serves the first page at the root."
RANGES = {
    "15m": timedelta(minutes=15),
    "1h": timedelta(hours=1),
    "6h": timedelta(hours=6),
    "24h": timedelta(hours=24),
    "7d": timedelta(days=7),
}
DEFAULT_RANGE = "1h"
REFRESHES = {"off": None, "10s": 10, "60s": 60}
"Seconds between two looks."
DEFAULT_REFRESH = "off"
STEP_S = 60
"Relative ranges end at a whole minute, or at the refresh's own step: views opened in between share answers."
LONGEST = timedelta(days=92)
SHORTEST = timedelta(seconds=1)
INTERVALS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 43_200, 86_400)
MOST_INTERVALS = 120
YEARS = range(2000, 2100)
"Of moments that a link may name: there is room before and after for what views look at around them."

_NAME = re.compile(r"[\w./-]{1,64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What is chosen in the bar."""

    source: str = ""
    "Name of a workspace; empty is the first."
    range: str = DEFAULT_RANGE
    "One of `RANGES`; not used where there are `since` and `until`."
    since: datetime | None = None
    until: datetime | None = None
    variant: str = ""
    version: str = ""
    refresh: str = DEFAULT_REFRESH

    @property
    def is_absolute(self) -> bool:
        return self.since is not None and self.until is not None

    def params(self) -> dict[str, str]:
        """As query parameters, those that are not the default."""
        chosen = {"source": self.source, "variant": self.variant, "version": self.version}
        if self.since is not None and self.until is not None:
            chosen |= {"from": write_moment(self.since), "to": write_moment(self.until)}
        elif self.range != DEFAULT_RANGE:
            chosen["range"] = self.range
        if self.refresh != DEFAULT_REFRESH:
            chosen["refresh"] = self.refresh
        return {name: value for name, value in chosen.items() if value}


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What a view is about."""

    workspace: Source | None
    "None: telemetry is not configured."
    selection: Selection
    since: datetime
    until: datetime
    as_of: datetime

    @property
    def source(self) -> str:
        return self.workspace.name if self.workspace else ""

    @property
    def variant(self) -> str:
        return self.selection.variant

    @property
    def version(self) -> str:
        return self.selection.version

    @property
    def interval(self) -> timedelta:
        """Width of a bin, so that the range has at most `MOST_INTERVALS` of them."""
        return interval_of(self.until - self.since)

    @property
    def label(self) -> str:
        """The range in words, UTC."""
        if self.selection.is_absolute:
            return between(self.since, self.until)
        return range_label(self.selection.range)


def range_label(name: str) -> str:
    """`Last 15 min`, `Last 6 h`."""
    return "Last " + re.sub(r"(\d+)m\b", r"\1 min", name).replace("h", " h").replace("d", " d")


def interval_of(length: timedelta) -> timedelta:
    """The shortest round width that cuts a range into `MOST_INTERVALS` bins or fewer."""
    for seconds in INTERVALS_S:
        if length.total_seconds() <= seconds * MOST_INTERVALS:
            return timedelta(seconds=seconds)
    return timedelta(seconds=INTERVALS_S[-1])


def resolve(selection: Selection, sources: Sequence[Source], now: datetime) -> Scope:
    """The selection at a moment.

    Args:
        now: already floored as the refresh wants it; see `floor_to_step`.
    """
    named = [source for source in sources if source.name == selection.source]
    workspace = next(iter([*named, *sources]), None)
    if selection.since is not None and selection.until is not None:
        since, until = selection.since, selection.until
    else:
        since, until = now - RANGES[selection.range], now
    return Scope(workspace=workspace, selection=selection, since=since, until=until, as_of=now)


def floor_to_step(now: datetime, refresh: str) -> datetime:
    """The latest moment that a relative range may end at."""
    step_s = min(REFRESHES[refresh] or STEP_S, STEP_S)
    return datetime.fromtimestamp(now.timestamp() // step_s * step_s, UTC)


def read_params(
    params: Mapping[str, str], sources: Sequence[Source], now: datetime
) -> tuple[Selection, tuple[str, ...]]:
    """The selection of a link that anybody may have written, and a sentence for everything that was not used.

    None of the sentences repeats the link's own words.
    """
    complaints: list[str] = []
    source = params.get("source", "")
    if source and source not in {known.name for known in sources}:
        complaints.append("The link names a workspace that this console does not know; here is its first.")
        source = ""
    range_name = params.get("range", DEFAULT_RANGE)
    if range_name not in RANGES:
        complaints.append("The link asks for a time range that there is none of; here is the last hour.")
        range_name = DEFAULT_RANGE
    since, until = _read_moments(params, now, complaints)
    refresh = params.get("refresh", DEFAULT_REFRESH)
    if refresh not in REFRESHES:
        complaints.append("The link asks for a refresh that there is none of; it is off.")
        refresh = DEFAULT_REFRESH
    names = {}
    for kind in ("variant", "version"):
        names[kind] = params.get(kind, "")
        if names[kind] and not _NAME.fullmatch(names[kind]):
            complaints.append(f"The link names a {kind} as none can be called; here are all.")
            names[kind] = ""
    selection = Selection(source=source, range=range_name, since=since, until=until, refresh=refresh, **names)
    return selection, tuple(complaints)


def link_to(
    view: str,
    scope: Scope,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    **parameters: object,
) -> str:
    """The relative URL of a view about the same workspace, range, variant and version.

    Args:
        view: as its module is called; empty for the page that is open.
        since: with `until`, another range.
        parameters: the view's own; those that are None or empty are left out.
    """
    kept = scope.selection.params()
    if since is not None and until is not None:
        kept.pop("range", None)
        kept |= {"from": write_moment(since), "to": write_moment(until)}
    own = {name: str(value) for name, value in parameters.items() if value not in (None, "")}
    query = urlencode(kept | own)
    path = "./" if view == FIRST_VIEW else view.replace("_", "-")
    return path + (f"?{query}" if query else "")


def write_moment(at: datetime) -> str:
    """ISO 8601 in UTC, to the millisecond where it has some."""
    at = at.astimezone(UTC)
    precision = "milliseconds" if at.microsecond else "seconds"
    return at.replace(tzinfo=None).isoformat(timespec=precision) + "Z"


def read_moment(text: str) -> datetime | None:
    """The moment that ISO 8601 names, UTC where it says no zone; None where it names none, or none of `YEARS`."""
    if len(text) > 40:
        return None
    try:
        at = datetime.fromisoformat(text.replace(" ", "+"))
        at = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return at if at.year in YEARS else None


def _read_moments(
    params: Mapping[str, str], now: datetime, complaints: list[str]
) -> tuple[datetime | None, datetime | None]:
    if "from" not in params and "to" not in params:
        return None, None
    since, until = read_moment(params.get("from", "")), read_moment(params.get("to", ""))
    if since is None or until is None:
        complaints.append("The link's `from` and `to` are not both a time; here is a range that ends now.")
        return None, None
    if not SHORTEST <= until - since <= LONGEST:
        complaints.append(
            f"The link's `from` and `to` do not span a second to {LONGEST.days} days; here is a range that ends now."
        )
        return None, None
    if since > now + timedelta(minutes=5):
        complaints.append("The link asks for a range that has not begun; here is one that ends now.")
        return None, None
    return since, until
