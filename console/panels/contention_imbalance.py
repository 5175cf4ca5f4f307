"""Whether instances share the work evenly."""

import numpy as np
import streamlit as st

from console.analysis.saturation import HIGH, imbalance
from console.asking import Answer
from console.charts.contention import imbalance_line
from console.page import echart, panel
from console.palette import Palette
from console.pieces import nothing
from console.telemetry import Table


def show_imbalance(answer: Answer, palette: Palette) -> None:
    """Draw the busiest instance against the mean."""
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
            st.html(nothing("Nothing to compare: never were two instances at work at the same time."))
            return
        echart(
            imbalance_line(times, ratio, palette), key="imbalance", height=220, label="Imbalance over time"
        )

    panel(title, answer, draw, key="contention-imbalance", unit="busiest / mean", note=note)
