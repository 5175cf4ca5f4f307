"""The overview's figures as tiles: the promise, and what it takes to keep it."""

from collections.abc import Mapping
from datetime import timedelta

import numpy as np

from console.analysis.bill import Bill
from console.analysis.fleet import instances_over_time
from console.analysis.latency import GROWTH
from console.analysis.quantiles import quantile
from console.analysis.slo import (
    PAGE_AT,
    Promise,
    burn_course,
    burn_tone,
    kept_of,
    rate_course,
    refused_course,
)
from console.formats import UNKNOWN, apart, ms, number, share, short, usd
from console.pieces import Tile, Tone
from console.scope import Scope, link_to
from console.telemetry import Table

HOUR = timedelta(hours=1)
SHARES: Mapping[str, float] = {"p50": 0.50, "p95": 0.95, "p99": 0.99}


def promise_tiles(
    scope: Scope, promise: Promise, *, recent: Table, histogram: Table, latency: Table
) -> list[Tile]:
    """Burn rates and percentiles.

    Args:
        recent: the answer to `requests` for the longest window of `PAGE_AT`, with what was held.
        histogram: the answer to `latency_histogram`.
        latency: its percentiles over time.
    """
    figures = [_burn_tile(scope, promise, recent, window) for window in PAGE_AT]
    for name, wanted in SHARES.items():
        found = (
            quantile(histogram["bucket"], histogram["n_requests"], wanted, growth=GROWTH)
            if histogram.n_rows
            else None
        )
        value_ms = found.value_ms if found else None
        value, unit = apart(ms(value_ms))
        figures.append(
            Tile(
                name,
                value,
                unit,
                delta=_against(value_ms, promise.within_ms),
                tone="quiet" if value_ms is None else "bad" if value_ms > promise.within_ms else "good",
                spark=latency[f"{name}_ms"].tolist() if latency.n_rows else (),
                href=link_to("latency", scope),
                help=f"{wanted:.0%} of the answered requests took no longer in the app; weighted, right to 2.5 %.",
            )
        )
    return figures


def _burn_tile(scope: Scope, promise: Promise, recent: Table, window: timedelta) -> Tile:
    since = scope.until - window
    kept = kept_of(recent, since=since)
    burn, (low, high) = kept.burn(promise), kept.burn_interval(promise)
    missed = f"{share(1 - kept.share)} missed, {promise.budget * 100:.3g} % may"
    return Tile(
        f"Burn rate, {window / HOUR:.0f} h",
        number(burn, 2 if burn < 10 else 1 if burn < 100 else 0),
        "×" if kept.n_requests else "",
        delta=missed if kept.n_requests else "no traffic",
        tone=burn_tone(burn, window),
        spark=burn_course(recent, promise, since=since).tolist(),
        href=link_to("latency", scope, since=since, until=scope.until),
        help=f"At 1 the error budget lasts just as long as the promise; {PAGE_AT[window]:g} wakes somebody. "
        f"{short(kept.n_requests)} requests allow {number(low, 1)} to {number(high, 1)} (95 %).",
    )


def _against(value_ms: float | None, slo_ms: float) -> str:
    if value_ms is None:
        return "no answers"
    over_ms = value_ms - slo_ms
    return f"{ms(abs(over_ms))} {'over' if over_ms > 0 else 'inside'} the SLO"


def traffic_tiles(
    scope: Scope, promise: Promise, *, requests: Table, width: timedelta, instances: Table, bill: Bill
) -> list[Tile]:
    """Rate, errors, instances and cost.

    Args:
        requests: the answer to `requests`, with what was held.
        width: of its bins.
        instances: the answer to `instances`.
    """
    kept, width_s = kept_of(requests), width.total_seconds()
    rates = rate_course(requests, width_s)
    busiest = float(np.nanmax(requests["n_requests"])) / width_s if requests.n_rows else float("nan")
    mean = kept.n_requests / _seen_s(scope, requests, width_s) if requests.n_rows else float("nan")
    refused = kept.refused_share
    of_bill = "An approximation: no plan says what it allocated." if bill.is_approximate else ""
    return [
        Tile(
            "Requests",
            short(mean),
            "/s" if requests.n_rows else "",
            delta=f"{short(busiest)}/s at most, {short(kept.n_requests)} in all" if requests.n_rows else "",
            spark=rates.tolist(),
            href=link_to("latency", scope),
            help="Mean over the time that telemetry covers.",
        ),
        Tile(
            "Errors",
            share(refused).removesuffix(" %"),
            "%" if kept.n_requests else "",
            delta=f"{short(kept.n_shed)} shed, {short(kept.n_failed)} failed" if kept.n_requests else "",
            tone=_tone_of_errors(refused, promise),
            spark=refused_course(requests).tolist(),
            href=link_to("concurrency", scope),
            help="Share of requests that were shed or failed.",
        ),
        _instances_tile(scope, instances),
        Tile(
            "Cost per 1,000",
            usd(bill.usd_per_1000),
            delta=f"{bill.n_instances:.1f} instances of {bill.sku}"
            if bill.month_usd is not None
            else "not known",
            href=link_to("cost", scope),
            help=" ".join(filter(None, ("List price of instances and telemetry by answers.", of_bill))),
        ),
        Tile(
            "Month at this pace",
            usd(bill.month_usd),
            delta=_projection(bill),
            href=link_to("cost", scope),
            help=" ".join(
                filter(None, ("The bill of 730 hours with this range's instances and telemetry.", of_bill))
            ),
        ),
    ]


def _seen_s(scope: Scope, requests: Table, width_s: float) -> float:
    """How much of the range there is any telemetry in."""
    first, last = (requests.list("interval_start")[at] for at in (0, -1))
    since, until = max(first, scope.since), min(last + timedelta(seconds=width_s), scope.until)
    seconds: float = max((until - since).total_seconds(), 1.0)
    return seconds


def _tone_of_errors(refused: float, promise: Promise) -> Tone:
    if not np.isfinite(refused):
        return "quiet"
    return "good" if refused == 0 else "warn" if refused <= promise.budget else "bad"


def _instances_tile(scope: Scope, instances: Table) -> Tile:
    course = instances_over_time(instances, scope.since, scope.until)
    known = course.size > 0
    return Tile(
        "Instances",
        number(course[-1]) if known else UNKNOWN,
        delta=f"at most {course.max():.0f} in the range" if known else "none seen",
        spark=course.tolist(),
        href=link_to("contention", scope),
        help="Seen at the end of the range, by their heartbeats of once a minute.",
    )


def _projection(bill: Bill) -> str:
    if bill.month_usd is None:
        return "not known"
    telemetry = bill.part("telemetry")
    return f"{usd(telemetry.month_usd)} of it telemetry" if telemetry else "telemetry within its free amount"
