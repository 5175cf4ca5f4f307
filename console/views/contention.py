"""Contention: which resource is saturated?"""

from datetime import UTC, datetime, timedelta

import numpy as np
import streamlit as st

from console.analysis.correlation import Correlation, rank_correlation
from console.analysis.saturation import HIGH, Resource, Saturation, imbalance, over_instances, rank, resources
from console.asking import Answer, Question, ask
from console.bar import current_scope
from console.behind import clicked_place, failure_of_all, show_requests_behind
from console.charts.contention import (
    MOST_ROWS,
    heatmap_height,
    imbalance_line,
    lag_scatter,
    memory_lines,
    resource_heatmap,
    resource_spark,
)
from console.formats import clock, moment, ms, share
from console.page import current_palette, echart, heading, panel, panel_row, say
from console.palette import Palette
from console.pieces import Cell, Column, Tile, Tone, data_table, tiles
from console.scope import Scope, link_to
from console.settings import settings
from console.telemetry import Table, table_of

QUESTION = "Which resource is saturated?"
SAMPLES_S = 60
"A row of the metrics is a minute of a process: narrower intervals would be empty in between."
NEAR = 0.8
"Of the mark, from where on a resource is called close to saturation."
SEED = 8


def show() -> None:
    """Draw the view."""
    scope, palette = current_scope(), current_palette()
    width = max(scope.interval, timedelta(seconds=SAMPLES_S))
    answers = ask(
        scope,
        contention=Question("contention", interval=width),
        latency=Question("in_flight_latency", interval=width),
    )
    if (failure := failure_of_all(answers)) is not None:
        heading(QUESTION)
        say(failure)
        return
    known = resources(settings().slo_ms)
    ranked = rank(answers["contention"].table, known) if answers["contention"].has_rows else []
    heading(QUESTION, _answer(ranked, answers["contention"], width))
    if ranked:
        st.html(tiles(_figures(ranked, answers["contention"].table, scope)))
    _show_heatmap(answers["contention"], known, ranked, scope, palette, width)
    left, right = panel_row([3, 2])
    with left:
        _show_ranking(answers["contention"], ranked, scope, width)
    with right:
        _show_lag(answers, scope, palette, width)
    left, right = panel_row(2)
    with left:
        _show_memory(answers["contention"], palette)
    with right:
        _show_imbalance(answers["contention"], palette)


def _answer(ranked: list[Saturation], answer: Answer, width: timedelta) -> str:
    if answer.is_failed:
        return ""
    if not ranked:
        return "No instance told of its resources in this range."
    first, worst = ranked[0], max(ranked, key=lambda each: each.worst_nearness)
    title = first.resource.title
    usual = (
        f"{_said(first.resource, first.high)} in the worst twentieth of the time, saturated at "
        f"{_said(first.resource, first.resource.mark)}"
    )
    if first.nearness >= 1:
        said = f"{title} is saturated: {usual}."
    elif first.nearness >= NEAR:
        said = f"{title} is close to saturation: {usual}."
    else:
        said = f"None{' for long' if worst.worst_nearness >= 1 else ''}. {title} is nearest: {usual}."
    if worst.worst_nearness >= 1:
        whose = "Its" if worst is first else f"{worst.resource.title} had the"
        said += (
            f" {whose} worst moment: {_said(worst.resource, worst.worst)} on {worst.worst_instance} at "
            f"{moment(worst.worst_at)} UTC."
        )
    return said


def _figures(ranked: list[Saturation], table: Table, scope: Scope) -> list[Tile]:
    """The six resources nearest to saturation; each chooses itself in the heatmap."""
    figures = []
    for each in ranked[:6]:
        resource = each.resource
        times, most, _, _ = over_instances(table, resource.read(table))
        figure, _, unit = _said(resource, each.high).partition(" ")
        figures.append(
            Tile(
                resource.title,
                figure,
                unit=unit,
                delta=f"saturated at {_said(resource, resource.mark)}",
                tone=_tone(each.nearness),
                spark=resource_spark(times, most),
                href=link_to("contention", scope, resource=resource.name),
                help=f"{resource.measure.capitalize()}: 95th percentile over instances and intervals.",
            )
        )
    return figures


def _show_heatmap(
    answer: Answer,
    known: tuple[Resource, ...],
    ranked: list[Saturation],
    scope: Scope,
    palette: Palette,
    width: timedelta,
) -> None:
    measured = {each.resource.name for each in ranked}
    offered = [resource for resource in known if resource.name in measured] or list(known)
    nearest = ranked[0].resource if ranked else offered[0]
    by_name = {resource.name: resource for resource in offered}
    linked = st.query_params.get("resource", "")
    if "resource" not in st.session_state:
        if linked and linked not in by_name:
            say(
                "The link names no resource that is measured here; this is the one nearest saturation.",
                "warn",
                compact=True,
            )
        st.session_state["resource"] = linked if linked in by_name else nearest.name
    elif st.session_state["resource"] not in by_name:
        st.session_state["resource"] = nearest.name
    chosen = by_name[st.session_state["resource"]]

    def draw(table: Table) -> None:
        st.segmented_control(
            "Resource",
            list(by_name),
            format_func=lambda name: by_name[name].title,
            key="resource",
            required=True,
            label_visibility="collapsed",
            on_change=_link_choice,
        )
        values = chosen.read(table)
        if not np.isfinite(values).any():
            st.html(f'<div class="rs-empty">No instance tells its {chosen.title.lower()} here.</div>')
            return
        drawn = table.where(np.isin(table["instance"].astype(str), _worst_instances(table, values)))
        n_rows = len(set(drawn["instance"].tolist()))
        chart = resource_heatmap(drawn, chosen, palette, interval_ms=width / timedelta(milliseconds=1))
        touched = echart(
            chart,
            key=f"heatmap-{chosen.name}",
            height=heatmap_height(n_rows),
            label=f"{chosen.title} by instance and time",
            click=True,
        )
        place = clicked_place(touched, instance_at=4, start_at=3)
        if place is not None and place.instance in set(drawn["instance"].tolist()):
            show_requests_behind(place, scope, width)
        else:
            st.html(
                '<p class="rs-hint">Click a cell to see the slowest requests of that instance and time.</p>'
            )

    n = len(set(answer.table["instance"].tolist())) if answer.has_rows else 0
    note = f"{chosen.measure.capitalize()}. Saturated from {_said(chosen, chosen.mark)} on."
    if n > MOST_ROWS:
        note += f" The {MOST_ROWS} worst of {n} instances."
    panel(
        f"{chosen.title}, instance by instance",
        answer,
        draw,
        key="contention-heatmap",
        unit="share" if chosen.is_share else "ms",
        note=note,
        empty="No instance told of its resources in this range.",
    )


def _link_choice() -> None:
    """The address says which resource is shown."""
    st.query_params["resource"] = st.session_state["resource"]


def _show_ranking(answer: Answer, ranked: list[Saturation], scope: Scope, width: timedelta) -> None:
    def draw(_: Table) -> None:
        columns = [
            Column("Resource"),
            Column("Median", is_number=True),
            Column("p95", is_number=True),
            Column("Saturated at", is_number=True),
            Column("p95 of that", is_bar=True, tone="warn"),
            Column("Worst", is_number=True),
            Column("Where and when, UTC"),
        ]
        rows: list[list[Cell | str | float | None]] = []
        for each in ranked:
            resource = each.resource
            there = link_to("latency", scope, since=each.worst_at - width, until=each.worst_at + 2 * width)
            rows.append(
                [
                    Cell(
                        resource.title,
                        href=link_to("contention", scope, resource=resource.name),
                        help=resource.measure,
                    ),
                    _said(resource, each.typical),
                    _said(resource, each.high),
                    _said(resource, resource.mark),
                    each.nearness,
                    _said(resource, each.worst),
                    Cell(
                        f"{each.worst_instance}, {_when(each.worst_at, scope)}",
                        href=there,
                        help="What latency did then",
                    ),
                ]
            )
        st.html(data_table(columns, rows, label="Resources by how near they are to saturation"))

    panel(
        f"{ranked[0].resource.title} is nearest to its mark"
        if ranked
        else "How near is each resource to its mark?",
        answer,
        draw,
        key="contention-ranking",
        note=f"Over instances and intervals of {_length(width)}; the {HIGH}th percentile decides the order.",
        empty="No instance told of its resources in this range.",
        csv=lambda: _ranking_csv(ranked),
    )


def _show_lag(answers: dict[str, Answer], scope: Scope, palette: Palette, width: timedelta) -> None:
    joined = _lag_and_latency(answers["contention"].table, answers["latency"].table)
    title, note = _lag_said(joined)

    def draw(*_: Table) -> None:
        if not joined.n_rows:
            st.html('<div class="rs-empty">No interval has both a lag and answered requests.</div>')
            return
        chart = lag_scatter(joined, palette, slo_ms=settings().slo_ms)
        touched = echart(chart, key="lag", height=280, label="Loop lag against p99", click=True)
        place = clicked_place(touched, instance_at=2, start_at=5)
        if place is not None:
            show_requests_behind(place, scope, width)

    panel(
        title,
        [answers["contention"], answers["latency"]],
        draw,
        key="contention-lag",
        unit="ms",
        note=note,
        csv=joined.csv,
        empty="No instance told of its event loop in this range.",
    )


def _show_memory(answer: Answer, palette: Palette) -> None:
    table = answer.table
    title, note, limit = "How much memory is left?", "", float("nan")
    if answer.has_rows and np.isfinite(table["most_memory_mib"]).any():
        left = table["memory_limit_mib"] - table["most_memory_mib"]
        if np.isfinite(left).any():
            least = int(np.nanargmin(left))
            limit = float(np.nanmin(table["memory_limit_mib"]))
            title = f"{share(left[least] / table['memory_limit_mib'][least])} of memory is left on the fullest instance"
            note = (
                f"{left[least]:,.0f} MiB at the worst moment: {table['instance'][least]}, "
                f"{moment(_moment(table, least))} UTC."
            )

    def draw(table: Table) -> None:
        times, most, mean, _ = over_instances(table, table["most_memory_mib"])
        if not np.isfinite(most).any():
            st.html('<div class="rs-empty">No instance tells its memory here.</div>')
            return
        echart(
            memory_lines(times, most, mean, limit, palette),
            key="memory",
            height=220,
            label="Memory over time",
        )

    panel(title, answer, draw, key="contention-memory", unit="MiB", note=note)


def _show_imbalance(answer: Answer, palette: Palette) -> None:
    times, ratio = imbalance(answer.table) if answer.has_rows else (np.empty(0), np.empty(0))
    told = ratio[np.isfinite(ratio)]
    if len(told):
        typical = float(np.median(told))
        title = (
            f"Instances share the work evenly: {typical:.2f} x the mean"
            if typical < 1.25
            else f"The busiest instance does {typical:.1f} x the mean"
        )
        note = f"Processor use of the busiest instance, of the mean: median; {np.percentile(told, HIGH):.1f} x at p95."
    else:
        title, note = "Do instances share the work evenly?", ""

    def draw(_: Table) -> None:
        if not len(told):
            st.html(
                '<div class="rs-empty">Nothing to compare: never were two instances at work at the same time.</div>'
            )
            return
        echart(
            imbalance_line(times, ratio, palette), key="imbalance", height=220, label="Imbalance over time"
        )

    panel(title, answer, draw, key="contention-imbalance", unit="busiest / mean", note=note)


def _lag_and_latency(contention: Table, latency: Table) -> Table:
    """Points with both, joined by interval and instance."""
    if not contention.n_rows or not latency.n_rows:
        return table_of({})
    lags = {
        (at, instance): lag
        for at, instance, lag in zip(
            contention["interval_start"].tolist(),
            contention["instance"].tolist(),
            contention["longest_loop_lag_ms"].tolist(),
            strict=True,
        )
    }
    keys = zip(latency["interval_start"].tolist(), latency["instance"].tolist(), strict=True)
    lag_ms = np.array([lags.get(key, np.nan) for key in keys], dtype=float)
    kept = (lag_ms > 0) & (latency["p99_ms"] > 0)
    columns = ("interval_start", "instance", "n_requests", "p99_ms")
    return Table((*columns, "lag_ms"), (*(latency[name][kept] for name in columns), lag_ms[kept]))


def _lag_said(joined: Table) -> tuple[str, str]:
    """What lag did to latency: by the intervals in which it passed the SLO, and else by correlation."""
    slo_ms, found = settings().slo_ms, _correlate(joined)
    if found is None:
        return "Does latency follow the event loop's lag?", "Too few intervals with both to tell."
    note = (
        f"Rank correlation {found.value:.2f}, 95 % interval {found.low:.2f} to {found.high:.2f}, over "
        f"{found.n_points:,} points. It tells of both together, not which causes which."
    )
    is_late = joined["lag_ms"] > slo_ms
    if is_late.any() and not is_late.all():
        late, rest = (float(np.median(joined["p99_ms"][mask])) for mask in (is_late, ~is_late))
        n = int(is_late.sum())
        counted = f"{n} interval{'s' if n != 1 else ''} with a lag over {ms(slo_ms)}"
        return f"In {counted}, p99 was {ms(late)}; elsewhere {ms(rest)}", note
    if found.is_strong:
        return "Latency follows the event loop's lag", note
    if found.is_positive:
        return "Latency rises somewhat with the event loop's lag", note
    return "Latency does not follow the event loop's lag", note


def _correlate(joined: Table) -> Correlation | None:
    if not joined.n_rows:
        return None
    return rank_correlation(
        joined["lag_ms"], joined["p99_ms"], moments=joined["interval_start"], rng=np.random.default_rng(SEED)
    )


def _worst_instances(table: Table, values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> list[str]:
    """Those with a row in the heatmap: the worst `MOST_ROWS`."""
    worst: dict[str, float] = {}
    for instance, value in zip(table["instance"].tolist(), np.nan_to_num(values).tolist(), strict=True):
        worst[instance] = max(value, worst.get(instance, 0.0))
    return sorted(worst, key=lambda name: worst[name], reverse=True)[:MOST_ROWS]


def _ranking_csv(ranked: list[Saturation]) -> str:
    return table_of(
        {
            "resource": [each.resource.name for each in ranked],
            "median": [each.typical for each in ranked],
            "p95": [each.high for each in ranked],
            "saturated_at": [each.resource.mark for each in ranked],
            "worst": [each.worst for each in ranked],
            "worst_instance": [each.worst_instance for each in ranked],
            "worst_at": [each.worst_at for each in ranked],
        }
    ).csv()


def _tone(nearness: float) -> Tone:
    return "bad" if nearness >= 1 else "warn" if nearness >= NEAR else "quiet"


def _said(resource: Resource, value: float) -> str:
    return share(value) if resource.is_share else ms(value)


def _when(at: datetime, scope: Scope) -> str:
    return moment(at) if scope.until - scope.since > timedelta(hours=20) else clock(at)


def _length(width: timedelta) -> str:
    seconds = int(width.total_seconds())
    return f"{seconds // 60} min" if seconds % 60 == 0 else f"{seconds} s"


def _moment(table: Table, row: int) -> datetime:
    return table["interval_start"][row].astype(datetime).replace(tzinfo=UTC)  # type: ignore[no-any-return]
