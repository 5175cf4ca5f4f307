"""Latency: where does the tail come from?"""

from collections.abc import Mapping

import streamlit as st

from console.analysis.latency import FEWEST, GROWTH, PHASES, evidence, gaps, overall, phases_by_band, value_of
from console.analysis.region import read_region
from console.asking import Answer, Question, ask
from console.bar import current_scope
from console.behind import failure_of_all
from console.charts.requests import request_table
from console.formats import ms, share, short
from console.page import heading, panel, panel_row, say
from console.panels.latency_heatmap import show_heatmap
from console.panels.latency_phases import show_phases
from console.panels.latency_region import show_region
from console.panels.latency_tiles import figures
from console.panels.latency_variants import show_variants
from console.pieces import tiles
from console.settings import settings

QUESTION = "Where does the tail come from?"
N_SLOWEST = 12


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
    if (failure := failure_of_all(answers)) is not None:
        heading(QUESTION)
        say(failure)
        return
    n_effective = evidence(answers["variants"].table, variant=scope.variant, version=scope.version)
    heading(QUESTION, _finding(answers, n_effective))
    if histogram.has_rows:
        st.html(tiles(figures(scope, histogram.table, answers["slowest"].table, n_effective)))
    complaint = show_heatmap(scope, histogram)
    if complaint:
        say(complaint, "warn", compact=True)
    if (region := read_region(st.query_params.to_dict())[0]) is not None:
        show_region(scope, region)
    left, right = panel_row(2)
    with left:
        show_phases(answers["phases"])
    with right:
        show_variants(scope, answers["variants"])
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
            f"the median is {ms(value_of(overall(table, 0.5)))}."
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
