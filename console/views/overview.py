"""Overview: are we inside the SLO, and if not, why?"""

from datetime import timedelta

import streamlit as st

from console.analysis.bill import Bill, bill_of, sku_of
from console.analysis.changes import gather, tally
from console.analysis.latency import GROWTH, percentiles_over_time
from console.analysis.slo import PAGE_AT, Promise, kept_of, with_held, worst_of
from console.analysis.tail import rank
from console.analysis.verdict import verdict
from console.asking import Answer, Question, ask, ask_later
from console.bar import current_scope
from console.charts.overview import latency_over_time
from console.charts.overview_tables import (
    causes_note,
    causes_table,
    causes_title,
    changes_table,
    refused_note,
    worst_note,
)
from console.page import current_palette, echart, heading, panel, panel_row, say
from console.panels.overview_tiles import promise_tiles, traffic_tiles
from console.pieces import tiles
from console.settings import settings
from console.telemetry import Table

HOUR, SIX_HOURS = PAGE_AT
MINUTE = timedelta(minutes=1)
NO_ANSWERS = "Nothing was answered in this range."
LONGEST_BY_MINUTE = timedelta(hours=24)
"Ranges up to this are searched for their worst minute; of longer ones it is a bin."


def show() -> None:
    """Draw the view."""
    scope = current_scope()
    promise = Promise(settings().slo_share, settings().slo_ms)
    width = MINUTE if scope.until - scope.since <= LONGEST_BY_MINUTE else scope.interval
    # The promise is about the service: what is shed or failed has no variant.
    of_all = {"variant": "", "version": ""}
    # Where the range holds the windows of the burn rates, in minutes, they need no questions of their own.
    is_apart = width > MINUTE or scope.until - scope.since < SIX_HOURS
    later = (
        ask_later(
            scope,
            since=scope.until - SIX_HOURS,
            requests=Question("requests", interval=MINUTE, **of_all),
            held=Question("held", interval=MINUTE),
        )
        if is_apart
        else {}
    )
    answers = ask(
        scope,
        requests=Question("requests", interval=width, **of_all),
        held=Question("held", interval=width),
        causes=Question("tail_causes"),
        histogram=Question("latency_histogram", growth=GROWTH),
        changes=Question("changes"),
        instances=Question("instances"),
        allocation=Question("allocation"),
        observed=Question("allocation_observed"),
        volume=Question("volume"),
    )
    requests = with_held(answers["requests"].table, answers["held"].table)
    apart = {name: future.result().table for name, future in later.items()}
    recent = with_held(apart["requests"], apart["held"]) if apart else requests
    kept, worst = kept_of(requests), worst_of(requests, width)
    hour = kept_of(recent, since=scope.until - HOUR)
    latency = percentiles_over_time(answers["histogram"].table)
    contributors = rank(answers["causes"].table)
    changes = gather(answers["changes"].table)

    failure = answers["requests"].failure
    is_known = not answers["requests"].is_failed
    heading(
        "Are we inside the SLO, and if not, why?",
        verdict(kept, promise, contributors, hour=hour) if is_known else "",
    )
    if failure is not None:
        say(failure)
    if is_known:
        of_promise = promise_tiles(
            scope,
            promise,
            recent=recent,
            histogram=answers["histogram"].table,
            latency=latency,
        )
        of_traffic = traffic_tiles(
            scope,
            promise,
            requests=requests,
            width=width,
            instances=answers["instances"].table,
            bill=_bill(answers),
        )
        st.html(tiles(of_promise) + tiles(of_traffic))
    if scope.variant or scope.version:
        st.html(
            '<p class="rs-remark">Burn rates, traffic, errors, instances and cost are of all variants and versions: '
            "what is shed or failed has none.</p>"
        )

    def draw_causes(_: Table) -> None:
        st.html(causes_table(scope, contributors, current_palette()) + refused_note(scope, kept))

    def draw_latency(_: Table) -> None:
        chart = latency_over_time(
            latency,
            changes,
            current_palette(),
            slo_ms=promise.within_ms,
            since=scope.since,
            until=scope.until,
            worst=worst,
        )
        label = "p50, p95 and p99 over time, with what changed"
        echart(chart, key="latency", height=340, label=label)
        st.html(worst_note(scope, worst))

    def draw_changes(_: Table) -> None:
        st.html(changes_table(scope, changes))

    left, right = panel_row([11, 9])
    with left:
        panel(
            causes_title(contributors),
            answers["causes"],
            draw_causes,
            key="causes",
            note=causes_note(contributors, promise),
            empty="No answer was later than promised." if kept.n_requests else NO_ANSWERS,
        )
    with right:
        panel(
            "What changed?",
            answers["changes"],
            draw_changes,
            key="changes",
            note=f"{tally(changes)}." if changes else "",
            empty="Nothing changed in this range: no release, no instance that came or went, no fault.",
        )
    panel(
        "When was the tail long, and what changed just before?",
        answers["histogram"],
        draw_latency,
        key="latency-panel",
        csv=latency.csv,
        empty=NO_ANSWERS,
        unit="ms, log scale, UTC",
    )


def _bill(answers: dict[str, Answer]) -> Bill:
    of_plan, observed = answers["allocation"], answers["observed"]
    return bill_of(
        (of_plan if of_plan.has_rows else observed).table,
        answers["requests"].table,
        answers["volume"].table,
        sku=sku_of(answers["instances"].table),
    )
