"""Concurrency: at what in-flight level does latency break?"""

from datetime import timedelta
from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from console.analysis.knee import Knee, NoKnee, find_knee
from console.asking import Answer, Question, ask
from console.bar import current_scope
from console.behind import clicked_place, failure_of_all, show_requests_behind
from console.charts.concurrency import (
    BROWNOUT,
    batch_bars,
    dispatch_rows,
    instance_lines,
    knee_scatter,
    needed_instances,
    refusal_bars,
)
from console.formats import ms, number, share
from console.page import current_palette, echart, heading, panel, panel_row, say
from console.palette import Palette
from console.pieces import Cell, Column, Tile, data_table, tiles
from console.scope import INTERVALS_S, Scope, link_to
from console.settings import settings
from console.telemetry import Table

QUESTION = "At what in-flight level does latency break?"
SAMPLES_S = 60
"A row of the metrics is a minute of a process: narrower intervals would be empty in between."
POINT_S = 30
"Narrowest interval of a point: a 99th percentile wants requests."
MOST_POINTS_OVER_TIME = 300
SEED = 8


def show() -> None:
    """Draw the view."""
    scope, palette = current_scope(), current_palette()
    sampled = max(scope.interval, timedelta(seconds=SAMPLES_S))
    width = point_width(scope.until - scope.since)
    answers = ask(
        scope,
        points=Question("in_flight_latency", interval=width),
        now=Question("concurrency", interval=sampled),
        load=Question("requests", variant="", version=""),
        refusals=Question("refusals"),
        variants=Question("variants", variant="", version=""),
        batches=Question("batches"),
        decisions=Question("scale_decisions"),
    )
    if (failure := failure_of_all(answers)) is not None:
        heading(QUESTION)
        say(failure)
        return
    points = answers["points"].table
    found = _fit(points)
    limit = _limit(points, answers["now"].table)
    heading(QUESTION, _answer(answers["points"], found, limit))
    if answers["load"].has_rows:
        st.html(tiles(_figures(answers, found, limit, scope)))
    left, right = panel_row([3, 2])
    with left:
        _show_knee(answers["points"], found, limit, scope, palette, width)
    with right:
        _show_instances(answers, found, limit, palette)
    left, right = panel_row(2)
    with left:
        _show_batches(answers["batches"], palette)
    with right:
        _show_refusals(answers, scope, palette)


def point_width(length: timedelta) -> timedelta:
    """Interval of a point: the shortest round one with at most `MOST_POINTS_OVER_TIME` of them in the range."""
    fitting = (s for s in INTERVALS_S if s >= POINT_S and length.total_seconds() <= s * MOST_POINTS_OVER_TIME)
    return timedelta(seconds=next(fitting, INTERVALS_S[-1]))


@st.cache_data(ttl=600, max_entries=50, show_spinner=False)
def _fit_cached(
    in_flight: NDArray[np.float64],
    p99_ms: NDArray[np.float64],
    n_requests: NDArray[np.float64],
    moments: NDArray[np.int64],
) -> Knee | NoKnee:
    return find_knee(in_flight, p99_ms, n_requests, moments=moments, rng=np.random.default_rng(SEED))


def _fit(points: Table) -> Knee | NoKnee:
    if not points.n_rows:
        return NoKnee("no request was answered")
    return _fit_cached(
        points["mean_in_flight"],
        points["p99_ms"],
        points["n_requests"],
        points["interval_start"].astype(np.int64),
    )


def _limit(points: Table, now: Table) -> float | None:
    """What the limiter allows an instance, in the median of the range."""
    for table in (now, points):
        if table.n_rows and np.isfinite(table["limit"]).any():
            return float(np.nanmedian(table["limit"]))
    return None


def _answer(answer: Answer, found: Knee | NoKnee, limit: float | None) -> str:
    if answer.is_failed:
        return ""
    if not answer.has_rows:
        return "No request was answered in this range, so there is nothing to tell."
    slo_ms = settings().slo_ms
    if isinstance(found, NoKnee):
        most = float(np.nanmax(answer.table["mean_in_flight"]))
        if found.low is not None and found.high is not None:
            said = (
                f"Somewhere between {_count(found.low)} and {_count(found.high)} in flight on an instance, "
                f"no closer: {found.reason}."
            )
        else:
            said = f"At none that was seen: {found.reason}."
        return f"{said} At most {_count(most)} were in flight on an instance" + (
            f"; the limiter allows {limit:.0f}." if limit is not None else "."
        )
    if _is_wide(found):
        said = (
            f"Between {_count(found.low)} and {_count(found.high)} in flight on an instance (95 % interval). By the "
            f"best fit, at {_count(found.in_flight)}, p99 is {ms(found.latency_ms)}"
        )
    else:
        said = (
            f"At {_count(found.in_flight)} in flight on an instance (95 % interval {_count(found.low)} to "
            f"{_count(found.high)}): p99 is {ms(found.latency_ms)} there"
        )
    at_slo = found.in_flight_at(slo_ms)
    if at_slo is None:
        said += f", over the SLO of {ms(slo_ms)} already."
    else:
        said += f", and passes the SLO of {ms(slo_ms)} at {_count(at_slo)}."
    if limit is not None:
        said += (
            f" The limiter allows {limit:.0f}: {limit / found.in_flight:.1f} x the knee."
            if limit > found.in_flight
            else f" The limiter stops at {limit:.0f}, before the knee."
        )
    return said


def _figures(
    answers: dict[str, Answer], found: Knee | NoKnee, limit: float | None, scope: Scope
) -> list[Tile]:
    load, now = answers["load"].table, answers["now"].table
    n_requests = float(load["n_requests"].sum())
    n_shed = float(load["n_shed"].sum())
    n_brown = (
        float(_brownout(answers["variants"].table)["n_requests"].sum())
        if answers["variants"].has_rows
        else 0.0
    )
    _, ready, _, needed = _instances(now, _each(found, limit)[0])
    busiest = (
        int(np.nanargmax(now["in_flight"])) if now.n_rows and np.isfinite(now["in_flight"]).any() else None
    )
    is_short = bool(now.n_rows and (needed > ready).any())
    figures = [
        Tile(
            "Knee",
            _place(found),
            unit="in flight" if found.low is not None else "",
            delta=f"95 %: {_count(found.low)} to {_count(found.high)}"
            if isinstance(found, Knee)
            else "no closer in these data"
            if found.low is not None
            else "not in these data",
            tone="info" if isinstance(found, Knee) else "quiet",
            help="Where p99 begins to rise, on one instance.",
        ),
        Tile(
            "Limit",
            number(limit),
            unit="in flight",
            delta=f"{limit / found.in_flight:.1f} x the knee" if isinstance(found, Knee) and limit else "",
            tone="warn" if isinstance(found, Knee) and limit and limit > 1.5 * found.high else "quiet",
            help="What the limiter lets in on one instance at a time, in the median.",
        ),
        Tile(
            "Busiest instance",
            _count(float(now["in_flight"][busiest])) if busiest is not None else "–",
            unit="in flight",
            delta=str(now["instance"][busiest]) if busiest is not None else "",
            spark=_over_time(now, "in_flight"),
            href=link_to("contention", scope),
            help="Mean over the busiest interval; contention tells what it was short of.",
        ),
        Tile(
            "Instances ready",
            number(float(ready[-1])) if len(ready) else "–",
            delta=f"{_intervals(int((needed > ready).sum()))} needed more"
            if is_short
            else "always enough"
            if len(ready)
            else "",
            tone="bad" if is_short else "good",
            spark=ready.tolist(),
            help="In the last interval; needed are as many as keep each at the knee, or where none is known the limit.",
        ),
        Tile(
            "Shed",
            *_split(share(n_shed / n_requests if n_requests else None)),
            delta=f"{number(n_shed)} of {number(n_requests)} requests",
            tone="bad" if n_shed else "quiet",
            spark=(load["shed_share"] * 100).tolist(),
        ),
        Tile(
            "Answered in brownout",
            *_split(share(n_brown / n_requests if n_requests else None)),
            delta=f"{number(n_brown)} by a lower rung",
            tone="warn" if n_brown else "quiet",
            href=link_to("models", scope),
            help="Under pressure a cheaper model answers instead of none.",
        ),
    ]
    return figures


def _show_knee(
    answer: Answer,
    found: Knee | NoKnee,
    limit: float | None,
    scope: Scope,
    palette: Palette,
    width: timedelta,
) -> None:
    def draw(table: Table) -> None:
        chart = knee_scatter(table, found, palette, slo_ms=settings().slo_ms, limit=limit)
        touched = echart(chart, key="knee", height=360, label="In flight against p99", click=True)
        place = clicked_place(touched, instance_at=3, start_at=5)
        if place is not None and scope.since - width <= place.since <= scope.until:
            show_requests_behind(place, scope, width)
        else:
            st.html(
                '<p class="rs-hint">Click a point to see the slowest requests of that instance and time.</p>'
            )

    title = (
        f"p99 breaks between {_count(found.low)} and {_count(found.high)} in flight, no closer"
        if isinstance(found, NoKnee) and found.low is not None and found.high is not None
        else "No knee in these data"
        if isinstance(found, NoKnee)
        else f"p99 breaks between {_count(found.low)} and {_count(found.high)} in flight"
        if _is_wide(found)
        else f"p99 breaks at {_count(found.in_flight)} in flight"
    )
    note = f"A point is an instance in {_length(width)}."
    if isinstance(found, Knee):
        note += (
            f" From the knee on, p99 grows {np.expm1(found.after):.0%} with each further request in flight; "
            f"{found.n_points:,} points."
        )
    else:
        note += f" {found.reason[0].upper()}{found.reason[1:]}."
    panel(
        title,
        answer,
        draw,
        key="concurrency-knee",
        unit="ms",
        note=note,
        empty="No request was answered in this range.",
    )


def _show_instances(
    answers: dict[str, Answer], found: Knee | NoKnee, limit: float | None, palette: Palette
) -> None:
    each, source = _each(found, limit)
    times, ready, busy, needed = _instances(answers["now"].table, each)
    decisions = answers["decisions"].table
    wanted = None
    if decisions.n_rows:
        told = decisions.where(np.isfinite(decisions["n_wanted"]))
        wanted = (told["at"], told["n_wanted"]) if told.n_rows else None
    n_short = int((needed > ready).sum())

    def draw(*_: Table) -> None:
        chart = instance_lines(times, ready, busy, needed, palette, wanted=wanted)
        echart(chart, key="instances", height=360, label="Ready, busy and needed instances over time")

    panel(
        (
            f"Too few instances in {n_short} of {len(times)} intervals"
            if n_short
            else "There were enough instances all the time"
        )
        if len(times)
        else "Were there enough instances?",
        answers["now"],
        draw,
        key="concurrency-instances",
        unit="instances",
        note=f"Needed: all in flight, at {_count(each)} an instance: {source}. Busy: instances' worth of time with a "
        "request in flight.",
        empty="No instance told of its load in this range.",
    )


def _show_batches(answer: Answer, palette: Palette) -> None:
    title = "How large are micro-batches, and why?"
    if answer.has_rows:
        n, sizes = answer.table["n_requests"], answer.table["batch_size"]
        alone = float(n[sizes <= 1].sum() / n.sum())
        mean = float(np.average(sizes, weights=n))
        title = (
            f"A request shares its model run with {mean - 1:.1f} others; {share(alone)} run alone"
            if mean >= 1.1
            else f"Nearly every request runs alone: {share(alone)}"
        )

    def draw(table: Table) -> None:
        echart(
            batch_bars(table, palette), key="batches", height=230, label="Requests by batch size and reason"
        )
        columns = [
            Column("Dispatch"),
            Column("Why"),
            Column("Requests", is_bar=True),
            Column("Batch", is_number=True),
            Column("Queue", unit="ms", is_number=True),
            Column("Model", unit="ms", is_number=True),
        ]
        st.html(data_table(columns, dispatch_rows(table), label="Dispatch reasons"))

    panel(
        title,
        answer,
        draw,
        key="concurrency-batches",
        unit="% of requests",
        empty="No request was answered in this range.",
    )


def _show_refusals(answers: dict[str, Answer], scope: Scope, palette: Palette) -> None:
    load, refusals = answers["load"], answers["refusals"]
    brownout = _brownout(answers["variants"].table)
    n_requests = float(load.table["n_requests"].sum()) if load.has_rows else 0.0
    n_refused = float(refusals.table["n_requests"].sum()) if refusals.has_rows else 0.0
    n_brown = float(brownout["n_requests"].sum()) if brownout.n_rows else 0.0
    is_quiet = not n_refused and not n_brown
    if is_quiet:
        title = "Nothing was refused, and nothing browned out"
    else:
        refused, browned = share(n_refused / n_requests), share(n_brown / n_requests)
        title = f"{refused} were refused or failed, {browned} got a lower rung"

    def draw(table: Table, *_: Table) -> None:
        if is_quiet:
            st.html('<div class="rs-empty">Every request was answered by the rung that it should have.</div>')
            return
        echart(
            refusal_bars(table, refusals.table, brownout, palette),
            key="refusals",
            height=230,
            label="Shed, failed and browned out requests over time",
        )
        st.html(_reason_table(refusals.table, brownout, n_requests, scope))

    panel(
        title if load.has_rows else "What was refused?",
        [load, refusals, answers["variants"]],
        draw,
        key="concurrency-refusals",
        unit="% of requests",
        note="Of all variants and versions: what is refused has none."
        if scope.variant or scope.version
        else "",
        empty="No requests in this range.",
        csv=refusals.table.csv if refusals.has_rows else None,
    )


def _reason_table(refusals: Table, brownout: Table, n_requests: float, scope: Scope) -> str:
    """What was refused and browned out, by reason."""
    counts: dict[tuple[str, str], float] = {}
    for row in refusals.rows():
        key = (row["outcome"], row["reason"])
        counts[key] = counts.get(key, 0.0) + row["n_requests"]
    for row in brownout.rows():
        key = (BROWNOUT, f"answered by {row['variant']}")
        counts[key] = counts.get(key, 0.0) + row["n_requests"]
    rows: list[list[Cell | str | float | None]] = [
        [outcome, reason.replace("_", " ") or "–", n, share(n / n_requests)]
        for (outcome, reason), n in sorted(counts.items(), key=lambda each: -each[1])[:6]
    ]
    columns = [
        Column("Outcome"),
        Column("Reason"),
        Column("Requests", is_number=True),
        Column("Of all", is_number=True),
    ]
    return data_table(columns, rows, label="Refused requests by reason")


def _brownout(variants: Table) -> Table:
    return variants.where(variants["reason"] == BROWNOUT) if variants.n_rows else variants


def _each(found: Knee | NoKnee, limit: float | None) -> tuple[float, str]:
    """What one instance is trusted with, and where that is from."""
    if isinstance(found, Knee):
        return max(found.in_flight, 1.0), "the knee"
    if found.low is not None:
        return max(found.low, 1.0), "the most that was seen to be fast"
    return max(
        limit or 1.0, 1.0
    ), "the limit, which does not keep latency" if limit else "for want of a limit"


def _instances(now: Table, each: float) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]]:
    """By interval: its start, instances that were ready, that were busy, and that the load needed."""
    if not now.n_rows:
        return np.empty(0, dtype="datetime64[us]"), np.empty(0), np.empty(0), np.empty(0)
    times, places = np.unique(now["interval_start"], return_inverse=True)
    in_flight = np.nan_to_num(now["in_flight"])
    ready = np.bincount(places, minlength=len(times)).astype(float)
    busy = np.bincount(places, np.minimum(in_flight, 1.0), minlength=len(times))
    total = np.bincount(places, in_flight, minlength=len(times))
    return times, ready, busy, needed_instances(total, each)


def _over_time(table: Table, column: str) -> list[float]:
    """The most over instances, by interval."""
    if not table.n_rows:
        return []
    times, places = np.unique(table["interval_start"], return_inverse=True)
    most = np.zeros(len(times))
    np.maximum.at(most, places, np.nan_to_num(table[column]))
    return [float(value) for value in most]


def _count(value: float) -> str:
    return f"{value:.0f}" if value >= 10 else f"{value:.1f}" if value >= 0.95 else f"{value:.2f}"


def _place(found: Knee | NoKnee) -> str:
    """The knee for a tile: a number, or between which it is."""
    if found.low is None or found.high is None:
        return "–"
    if isinstance(found, NoKnee) or _is_wide(found):
        return f"{_count(found.low)}–{_count(found.high)}"
    return _count(found.in_flight)


def _is_wide(found: Knee) -> bool:
    """The interval, not the best fit, is what can be said."""
    return found.high - found.low > 0.5 * found.in_flight


def _intervals(n: int) -> str:
    return f"{n} interval{'s' if n != 1 else ''}"


def _length(width: timedelta) -> str:
    seconds = int(width.total_seconds())
    return f"{seconds // 60} min" if seconds % 60 == 0 else f"{seconds} s"


def _split(said: str) -> tuple[str, str]:
    value, _, unit = said.partition(" ")
    return value, unit
