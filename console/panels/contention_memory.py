"""How much memory is left."""

from datetime import UTC, datetime

import numpy as np
import streamlit as st

from console.analysis.saturation import over_instances
from console.asking import Answer
from console.charts.contention import memory_lines
from console.formats import moment, share
from console.page import echart, panel
from console.palette import Palette
from console.pieces import nothing
from console.telemetry import Table


def show_memory(answer: Answer, palette: Palette) -> None:
    """Draw the fullest instance and the mean one below the limit."""
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
            st.html(nothing("No instance tells its memory here."))
            return
        echart(
            memory_lines(times, most, mean, limit, palette),
            key="memory",
            height=220,
            label="Memory over time",
        )

    panel(title, answer, draw, key="contention-memory", unit="MiB", note=note)


def _moment(table: Table, row: int) -> datetime:
    return table["interval_start"][row].astype(datetime).replace(tzinfo=UTC)  # type: ignore[no-any-return]
