"""What users did with the lists of each rung."""

from collections.abc import Sequence

import streamlit as st

from console.analysis.ladder import Following, followed_table, share_known
from console.asking import Answer
from console.charts.models import chart_height, rate_chart
from console.formats import share
from console.page import altair_chart, current_palette, panel
from console.panels.models_finding import FEW
from console.pieces import legend, nothing

NO_EVENTS = "No events in this range: click an item in Try it, or post to /api/events."


def show_hits(answer: Answer, follows: list[Following], order: list[str], colours: dict[str, str]) -> None:
    """Draw how often the item of an event was on the list shown before, `feedback`."""
    known = share_known(answer.table) if answer.has_rows else None
    few = " Some rungs rest on few events." if any(row.n_known < FEW for row in follows) else ""
    panel(
        "Online hit rate",
        answer,
        lambda _: _draw_rate(follows, "hit_rate", order, colours),
        key="hits",
        unit="of events",
        note=f"The item of the event was on the list shown before; 95 % interval. {share(known)} of events "
        f"could be joined with a list.{few}",
        empty=NO_EVENTS,
        csv=lambda: followed_table(follows).csv(),
    )


def show_clicks(
    answers: Sequence[Answer], follows: list[Following], order: list[str], colours: dict[str, str]
) -> None:
    """Draw clicks per answer.

    Args:
        answers: to `feedback` and to `variants`.
    """
    panel(
        "Click-through",
        answers,
        lambda *_: _draw_rate(follows, "click_through", order, colours),
        key="clicks",
        unit="of answers",
        note="Clicks on a listed item per answer; clicks that could not be joined are taken to be like the "
        "others. Rungs answer different people at different times: only a split compares them fairly.",
        empty=NO_EVENTS,
        csv=lambda: followed_table(follows).csv(),
    )


def _draw_rate(follows: list[Following], rate: str, order: list[str], colours: dict[str, str]) -> None:
    drawn = [row for row in follows if getattr(row, rate) == getattr(row, rate)]
    if not drawn:
        said = (
            "No click in this range." if rate == "click_through" else "No event could be joined with a list."
        )
        st.html(nothing(said))
        return
    altair_chart(
        rate_chart(drawn, rate, order, colours, current_palette()), key=rate, height=chart_height(len(drawn))
    )
    st.html(legend([("95 % interval", "color-mix(in srgb, var(--rs-accent) 30%, transparent)")]))
