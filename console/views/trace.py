"""Trace: what happened in this request?"""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from html import escape

import streamlit as st

from console.analysis.latency import BANDS, PHASE_COLUMNS
from console.analysis.properties import properties_of
from console.analysis.region import LatencyRegion, link_to_region
from console.analysis.trace import (
    ALL_PHASES,
    FEWEST_MINUTES,
    LEAST_MS,
    Operation,
    Reading,
    Span,
    phases_ms,
    read_moment_of,
    read_operation,
    slowest_part,
    steps,
)
from console.asking import Answer, Question, ask
from console.bar import current_scope
from console.charts.requests import request_table
from console.charts.trace import (
    against_median,
    against_median_height_px,
    cold_start_waterfall,
    property_list,
    waterfall,
    waterfall_height_px,
)
from console.formats import age, ms, number, share
from console.page import altair_chart, current_palette, heading, panel, panel_row, say
from console.pieces import Cell, Column, Tile, Tone, anchor, badge, data_table, legend, tiles
from console.queries.histograms import mean_over_band
from console.scope import Scope, link_to
from console.settings import settings
from console.telemetry import Table

QUESTION = "What happened in this request?"
AROUND = timedelta(minutes=30)
"What is normal is taken from so long before and after."
EDGE = timedelta(minutes=5)
"A trace that began in the range may end after it."
LOOK_BACK = timedelta(days=30)
MINUTE = timedelta(minutes=1)
N_OFFERED = 15
LEGEND_HEIGHT_PX = 30
NO_ID = "That is no operation id: it has 32 hexadecimal digits, as tables and `traceparent` headers have it."

_ID = re.compile(r"[0-9a-f]{32}")
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")


def show() -> None:
    """Draw the view."""
    scope = current_scope()
    linked = st.query_params.get("trace", "")
    operation_id = read_operation_id(linked)
    answer, operation = _find(scope, operation_id) if operation_id else (None, None)
    if answer is None or operation is None:
        heading(QUESTION, "" if linked else "Choose one of the slowest below, or search for an operation id.")
        _show_search(operation_id)
        if linked and not operation_id:
            say(NO_ID, "warn")
        elif answer is not None:
            _say_missing(answer)
        _show_offers(scope)
        return
    main = operation.main
    around = _ask_around(scope, operation)
    typical = _typical(around.get("phases"))
    heading(_question(operation), _finding(operation, typical))
    _show_search(operation_id)
    st.html(_facts(scope, operation, around))
    left, right = panel_row([3, 2]) if operation.request is not None else (st.container(), None)
    with left:
        _show_waterfall(answer, operation, typical)
    if right is not None and operation.request is not None:
        with right:
            _show_against_median(around["phases"], operation.request, typical)
    if operation.request is not None:
        _show_moment(around, operation)
        if _is_impacted(operation.request):
            _show_cold_start(scope, around, operation.request)
    panel(
        "What it says of itself",
        answer,
        lambda _: st.html(property_list(properties_of(main))),
        key="properties",
    )
    if operation.told:
        panel("What was logged meanwhile", answer, lambda _: st.html(_log_table(operation)), key="logs")


def read_operation_id(text: str) -> str:
    """The operation id in what somebody pasted, a `traceparent` and a GUID with dashes too; empty where none is."""
    text = text.strip().lower()[:128]
    if found := _TRACEPARENT.fullmatch(text):
        return found[1]
    bare = text.replace("-", "")
    return bare if _ID.fullmatch(bare) else ""


def _find(scope: Scope, operation_id: str) -> tuple[Answer, Operation | None]:
    """The operation, in the bar's range first: most links come from there, and a month takes longer."""
    question = Question("trace", operation_id=operation_id)
    answer = ask(scope, since=scope.since - EDGE, until=scope.until + EDGE, trace=question)["trace"]
    if not answer.is_failed and not answer.has_rows:
        until = scope.as_of + timedelta(hours=1)
        answer = ask(scope, since=until - LOOK_BACK, until=until, trace=question)["trace"]
    return answer, read_operation(answer.table) if answer.has_rows else None


def _ask_around(scope: Scope, operation: Operation) -> dict[str, Answer]:
    """What is normal, how the instance was, and the start that it waited for."""
    request = operation.request
    if request is None:
        return {}
    questions = {
        "phases": Question(
            "phases_by_latency",
            function_name=request.name,
            variant=request.properties.get("recserve.variant", ""),
            version="",
        ),
        "contention": Question("contention", interval=MINUTE, instance_name=request.instance),
        "concurrency": Question("concurrency", interval=MINUTE, instance_name=request.instance),
    }
    if _is_impacted(request):
        questions["start"] = Question("cold_start_phases", process_id=request.process)
        questions["starts"] = Question("cold_starts")
    return ask(scope, since=operation.began - AROUND, until=operation.ended + AROUND, **questions)


def _typical(answer: Answer | None) -> dict[str, float]:
    """Mean phases of the requests around the median, by phase column; empty where it is not known."""
    if answer is None or not answer.has_rows:
        return {}
    low, high = BANDS["p50"]
    return mean_over_band(answer.table.rows(), PHASE_COLUMNS, from_share=low, to_share=high)


def _question(operation: Operation) -> str:
    if operation.request is None and operation.cold_start is not None:
        return "What happened in this start of a process?"
    return QUESTION if operation.request is not None else "What happened in this operation?"


def _finding(operation: Operation, typical: Mapping[str, float]) -> str:
    request, start, slo_ms = operation.request, operation.cold_start, settings().slo_ms
    if request is None:
        if start is None:
            return f"Telemetry holds {number(len(operation.spans))} records of it, none of them a request."
        n = start.measurements.get("n_impacted", 0.0)
        waited = f"{number(n)} requests waited for it" if n != 1 else "one request waited for it"
        return f"It took {ms(start.measurements.get('ready_ms', start.duration_ms))} to be ready; {waited}."
    took = request.duration_ms
    if request.outcome != "ok":
        why = request.properties.get("recserve.shed_reason") or request.properties.get("recserve.error") or ""
        what = "It was refused" if request.outcome == "shed" else f"It ended as {request.outcome}"
        return f"{what} after {ms(took)}" + (f", for {why}." if why else ".")
    over = took - slo_ms
    told = f"It took {ms(took)}, " + (
        f"{ms(over)} over the SLO" if over > 0 else f"within the SLO of {ms(slo_ms)}"
    )
    part = slowest_part(request, typical)
    if part is None:
        return f"{told}."
    phase, spent, usual = part
    told += f": {ms(spent)} {ALL_PHASES[phase]}"
    if not typical:
        return f"{told}."
    return told + (
        f", where {ms(usual)} is usual." if usual >= LEAST_MS else ", which most requests never do."
    )


def _facts(scope: Scope, operation: Operation, around: Mapping[str, Answer]) -> str:
    """When and where it was, and the ways on from it."""
    main = operation.main
    since, until = operation.began - EDGE, operation.ended + EDGE
    links = [
        ("Latency around it", link_to("latency", scope, since=since, until=until)),
        ("Its instance's resources", link_to("contention", scope, since=since, until=until)),
        ("Load around it", link_to("concurrency", scope, since=since, until=until)),
    ]
    if operation.request is not None:
        region = LatencyRegion(
            main.at.replace(microsecond=0) - timedelta(seconds=5),
            main.at.replace(microsecond=0) + timedelta(seconds=6),
        )
        links.insert(1, ("Requests within 5 s", link_to_region(scope, region)))
    if operation.cold_start is not None:
        links.append(("Cold starts around it", link_to("cold_starts", scope, since=since, until=until)))
    tone: Tone = "good" if main.outcome in ("ok", "200", "") else "bad"
    marks = badge(main.outcome or main.kind.replace("_", " "), tone)
    if _is_impacted(main):
        marks += badge("waited for a start", "warn")
    if main.properties.get("recserve.kept") == "rate":
        marks += badge(
            "sampled", "quiet", help="It stands for others like it; phases are known by their lengths."
        )
    name = main.name.replace("_", " ")
    return (
        f'<div class="rs-facts">{marks}<span>{main.at:%d %B %Y, %H:%M:%S}.{main.at.microsecond // 1000:03d} UTC'
        f"</span><span>{escape(name)} on {escape(main.instance)}</span>"
        f'<span class="rs-links">{" · ".join(anchor(text, href) for text, href in links)}</span></div>'
    )


def _show_waterfall(answer: Answer, operation: Operation, typical: Mapping[str, float]) -> None:
    found = steps(operation)
    request = operation.request
    height_px = waterfall_height_px(len(found))
    if request is not None and typical:
        # Beside it stand two bars for each phase, and their legend.
        height_px = max(height_px, against_median_height_px(phases_ms(request), typical) + LEGEND_HEIGHT_PX)
    notes = []
    if request is not None and not operation.has_phase_spans:
        notes.append("Its phases are drawn one after the other, by the lengths that the request tells.")
    if request is not None and operation.host_of(request) is None:
        notes.append("The host's own span is not there.")
    if request is not None:
        notes.append("What the platform took before the host saw it is in no telemetry.")

    def draw(_: Table) -> None:
        if not found:
            st.html('<div class="rs-empty">It left logs only.</div>')
            return
        altair_chart(
            waterfall(found, current_palette(), slo_ms=settings().slo_ms if request is not None else None),
            key="waterfall",
            height=height_px,
        )

    panel(
        f"{ms((operation.ended - operation.began) / timedelta(milliseconds=1))} from end to end",
        answer,
        draw,
        key="trace-waterfall",
        unit="ms",
        note=" ".join(notes),
    )


def _show_against_median(answer: Answer, request: Span, typical: Mapping[str, float]) -> None:
    spent, palette = phases_ms(request), current_palette()
    variant = request.properties.get("recserve.variant", "")

    def draw(table: Table) -> None:
        altair_chart(
            against_median(spent, typical, palette),
            key="against-median",
            height=against_median_height_px(spent, typical),
        )
        st.html(
            legend(
                [
                    ("this request", "var(--rs-phase-queue)"),
                    ("mean of the requests around the median", "var(--rs-phase-startup)"),
                ]
            )
        )

    total = sum(typical.values())
    rank = _slower_than(answer.table, request.duration_ms) if answer.has_rows else 0.0
    panel(
        f"Slower than {_percent(rank)} of its like; the median takes {ms(total)}"
        if typical
        else "Against a median request",
        answer,
        draw,
        key="against",
        unit="ms",
        note=f"Answered requests of {request.name}{' by ' + variant if variant else ''}, half an hour either way.",
        empty="No like request was answered in the half hours around it.",
    )


def _show_moment(around: Mapping[str, Answer], operation: Operation) -> None:
    request = operation.request
    assert request is not None
    contention, concurrency = around["contention"], around["concurrency"]
    found = {
        (label, unit): reading
        for label, unit, answer, column, factor in (
            ("Most in flight", "", concurrency, "most_in_flight", 1.0),
            ("Longest model queue", "", concurrency, "longest_queue", 1.0),
            ("CPU", "cores", contention, "cpu", 1.0),
            ("Longest loop lag", "ms", contention, "longest_loop_lag_ms", 1.0),
            ("Throttled", "ms/s", contention, "throttled", 1e3),
            ("Memory", "MiB", contention, "most_memory_mib", 1.0),
        )
        if (reading := _reading(answer.table, column, operation, factor)) is not None
    }
    unusual = [label for (label, _), reading in found.items() if reading.is_unusual]
    whose = request.instance or "The instance"
    if unusual:
        title = f"{whose} was not as usual: {', '.join(_first_lower(each) for each in unusual)}"
    elif not found:
        title = "How the instance was just then"
    elif max(reading.n_others for reading in found.values()) < FEWEST_MINUTES:
        title = f"{whose} had run too short a time to say what is usual for it"
    else:
        title = f"{whose} was as usual"

    def draw(*_: Table) -> None:
        if not found:
            st.html('<div class="rs-empty">The instance sent no metrics in that minute.</div>')
            return
        st.html(tiles([_reading_tile(label, unit, reading) for (label, unit), reading in found.items()]))

    panel(
        title,
        [contention, concurrency],
        draw,
        key="moment",
        note="The minute of the request against the others of the hour around it; the lines end in that minute.",
        empty="The instance sent no metrics in the hour around it.",
    )


def _show_cold_start(scope: Scope, around: Mapping[str, Answer], request: Span) -> None:
    start, starts = around["start"], around["starts"]
    wait_ms = request.measurements.get("wait_ms", request.measurements.get("startup_ms", 0.0))

    def draw(table: Table, known: Table) -> None:
        started: datetime = table.list("started")[0]
        arrived_ms = (request.at - started) / timedelta(milliseconds=1)
        altair_chart(
            cold_start_waterfall(table, current_palette(), arrived_ms=max(arrived_ms, 0.0)),
            key="cold-waterfall",
            height=waterfall_height_px(table.n_rows),
        )
        links = [
            anchor(
                "All cold starts around it",
                link_to("cold_starts", scope, since=started - EDGE, until=request.ended + EDGE),
            )
        ]
        for row in known.rows():
            if row["process"] == request.process and row["trace"]:
                links.insert(0, anchor("This start's own trace", link_to("trace", scope, trace=row["trace"])))
        st.html(
            '<div class="rs-key">'
            + legend(
                [
                    ("done before the request came", "var(--rs-phase-startup)"),
                    ("the request waited for it", "var(--rs-phase-queue)"),
                ]
            )
            + f'<span class="rs-links">{" · ".join(links)}</span></div>'
        )

    cause = start.table.list("cause")[0] if start.has_rows else ""
    panel(
        f"It waited {ms(wait_ms)} for the start of its process" + (f" ({cause})" if cause else ""),
        [start, starts],
        draw,
        key="cold-start",
        unit="ms",
        empty="The start that it waited for is not in telemetry, or began more than half an hour before.",
    )


def _show_search(operation_id: str) -> None:
    with (
        st.form("trace-search", border=False),
        st.container(key="trace-search-row", horizontal=True, vertical_alignment="bottom", gap="small"),
    ):
        pasted = st.text_input(
            "Operation id",
            operation_id,
            max_chars=128,
            placeholder="Operation id or traceparent",
            label_visibility="collapsed",
            icon=":material/search:",
            width=420,
        )
        is_searched = st.form_submit_button("Show")
    if not is_searched or not pasted:
        return
    if found := read_operation_id(pasted):
        if found != operation_id:
            st.query_params["trace"] = found
            st.rerun()
    else:
        say(NO_ID, "warn", compact=True)


def _say_missing(answer: Answer) -> None:
    if answer.failure is not None and answer.is_failed:
        say(answer.failure)
        return
    say(
        f"Telemetry of the last {age(LOOK_BACK)} holds nothing of this operation. Ordinary requests are sampled, so "
        "it may not have been kept; a request of this minute may not have arrived yet: look again in a while.",
        "warn",
    )


def _show_offers(scope: Scope) -> None:
    slowest = ask(scope, slowest=Question("slow_requests"))["slowest"]
    panel(
        "The slowest requests of the range",
        slowest,
        lambda table: st.html(request_table(scope, table, most=N_OFFERED)),
        key="offers",
        empty="No request in this range. Choose a longer one in the bar above.",
    )


def _log_table(operation: Operation) -> str:
    rows: list[list[Cell | str | float | None]] = [
        [
            (span.at - operation.began) / timedelta(milliseconds=1),
            span.kind,
            span.name,
        ]
        for span in operation.told
    ]
    columns = [Column("After", unit="ms", is_number=True), Column("Kind"), Column("Text")]
    return data_table(columns, rows, label="Logs and exceptions of the operation")


def _reading(table: Table, column: str, operation: Operation, factor: float) -> Reading | None:
    found = read_moment_of(table, column, operation.began, operation.ended)
    if found is None or factor == 1.0:
        return found
    before = tuple(value * factor for value in found.before)
    return Reading(found.now * factor, found.normal * factor, found.rank, found.n_others, before)


def _reading_tile(label: str, unit: str, reading: Reading) -> Tile:
    tone: Tone = "bad" if reading.is_unusual else "quiet"
    delta = f"normally {_figure(reading.normal)}" if reading.n_others else "nothing to compare with"
    if reading.is_unusual:
        delta += ", most of the hour" if reading.rank == 1 else f", more than in {share(reading.rank)} of it"
    return Tile(
        label,
        _figure(reading.now),
        unit=unit,
        delta=delta,
        tone=tone,
        spark=reading.before,
        help=f"Normally: the median of {reading.n_others} other minutes of this instance.",
    )


def _slower_than(table: Table, duration_ms: float) -> float:
    """The share of the requests of `phases_by_latency` that took less."""
    counts = table["n_requests"]
    return float(counts[table["up_to_ms"] <= duration_ms].sum() / counts.sum())


def _is_impacted(span: Span) -> bool:
    return span.properties.get("recserve.impacted") == "True"


def _figure(value: float) -> str:
    size = abs(value)
    return number(value, 0 if size >= 10 or value == int(value) else 1 if size >= 1 else 2)


def _percent(value: float) -> str:
    """Rounded down: nothing is slower than 100 % of its like."""
    for decimals in (0, 1, 2, 3):
        step = 10**decimals
        percent = int(value * 100 * step) / step
        if value < 0.99 or percent % 1:
            return f"{percent:.{decimals}f} %"
    return "99.999 %" if value >= 0.99999 else f"{percent:.0f} %"


def _first_lower(text: str) -> str:
    return text if text[:2].isupper() else text[:1].lower() + text[1:]
