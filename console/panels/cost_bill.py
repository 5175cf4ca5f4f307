"""What instances were paid for over time, and the bill by its lines."""

from collections.abc import Mapping
from datetime import timedelta
from html import escape

import streamlit as st

from console.analysis.bill import DEFAULT_REGION, TITLES, Bill
from console.asking import Answer
from console.charts.cost import allocation_chart, bill_strip, swatch
from console.formats import UNKNOWN, number, share, usd
from console.page import Click, echart, panel
from console.palette import Palette
from console.pieces import badge, links
from console.scope import Scope, link_to
from console.telemetry import Table, table_of

NO_ALLOCATION = (
    "Nothing in this range says which instances were allocated: neither the plan nor the instances' own heartbeats. "
    "Choose a range with traffic."
)


def show_time(scope: Scope, seconds: Answer, bill: Bill, palette: Palette) -> None:
    """Draw allocated instances over time."""
    interval = scope.interval

    def draw(table: Table) -> None:
        touched = echart(
            allocation_chart(table, interval.total_seconds(), palette),
            key="allocation",
            height=268,
            label="Allocated instances over time, by what their time was spent on",
            click=True,
        )
        if isinstance(touched, Click) and isinstance(touched.value, list) and touched.value:
            _show_moment(scope, touched.value[0], interval)

    busiest = max(bill.parts, key=lambda part: part.instance_s, default=None)
    title = "What were instances paid for?"
    if busiest is not None and busiest.instance_s:
        title = (
            f"{share(busiest.instance_s / bill.instance_s)} of the instances' time was "
            f"{TITLES[busiest.name].lower().replace(', ', ' and ')}"
        )
    panel(
        title,
        seconds,
        draw,
        key="time",
        unit="instances",
        note="Seconds that instances sampled themselves; time before readiness is missing."
        if bill.is_approximate
        else "Every billed second, by what it was spent on. Click a bar for the requests of that time.",
        empty=NO_ALLOCATION,
    )


def _show_moment(scope: Scope, at_ms: object, interval: timedelta) -> None:
    """A link to what happened in a bin that was clicked."""
    if not isinstance(at_ms, int | float) or not 0 < at_ms < 1e14:
        return
    since = scope.since.fromtimestamp(at_ms / 1e3, scope.since.tzinfo)
    until = since + interval
    ways = [
        (text, link_to(view, scope, since=since, until=until))
        for text, view in (
            ("requests", "latency"),
            ("instances", "concurrency"),
            ("cold starts", "cold_starts"),
        )
    ]
    st.html(f'<p class="rs-note">{since:%H:%M:%S} to {until:%H:%M:%S} UTC: {links(ways)}</p>')


def show_bill(seconds: Answer, answers: Mapping[str, Answer], bill: Bill, palette: Palette) -> None:
    """Draw the bill, a row a line."""

    def draw(*_: Table) -> None:
        rows = "".join(
            f"<tr><td><i class='rs-swatch' style='background:{swatch(part.name, palette)}'></i>"
            f"{escape(part.title)}</td>"
            f"<td class='rs-number'>{_hours(part.instance_s)}</td>"
            f"<td class='rs-number'>{share(part.share)}</td>"
            f"<td class='rs-number'>{_small_usd(part.usd_per_1000)}</td>"
            f"<td class='rs-number'>{_small_usd(part.month_usd)}</td></tr>"
            for part in bill.parts
        )
        hours = _hours(bill.instance_s)
        st.html(
            bill_strip(bill, palette)
            + '<div class="rs-table" tabindex="0" role="region" aria-label="The bill by its lines"><table><thead><tr>'
            '<th scope="col">Line</th><th scope="col" class="rs-number">Hours</th>'
            '<th scope="col" class="rs-number">Share</th>'
            '<th scope="col" class="rs-number">Per 1,000</th><th scope="col" class="rs-number">A month</th>'
            f"</tr></thead><tbody>{rows}</tbody><tfoot><tr><td>Total</td><td class='rs-number'>{hours}</td>"
            f"<td class='rs-number'>100 %</td><td class='rs-number'>{usd(bill.usd_per_1000)}</td>"
            f"<td class='rs-number'>{usd(bill.month_usd)}</td></tr></tfoot></table></div>"
        )
        remarks = badge("approximation", "warn") if bill.is_approximate else ""
        if bill.unconfirmed:
            remarks += badge("prices unconfirmed", "quiet", help="; ".join(bill.unconfirmed))
        st.html(f"<div class='rs-remarks'>{remarks}</div>")

    panel(
        "The bill",
        [seconds, answers["load"], answers["volume"]],
        draw,
        key="bill",
        unit="USD",
        note=f"{bill.sku} at list prices of {DEFAULT_REGION}; hours of this range.",
        empty=NO_ALLOCATION,
        csv=lambda: table_of(
            {
                "line": [part.name for part in bill.parts],
                "instance_s": [part.instance_s for part in bill.parts],
                "share": [part.share for part in bill.parts],
                "usd_per_1000": [part.usd_per_1000 for part in bill.parts],
                "usd_per_month": [part.month_usd for part in bill.parts],
            }
        ).csv(),
    )


def _hours(seconds: float) -> str:
    hours = seconds / 3600
    return number(hours, 1 if hours >= 0.1 else 2) if seconds else UNKNOWN


def _small_usd(value: float | None) -> str:
    return "< $0.0001" if value is not None and 0 < value < 5e-5 else usd(value)
