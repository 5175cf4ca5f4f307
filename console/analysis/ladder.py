"""What the rungs of the model ladder are worth: offline as they were measured, online as users followed them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from console.analysis.proportions import wilson
from console.api_values import Ladder, Rung
from console.telemetry import Table, table_of

BROWNOUT = "brownout"
LEAST_BROWNOUT = 0.01
"Share of an interval's answers from which on it counts as one of brownout."


@dataclass(frozen=True, slots=True, kw_only=True)
class Following:
    """What users did with the lists of one rung, and what is known of it.

    Shares are 0 to 1; each `_low` and `_high` is a 95 % interval by Wilson.
    """

    variant: str
    n_known: float
    "Events of users whose last list was known."
    hit_rate: float
    "Share of those whose item was on the list."
    hit_rate_low: float
    hit_rate_high: float
    gain: float
    "Mean of 1 / log2(1 + place) over those: NDCG on live events."
    n_answers: float
    click_through: float
    "Clicks on listed items per answer; clicks that could not be joined are taken to be like the others."
    click_through_low: float
    click_through_high: float


@dataclass(frozen=True, slots=True)
class Episode:
    """A stretch of time in which cheaper rungs answered because there was too much to do."""

    since: datetime
    until: datetime
    n_requests: float
    "Answers by brownout in it."
    variants: tuple[str, ...]


def frontier(rungs: Sequence[Rung]) -> frozenset[str]:
    """Names of the rungs that no other one beats or equals in both quality and latency."""
    return frozenset(
        one.name
        for one in rungs
        if not any(
            (other.ndcg >= one.ndcg and other.latency_ms <= one.latency_ms)
            and (other.ndcg > one.ndcg or other.latency_ms < one.latency_ms)
            for other in rungs
        )
    )


def order_of(variants: Sequence[str], ladder: Ladder | None) -> list[str]:
    """Variants as the ladder has them, best first; those that it lacks come after, by name."""
    places = {rung.name: place for place, rung in enumerate(ladder.rungs)} if ladder else {}
    return sorted(set(variants), key=lambda name: (places.get(name, len(places)), name))


def answers_by_variant(served: Table) -> dict[str, float]:
    """Answers of each variant, most first, from `variants`."""
    totals: dict[str, float] = {}
    for variant, n in zip(served.list("variant"), served["n_requests"].tolist(), strict=True):
        totals[variant] = totals.get(variant, 0.0) + n
    return dict(sorted(totals.items(), key=lambda item: -item[1]))


def given_away(answers: Mapping[str, float], ladder: Ladder) -> float | None:
    """Share of the first serving rung's NDCG@10 that the mix of answers lost; None where that is not known.

    Answers of variants that the ladder lacks are left out.
    """
    ndcg = {rung.name: rung.ndcg for rung in ladder.rungs}
    first = ndcg.get(next(iter(ladder.serving), ""))
    known = {name: n for name, n in answers.items() if name in ndcg}
    if not first or not sum(known.values()):
        return None
    return 1 - sum(n * ndcg[name] for name, n in known.items()) / sum(known.values()) / first


def share_known(feedback: Table) -> float | None:
    """Share of events that could be joined with the list that their user was shown; None without events."""
    n_events = feedback["n_events"]
    if not n_events.sum():
        return None
    return float(n_events[feedback["followed"] != "unknown"].sum() / n_events.sum())


def followed(feedback: Table, n_answers: Mapping[str, float]) -> list[Following]:
    """How each variant's lists were followed.

    Args:
        feedback: from `feedback.kql`.
        n_answers: of each variant in the same range.
    """
    n, kinds, follows = feedback["n_events"], feedback["event_kind"], feedback["followed"]
    clicks = kinds == "click"
    known = follows != "unknown"
    n_clicks = n[clicks].sum()
    clicks_known = n[clicks & known].sum() / n_clicks if n_clicks else np.nan
    judged = []
    for variant in sorted({name for name in feedback["variant"][known] if name}):
        own = known & (feedback["variant"] == variant)
        listed = own & (follows == "listed")
        n_known = float(n[own].sum())
        hits = wilson(n[listed].sum(), n_known)
        answers = float(n_answers.get(variant, 0.0))
        through = wilson(n[listed & clicks].sum(), answers * clicks_known if n_clicks else 0.0)
        judged.append(
            Following(
                variant=variant,
                n_known=n_known,
                hit_rate=float(hits.share),
                hit_rate_low=float(hits.low),
                hit_rate_high=float(hits.high),
                gain=float(feedback["gain"][own].sum() / n_known) if n_known else np.nan,
                n_answers=answers,
                click_through=float(through.share),
                click_through_low=float(through.low),
                click_through_high=float(through.high),
            )
        )
    return judged


def followed_table(rows: Sequence[Following]) -> Table:
    """The same as a table, for a download."""
    return table_of({field.name: [getattr(row, field.name) for row in rows] for field in fields(Following)})


def brownouts(served: Table, interval: timedelta) -> list[Episode]:
    """Stretches of brownout in `variants`, those with most answers first.

    Intervals next to each other, each with at least `LEAST_BROWNOUT` of its answers, are one episode.
    """
    if not served.n_rows:
        return []
    starts, place = np.unique(served["interval_start"], return_inverse=True)
    is_brownout = served["reason"] == BROWNOUT
    n_all = np.bincount(place, served["n_requests"], len(starts))
    n_brown = np.bincount(place, np.where(is_brownout, served["n_requests"], 0.0), len(starts))
    marked = np.flatnonzero(n_brown >= LEAST_BROWNOUT * np.maximum(n_all, 1e-9))
    marked = marked[n_brown[marked] > 0]
    step = np.timedelta64(int(interval.total_seconds() * 1e6), "us")
    groups: list[NDArray[np.int64]] = (
        np.split(marked, np.flatnonzero(np.diff(starts[marked]) > step) + 1) if len(marked) else []
    )
    episodes = []
    for group in groups:
        rows = is_brownout & np.isin(place, group)
        since, last = _moments(starts[group[[0, -1]]])
        episodes.append(
            Episode(
                since,
                last + interval,
                float(n_brown[group].sum()),
                tuple(sorted(set(served["variant"][rows].tolist()))),
            )
        )
    return sorted(episodes, key=lambda episode: -episode.n_requests)


def _moments(times: NDArray[np.datetime64]) -> list[datetime]:
    """Times, datetime64 in UTC, as Python's own."""
    return list(Table(("at",), (times.astype("datetime64[us]"),)).list("at"))
