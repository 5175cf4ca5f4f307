"""A resource, instance by instance over time; which one is chosen stands in the address."""

from datetime import timedelta

import numpy as np
import streamlit as st

from console.analysis.saturation import Resource, Saturation
from console.asking import Answer
from console.behind import clicked_place, show_requests_behind
from console.charts.contention import MOST_ROWS, heatmap_height, resource_heatmap
from console.page import echart, panel, say
from console.palette import Palette
from console.pieces import nothing
from console.scope import Scope
from console.telemetry import Table


def show_heatmap(
    answer: Answer,
    known: tuple[Resource, ...],
    ranked: list[Saturation],
    scope: Scope,
    palette: Palette,
    width: timedelta,
) -> None:
    """Draw the chosen resource; the one nearest saturation where none is."""
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
            st.html(nothing(f"No instance tells its {chosen.title.lower()} here."))
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
    note = f"{chosen.measure.capitalize()}. Saturated from {chosen.written(chosen.mark)} on."
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


def _worst_instances(table: Table, values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> list[str]:
    """Those with a row in the heatmap: the worst `MOST_ROWS`."""
    worst: dict[str, float] = {}
    for instance, value in zip(table["instance"].tolist(), np.nan_to_num(values).tolist(), strict=True):
        worst[instance] = max(value, worst.get(instance, 0.0))
    return sorted(worst, key=lambda name: worst[name], reverse=True)[:MOST_ROWS]
