"""Whether there were enough instances."""

import numpy as np

from console.analysis.knee import Knee, NoKnee
from console.analysis.load import load_of, trusted_with
from console.asking import Answer
from console.charts.concurrency import instance_lines
from console.page import echart, panel
from console.palette import Palette
from console.panels.concurrency_finding import written
from console.telemetry import Table


def show_instances(
    answers: dict[str, Answer], found: Knee | NoKnee, limit: float | None, palette: Palette
) -> None:
    """Draw instances over time, and what the plan wanted where it says so."""
    each, source = trusted_with(found, limit)
    times, ready, busy, needed = load_of(answers["now"].table, each)
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
        note=f"Needed: all in flight, at {written(each)} an instance: {source}. Busy: instances' worth of time with a "
        "request in flight.",
        empty="No instance told of its load in this range.",
    )
