"""Latency: where does the tail come from?"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import numpy as np
import streamlit as st

from console.analysis.latency import (
    FEWEST,
    GROWTH,
    PHASES,
    Compared,
    compare,
    evidence,
    gaps,
    overall,
    phases_by_band,
    verdict,
)
from console.analysis.quantiles import quantiles_over_time, share_above, shares_above_over_time
from console.analysis.region import NAMES, LatencyRegion, read_region, region_of
from console.asking import Answer, Question, ask
from console.bar import current_scope
from console.charts.latency import heatmap, heatmap_legend, phase_bars, variant_ranges
from console.charts.requests import request_table
from console.formats import UNKNOWN, ms, number, share, short
from console.page import (
    Region,
    altair_chart,
    current_palette,
    echart,
    heading,
    panel,
    panel_row,
    say,
)
from console.pieces import Cell, Column, Tile, Tone, anchor, data_table, legend, tiles
from console.scope import Scope, link_to
from console.settings import settings
from console.telemetry import Table

QUESTION = "Where does the tail come from?"
N_SLOWEST = 12
N_PICKED = 15
N_AT_MOST = 200
"Rows of `slow_requests`."
BAR_HEIGHT_PX, AXIS_HEIGHT_PX = 34, 30
_DRAGGED = "_latency_dragged"


def show() -> None:
    """Draw the view."""
    scope = current_scope()
    answers = ask(
        scope,
        histogram=Question("latency_histogram", growth=GROWTH),
        phases=Question("phases_by_latency"),
        variants=Question("latency_by_variant", growth=GROWTH),
        slowest=Question("slow_requests"),
    )
    histogram = answers["histogram"]
    if all(answer.is_failed for answer in answers.values()) and histogram.failure is not None:
        heading(QUESTION)
        say(histogram.failure)
        return
    n_effective = evidence(answers["variants"].table, variant=scope.variant, version=scope.version)
    heading(QUESTION, _finding(answers, n_effective))
    if histogram.has_rows:
        st.html(tiles(_figures(scope, histogram.table, answers["slowest"].table, n_effective)))
    complaint = _show_heatmap(scope, histogram)
    if complaint:
        say(complaint, "warn", compact=True)
    if (region := read_region(st.query_params.to_dict())[0]) is not None:
        _show_region(scope, region)
    left, right = panel_row(2)
    with left:
        _show_phases(answers["phases"])
    with right:
        _show_variants(scope, answers["variants"])
    panel(
        "The slowest requests, and what each spent its time on",
        answers["slowest"],
        lambda table: st.html(request_table(scope, table, most=N_SLOWEST)),
        key="slowest",
        note="Refused and failed requests are among them. The download holds the slowest 200.",
        empty="No request in this range.",
    )


def _finding(answers: Mapping[str, Answer], n_effective: float) -> str:
    """The view's answer in a sentence."""
    table, slo_ms = answers["histogram"].table, settings().slo_ms
    p99 = overall(table, 0.99) if table.n_rows else None
    if p99 is None:
        return "" if answers["histogram"].is_failed else "No request was answered in this range."
    if n_effective < FEWEST:
        return (
            f"What was kept of {short(table['n_requests'].sum())} answered requests is too little for a p99; "
            f"the median is {ms(_value(overall(table, 0.5)))}."
        )
    over = p99.value_ms - slo_ms
    told = f"p99 is {ms(p99.value_ms)}, " + (
        f"{ms(over)} over the SLO of {ms(slo_ms)}." if over > 0 else f"inside the SLO of {ms(slo_ms)}."
    )
    bands = phases_by_band(answers["phases"].table) if answers["phases"].has_rows else {}
    if bands:
        first, second, *_ = sorted(gaps(bands), key=lambda gap: -gap.share)
        if first.share > 0:
            told += f" Of what it has above the median, {share(first.share)} is {PHASES[first.phase]}"
            told += f" and {share(second.share)} {PHASES[second.phase]}." if second.share >= 0.1 else "."
    return told


def _figures(scope: Scope, histogram: Table, slowest: Table, n_effective: float) -> list[Tile]:
    slo_ms, target = settings().slo_ms, settings().slo_share
    times, buckets, counts = (histogram[name] for name in ("interval_start", "bucket", "n_requests"))
    figures = []
    for label, at in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99)):
        found = overall(histogram, at)
        value, unit = _apart(ms(_value(found)))
        over = _value(found) - slo_ms
        tone: Tone
        delta, tone = (
            f"{ms(abs(over))} {'over' if over > 0 else 'inside'} the SLO",
            "bad" if over > 0 else "good",
        )
        if label == "p99" and n_effective < FEWEST:
            delta, tone = "too few requests to be sure", "quiet"
        figures.append(
            Tile(
                label,
                value,
                unit=unit,
                delta=delta,
                tone=tone,
                spark=quantiles_over_time(times, buckets, counts, at, growth=GROWTH).tolist(),
                help="Of answered requests, weighted for those that were not kept.",
            )
        )
    over_share = share_above(buckets, counts, slo_ms, growth=GROWTH)
    figures.append(
        Tile(
            "Slower than the SLO",
            *_apart(share(over_share)),
            delta=f"{share(1 - target)} are allowed",
            tone="bad" if over_share > 1 - target else "good",
            spark=shares_above_over_time(times, buckets, counts, slo_ms, growth=GROWTH).tolist(),
        )
    )
    if slowest.n_rows:
        first = slowest.rows()[0]
        value, unit = _apart(ms(first["duration_ms"]))
        figures.append(
            Tile(
                "Slowest",
                value,
                unit=unit,
                delta=f"at {first['at']:%H:%M:%S}: open its trace",
                tone="info",
                href=link_to("trace", scope, trace=first["trace"]),
            )
        )
    figures.append(
        Tile(
            "Answered",
            short(counts.sum()),
            delta="requests in this range",
            help="What the kept ones stand for.",
        )
    )
    return figures


def _show_heatmap(scope: Scope, histogram: Answer) -> str:
    """Draw it, and take what is dragged in it to the address; a sentence if the address was of no use."""
    palette = current_palette()
    region, complaint = read_region(st.query_params.to_dict())

    def draw(table: Table) -> Region | None:
        dragged = echart(
            heatmap(
                table,
                palette,
                interval=scope.interval,
                since=scope.since,
                until=scope.until,
                slo_ms=settings().slo_ms,
                region=region,
            ),
            key="heatmap",
            height=330,
            brush=True,
            label="Answered requests by time and latency, with p50, p99 and the SLO.",
        )
        with st.container(
            key="heatmap-foot",
            horizontal=True,
            vertical_alignment="center",
            horizontal_alignment="distribute",
        ):
            st.html(
                '<div class="rs-key"><span class="rs-beside">Requests in a cell</span>'
                f"{legend(heatmap_legend(table, palette))}</div>"
            )
            _show_region_form(scope, region)
        return dragged if isinstance(dragged, Region) else None

    dragged = panel(
        "Every answered request, by when it came and how long it took",
        histogram,
        draw,
        key="latency-heatmap",
        unit="ms, log scale",
        note="Drag over a part of it to list the requests in there; the address is then a link to them.",
        empty="No request was answered in this range. Choose a longer one in the bar above.",
    )
    if dragged is not None and dragged != st.session_state.get(_DRAGGED):
        st.session_state[_DRAGGED] = dragged
        _select(
            region_of(dragged.x_from, dragged.x_to, 10**dragged.y_from, 10**dragged.y_to),
        )
        return ""
    return complaint


def _show_region_form(scope: Scope, region: LatencyRegion | None) -> None:
    """The same without a mouse."""
    with (
        st.popover("Select by numbers", type="tertiary", icon=":material/crop_free:", width="content"),
        st.form("region", border=False),
    ):
        shown = region or LatencyRegion(scope.since, scope.until, settings().slo_ms, 10_000.0)
        first, last = st.columns(2, wrap=False)
        since = first.datetime_input("From, UTC", shown.since.replace(tzinfo=None), step=60)
        until = last.datetime_input("To, UTC", shown.until.replace(tzinfo=None), step=60)
        least_ms = first.number_input("Took at least, ms", 0.0, 1e7, shown.least_ms)
        most_ms = last.number_input("At most, ms", 0.0, 1e7, min(shown.most_ms, 1e7))
        if st.form_submit_button("List these requests", type="primary"):
            assert isinstance(since, datetime)
            assert isinstance(until, datetime)
            if since >= until or least_ms >= most_ms:
                say("The second time and the second latency are the larger ones.", "warn", compact=True)
            else:
                _select(
                    LatencyRegion(since.replace(tzinfo=UTC), until.replace(tzinfo=UTC), least_ms, most_ms)
                )
                st.rerun()


def _show_region(scope: Scope, region: LatencyRegion) -> None:
    answer = ask(
        scope,
        since=region.since,
        until=region.until,
        picked=Question("slow_requests", least_ms=region.least_ms, most_ms=region.most_ms),
    )["picked"]
    rows = answer.table
    n, weight = rows.n_rows, float(rows["weight"].sum()) if rows.n_rows else 0.0
    if n >= N_AT_MOST:
        told = f"The slowest {N_AT_MOST} that were kept; narrow the selection to see others."
    elif n:
        told = f"{number(n)} kept requests, which stand for {number(weight)}."
    else:
        told = ""

    def draw(table: Table) -> None:
        st.html(request_table(scope, table, most=N_PICKED))
        if n > N_PICKED:
            st.html(f'<p class="rs-note">{N_PICKED} of {n} are shown; the download holds all.</p>')

    panel(
        f"Selected: {region.label}",
        answer,
        draw,
        key="region",
        note=told,
        empty="No request began in that time and took that long.",
    )
    with st.container(key="region-acts", horizontal=True, gap="small"):
        margin = max((region.until - region.since) / 2, timedelta(seconds=30))
        links = (
            ("Zoom the page to this time", "latency", region.since, region.until),
            ("Instances at that time", "contention", region.since - margin, region.until + margin),
            ("Load at that time", "concurrency", region.since - margin, region.until + margin),
        )
        st.html(
            '<p class="rs-links">'
            + " · ".join(
                anchor(text, link_to(view, scope, since=since, until=until))
                for text, view, since, until in links
            )
            + "</p>"
        )
        if st.button("Clear the selection", type="tertiary", icon=":material/close:", key="clear-region"):
            for name in NAMES:
                st.query_params.pop(name, None)
            st.rerun()


def _show_phases(answer: Answer) -> None:
    palette = current_palette()

    def draw(table: Table) -> None:
        bands = phases_by_band(table)
        shown = {name: bands[name] for name in ("p50", "p95", "p99")}
        altair_chart(phase_bars(shown, palette), key="phase-bars", height=3 * BAR_HEIGHT_PX + AXIS_HEIGHT_PX)
        rows: list[list[Cell | str | float | None]] = [
            [
                Cell(gap.phase, parts=[(f"var(--rs-phase-{gap.phase})", 1.0)]),
                Cell(gap.phase, help=PHASES[gap.phase]),
                gap.p50_ms,
                gap.p99_ms,
                gap.slowest_ms,
                gap.share,
            ]
            for gap in gaps(bands)
        ]
        columns = [
            Column(""),
            Column("Phase"),
            Column("p50", unit="ms", is_number=True),
            Column("p99", unit="ms", is_number=True),
            Column("Slowest 1 %", unit="ms", is_number=True),
            Column("Of what p99 adds", is_bar=True, tone="warn"),
        ]
        st.html(
            f'<div class="rs-phases">{data_table(columns, rows, label="Phases at the median and in the tail")}</div>'
        )

    title = "What p99 has that the median has not"
    if answer.has_rows:
        most = max(gaps(phases_by_band(answer.table)), key=lambda gap: gap.share)
        if most.share > 0:
            title = f"From p50 to p99, {most.phase} grows most: {ms(most.p50_ms)} to {ms(most.p99_ms)}"
    panel(
        title,
        answer,
        draw,
        key="phases",
        note="Means over the requests around each percentile: p50 is from 45 to 55 %, p99 from 98.5 to 99.5 %.",
        empty="No request was answered in this range.",
    )


def _show_variants(scope: Scope, answer: Answer) -> None:
    palette, slo_ms = current_palette(), settings().slo_ms
    compared = compare(answer.table, slo_ms=slo_ms) if answer.has_rows else []

    def draw(_: Table) -> None:
        altair_chart(
            variant_ranges(compared[:8], palette, slo_ms=slo_ms),
            key="variant-ranges",
            height=26 * len(compared[:8]) + AXIS_HEIGHT_PX,
        )
        st.html(
            legend(
                [
                    ("p50", "var(--rs-text)"),
                    ("p95", "var(--rs-warn)"),
                    ("p99, with its 95 % interval", "var(--rs-bad)"),
                    (f"dashed: SLO {ms(slo_ms)}", "var(--rs-muted)"),
                ]
            )
            + _variant_table(scope, compared)
        )

    panel(
        verdict(compared) if compared else "Variants and versions compared",
        answer,
        draw,
        key="variants",
        unit="ms, log scale",
        note="Intervals follow from the weights and take requests to be independent; short bursts are less certain.",
        empty="No request was answered in this range.",
    )


def _variant_table(scope: Scope, compared: list[Compared]) -> str:
    columns = [
        Column("Variant"),
        Column("Version"),
        Column("Requests", is_number=True),
        Column("p50", is_number=True),
        Column("p95", is_number=True),
        Column("p99", is_number=True),
        Column("95 % interval", is_number=True),
        Column("Over SLO", is_number=True),
    ]
    rows: list[list[Cell | str | float | None]] = [
        [
            Cell(each.variant or "unknown", href=_narrowed(scope, each), help="Show this variant alone"),
            Cell(each.version or UNKNOWN),
            short(each.n_requests),
            each.p50.value_ms,
            each.p95.value_ms,
            Cell("too few", tone="quiet", help=f"A p99 takes {FEWEST} requests of equal weight.")
            if each.is_few
            else each.p99.value_ms,
            UNKNOWN if each.is_few else f"{_plain(each.p99.low_ms)} – {_plain(each.p99.high_ms)}",
            share(each.over_share),
        ]
        for each in compared
    ]
    return data_table(columns, rows, label="Latency by variant and version, in milliseconds")


def _narrowed(scope: Scope, each: Compared) -> str:
    """The view about this variant and version alone."""
    link = link_to("latency", scope, variant=each.variant, version=each.version)
    return link if each.variant else ""


def _select(region: LatencyRegion) -> None:
    st.query_params.update(region.params())  # one by one, each would be a step of the browser's back button


def _value(found: object) -> float:
    return getattr(found, "value_ms", np.nan)


def _apart(text: str) -> tuple[str, str]:
    """Number and unit of a written figure."""
    value, _, unit = text.partition(" ")
    return value, unit


def _plain(value: float) -> str:
    return number(value, 0 if value >= 100 else 1 if value >= 10 else 2)
