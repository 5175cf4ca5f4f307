"""Which bundles are in the field."""

from collections.abc import Sequence

import streamlit as st

from console.analysis.edge import Bundle
from console.asking import Answer
from console.charts.edge import bundle_rows
from console.page import panel
from console.panels.edge_answers import NO_REPORTS

MOST_BUNDLES = 12


def show_bundles(answers: Sequence[Answer], bundles: list[Bundle]) -> None:
    """Draw a row for each version and client.

    Args:
        answers: to `edge_bundles` and to `edge_agreement`.
    """
    n_more = len(bundles) - MOST_BUNDLES
    panel(
        _title(bundles),
        answers,
        lambda *_: st.html(bundle_rows(bundles[:MOST_BUNDLES])),
        key="edge-bundles",
        note="Newest first; p50 is what users waited for the device's own answers."
        + (f" {n_more} older ones are in the CSV." if n_more > 0 else ""),
        empty=NO_REPORTS,
    )


def _title(bundles: list[Bundle]) -> str:
    versions = {each.version for each in bundles if each.is_version}
    if not versions:
        return "Which bundles are in the field?"
    clients = {each.client for each in bundles if each.client}
    plural = "s are" if len(versions) > 1 else " is"
    return f"{len(versions)} bundle{plural} in the field, on {len(clients)} client{'s' if len(clients) > 1 else ''}"
