"""How large micro-batches are, and why."""

import numpy as np
import streamlit as st

from console.asking import Answer
from console.charts.concurrency_batches import batch_bars, dispatch_rows
from console.formats import share
from console.page import echart, panel
from console.palette import Palette
from console.pieces import Column, data_table
from console.telemetry import Table


def show_batches(answer: Answer, palette: Palette) -> None:
    """Draw requests by the size of their batch, and why it had that size."""
    title = "How large are micro-batches, and why?"
    if answer.has_rows:
        n, sizes = answer.table["n_requests"], answer.table["batch_size"]
        alone = float(n[sizes <= 1].sum() / n.sum())
        mean = float(np.average(sizes, weights=n))
        title = (
            f"A request shares its model run with {mean - 1:.1f} others; {share(alone)} run alone"
            if mean >= 1.1
            else f"Nearly every request runs alone: {share(alone)}"
        )

    def draw(table: Table) -> None:
        echart(
            batch_bars(table, palette), key="batches", height=230, label="Requests by batch size and reason"
        )
        columns = [
            Column("Dispatch"),
            Column("Why"),
            Column("Requests", is_bar=True),
            Column("Batch", is_number=True),
            Column("Queue", unit="ms", is_number=True),
            Column("Model", unit="ms", is_number=True),
        ]
        st.html(data_table(columns, dispatch_rows(table), label="Dispatch reasons"))

    panel(
        title,
        answer,
        draw,
        key="concurrency-batches",
        unit="% of requests",
        empty="No request was answered in this range.",
    )
