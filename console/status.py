"""What can be said of the telemetry as a whole: how old, how complete, how much of it was kept."""

import json
import math
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeAlias

from console.asking import Answer, Question, ask_later
from console.failures import Failure
from console.formats import age, between, clock, moment, share, short
from console.pieces import Tone, anchor, badge
from console.scope import Scope, link_to

Remark: TypeAlias = tuple[str, Tone]
"A sentence, as HTML, on what the range holds."
STALE_AFTER = timedelta(minutes=5)
"Telemetry arrives within seconds from the app and within minutes in a workspace."
FAST_CLOCK = timedelta(seconds=30)
"Records that are newer than now by more than this come from a clock that is wrong."
LOOK_BACK = timedelta(days=30)
WHOLE = 0.97
"A range that is covered up to this share is not remarked on."


@dataclass(frozen=True, slots=True)
class Coverage:
    """What a range holds of one function's requests."""

    oldest: datetime | None = None
    newest: datetime | None = None
    n_spans: float = 0
    "Requests that are there one by one."
    n_requests: float = 0
    "Requests that there were: as metrics count them, or else as the spans stand for."
    variants: tuple[str, ...] = ()
    "That answered."
    versions: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        return self.newest is None


def ask_coverage(scope: Scope) -> Future[Answer]:
    """Ask what is there in the scope's range, and in one that ends now, of the hour after it."""
    ahead = timedelta(0) if scope.selection.is_absolute else timedelta(hours=1)
    return ask_later(scope, until=scope.until + ahead, coverage=Question("coverage"))["coverage"]


def read_coverage(answer: Answer) -> Coverage:
    """The row of `coverage.kql`."""
    if not answer.has_rows:
        return Coverage()
    [row] = answer.table.rows()[:1]
    counts = [_count(row[name]) for name in ("n_measured", "n_stood_for")]
    return Coverage(
        row["oldest"],
        row["newest"],
        _count(row["n_spans"]),
        next(filter(None, counts), 0),
        _names(row["variants"]),
        _names(row["versions"]),
    )


def badges(scope: Scope, coverage: Coverage, *, asked_at: datetime) -> str:
    """As of when, how much of the range is covered, and which share of its requests is there one by one."""
    marks = [
        '<span class="rs-as-of" title="Ranges that end now end here.">'
        f"as of {clock(min(scope.until, asked_at))} UTC</span>"
    ]
    if not coverage.is_empty:
        marks.append(_covered(scope, coverage))
        marks.append(_sampled(coverage))
    return f'<div class="rs-status">{"".join(marks)}</div>'


def remark(scope: Scope, coverage: Coverage, latest: Coverage, *, now: datetime) -> Remark | None:
    """A sentence about telemetry that is not as one expects; None where it is.

    Args:
        coverage: of the range, and for one that ends now of the hour after it.
        latest: of the last `LOOK_BACK`; needed only where `coverage` is empty.
    """
    if coverage.newest is None:
        if latest.newest is None:
            return (
                "<strong>There is no telemetry yet.</strong> Send a request to the app: what it records "
                "shows here within seconds, in Azure within a few minutes.",
                "info",
            )
        since, until = latest.newest - timedelta(minutes=30), latest.newest + timedelta(minutes=1)
        link = anchor("show that half hour", link_to("", scope, since=since, until=until))
        return (
            f"<strong>No traffic between {between(scope.since, scope.until)}.</strong> The latest is from "
            f"{moment(latest.newest)} UTC: {link}.",
            "info",
        )
    if coverage.newest > now + FAST_CLOCK:
        return (
            f"<strong>The newest record is {age(coverage.newest - now)} in the future.</strong> Some clock is "
            "wrong, this machine's or an instance's: compare both with a time server; ranges that end now miss "
            "what is dated later.",
            "warn",
        )
    if not scope.selection.is_absolute and now - coverage.newest > STALE_AFTER:
        return (
            f"<strong>The newest record is {age(now - coverage.newest)} old.</strong> Either nobody asks, or "
            "telemetry is late: send a request, and look at the app's log if it does not show here.",
            "warn",
        )
    return None


def failed(failure: Failure) -> str:
    """The status line where nothing can be said."""
    return f'<div class="rs-status">{badge("telemetry " + failure.kind, "bad", help=failure.what)}</div>'


def _covered(scope: Scope, coverage: Coverage) -> str:
    assert coverage.oldest is not None
    assert coverage.newest is not None
    length = scope.until - scope.since
    held = min(coverage.newest, scope.until) - max(coverage.oldest, scope.since)
    covered = min(max(held / length, 0.0), 1.0)
    if covered >= WHOLE:
        return badge(
            "whole range covered", "good", help="Records reach from one end of the range to the other."
        )
    return badge(
        f"covers {age(held)} of {age(length)}",
        "warn",
        help=f"Records: {between(coverage.oldest, coverage.newest)} UTC.",
    )


def _sampled(coverage: Coverage) -> str:
    kept = min(coverage.n_spans / coverage.n_requests, 1.0) if coverage.n_requests else 1.0
    if kept > 0.995:
        return badge(f"{short(coverage.n_requests)} requests, all kept", "quiet")
    return badge(
        f"{share(kept)} of {short(coverage.n_requests)} requests kept",
        "quiet",
        help="Ordinary requests are sampled, all others are kept; every figure is weighted to stand for all.",
    )


def _names(text: str | None) -> tuple[str, ...]:
    """Names in an array of JSON, in order; those of several at once, as of a batch of requests, are none."""
    named = json.loads(text or "[]")
    return tuple(sorted(name for name in named if name and "," not in name))


def _count(value: float | None) -> float:
    return 0.0 if value is None or not math.isfinite(value) else float(value)
