"""What a page is made of: its question, panels with their states, charts that can be touched."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape
from typing import Any, TypeVar

import altair as alt
import streamlit as st

from console.asking import Answer
from console.charts.base import FONT, FONT_SIZE_PX, without_foreign_code
from console.failures import Failure
from console.formats import age, clock
from console.palette import Palette, palette_of
from console.pieces import Tone, badge, nothing, panel_title

T = TypeVar("T")
NOTHING_IN_RANGE = "There is nothing of this in the time range."
ICONS = {
    "info": ":material/info:",
    "good": ":material/check_circle:",
    "warn": ":material/warning:",
    "bad": ":material/error:",
    "quiet": ":material/info:",
}


@dataclass(frozen=True, slots=True)
class Region:
    """A rectangle that was dragged, in values of the axes; of a category axis in numbers of its categories."""

    x_from: float
    x_to: float
    y_from: float
    y_to: float


@dataclass(frozen=True, slots=True)
class Click:
    """A mark that was clicked."""

    series: str
    index: int
    "Of the mark in its series."
    value: Any
    "As the spec has it: usually [x, y]."
    name: str


def current_palette() -> Palette:
    """The colours of the theme that the browser shows."""
    return palette_of(st.context.theme.type)


def is_dark() -> bool:
    """The browser shows the dark theme."""
    return st.context.theme.type == "dark"


def heading(question: str, answer: str = "") -> None:
    """What the view asks, and in a sentence what the data say to that."""
    st.html(
        f'<header class="rs-heading"><h1>{escape(question)}</h1>'
        + (f"<p>{escape(answer)}</p>" if answer else "")
        + "</header>"
    )


def panel_row(widths: int | Sequence[float]) -> Sequence[Any]:
    """Places for panels side by side; below each other where it is narrow."""
    return st.columns(widths, gap="small")


def panel(
    title: str,
    answers: Answer | Sequence[Answer],
    draw: Callable[..., T],
    *,
    key: str,
    unit: str = "",
    note: str = "",
    empty: str = NOTHING_IN_RANGE,
    csv: Callable[[], str] | None = None,
) -> T | None:
    """A frame with a chart, where its data come from, and what is said when there are none.

    Args:
        title: a statement or a question.
        draw: gets the table of each answer; called only if the first has rows and none failed.
        key: unique in the view.
        note: one sentence below the title.
        empty: said when the first answer has no rows.
        csv: text of the download, if it is not the first answer's table.

    Returns:
        What `draw` returned; None where it was not called.
    """
    asked = [answers] if isinstance(answers, Answer) else list(answers)
    failure = next((answer.failure for answer in asked if answer.is_failed), None)
    partial = next((answer.failure for answer in asked if answer.is_partial), None)
    drawn: T | None = None
    with st.container(key=f"panel-{key}"):
        _panel_head(title, unit, note, asked, partial)
        if failure is not None:
            say(failure, compact=True)
        elif not asked[0].has_rows:
            st.html(nothing(empty))
        else:
            if partial is not None:
                say(partial, compact=True)
            drawn = draw(*(answer.table for answer in asked))
        _panel_foot(asked, key, csv)
    return drawn


def say(said: Failure | str, tone: Tone = "info", *, compact: bool = False) -> None:
    """A sentence in the page; a failure with what to do about it, and the service's words as plain text."""
    if isinstance(said, str):
        what, remedy, detail = said, "", ""
    else:
        what, remedy, detail = said.what, said.remedy, said.detail
        tone = "warn" if said.is_temporary else "bad"
        if said.kind == "unconfigured":
            tone = "info"
    st.html(
        f'<div class="rs-say rs-{tone}{" rs-compact" if compact else ""}" role="status">'
        f"<p><strong>{_inline(what)}</strong>{' ' + _inline(remedy) if remedy else ''}</p>"
        + (f"<p class='rs-detail'>It said: {escape(detail)}</p>" if detail else "")
        + "</div>"
    )


def echart(
    options: dict[str, Any],
    *,
    key: str,
    height: int = 260,
    label: str = "",
    brush: bool = False,
    click: bool = False,
) -> Region | Click | None:
    """An ECharts chart.

    Args:
        label: what a screen reader hears.
        brush: a rectangle can be dragged, and is returned as a `Region` until another one is.
        click: marks can be clicked, the last one is returned as a `Click`.
    """
    # Its script is known to a server that runs, and not before: a module cannot import it.
    from streamlit_echarts import st_echarts  # type: ignore[import-untyped]

    options = {"backgroundColor": "transparent"} | without_foreign_code(options)
    if label:
        options = options | {"aria": {"enabled": True, "label": {"description": label}}}
    events = {}
    if brush:
        options = options | {"brush": BRUSH, "toolbox": {"show": False}}
        events["rendered"] = _BRUSH_CURSOR
        events["brushEnd"] = _BRUSH_AGAIN
    if click:
        events["click"] = _ON_CLICK
    value = st_echarts(
        options,
        height=f"{height}px",
        events=events,
        key=key,
        renderer="canvas",
        on_select="rerun" if brush else "ignore",
        selection_mode="box",
    )
    if brush:
        return read_region(value)
    return read_click(value) if click else None


def read_region(value: Any) -> Region | None:
    """The rectangle in what the browser sent, which may be anything."""
    try:
        [box, *_] = value["selection"]["box"]
        (x_from, x_to), (y_from, y_to) = (sorted(map(float, box[side])) for side in ("x_range", "y_range"))
    except (TypeError, ValueError, KeyError):
        return None
    return Region(x_from, x_to, y_from, y_to) if x_from < x_to and y_from < y_to else None


def read_click(value: Any) -> Click | None:
    """The clicked mark in what the browser sent, which may be anything."""
    try:
        event = value["chart_event"]
        return Click(str(event["series"]), int(event["index"]), event["value"], str(event["name"]))
    except (TypeError, ValueError, KeyError):
        return None


def altair_chart(
    chart: alt.Chart | alt.LayerChart | alt.FacetChart | alt.VConcatChart,
    *,
    key: str,
    height: int | None = None,
) -> None:
    """An Altair chart in the console's fonts and colours."""
    palette = current_palette()
    if height is not None:
        chart = chart.properties(height=height)
    st.altair_chart(
        chart.configure(font=FONT, background="transparent")
        .configure_axis(
            labelColor=palette.muted,
            titleColor=palette.muted,
            gridColor=palette.line,
            domainColor=palette.line,
            tickColor=palette.line,
            labelFontSize=FONT_SIZE_PX,
            titleFontSize=FONT_SIZE_PX,
            titleFontWeight="normal",
        )
        .configure_legend(
            labelColor=palette.muted, titleColor=palette.muted, labelFontSize=FONT_SIZE_PX, labelLimit=320
        )
        .configure_view(stroke=None),
        width="stretch",
        theme=None,
        key=key,
    )


@contextmanager
def loading(height: int = 240) -> Iterator[None]:
    """Bones of what will be there, while the block works."""
    with st.skeleton(height=height):
        yield


def _panel_head(title: str, unit: str, note: str, asked: Sequence[Answer], partial: Failure | None) -> None:
    remarks = badge("partial", "warn", help=partial.what) if partial else ""
    ignored = sorted({name for answer in asked for name in answer.ignores})
    if ignored:
        said = " and ".join(f"all {name}s" for name in ignored)
        remarks += badge(said, "quiet", help="This question cannot be narrowed to what the bar has chosen.")
    st.html(
        panel_title(title, unit=unit, remarks=remarks)
        + (f'<p class="rs-note">{escape(note)}</p>' if note else "")
    )


def _panel_foot(asked: Sequence[Answer], key: str, csv: Callable[[], str] | None) -> None:
    with st.container(key=f"foot-{key}", horizontal=True, vertical_alignment="center", gap="small"):
        with st.popover("Show query", type="tertiary", icon=":material/code:", width="content"):
            for answer in asked:
                st.caption(answer.question)
                st.code(answer.kql, language="sql", wrap_lines=True)
        if asked[0].has_rows:
            first = asked[0].table
            st.download_button(
                "CSV",
                csv or first.csv,
                file_name=f"{key}.csv",
                mime="text/csv",
                type="tertiary",
                icon=":material/download:",
                on_click="ignore",
                key=f"csv-{key}",
            )
        oldest = min(answer.asked_at for answer in asked)
        st.html(
            f'<span class="rs-age" title="asked at {clock(oldest)} UTC">'
            f"{age(datetime.now(UTC) - oldest)} old</span>"
        )


def _inline(text: str) -> str:
    """Text with `code` in it, as HTML."""
    parts = escape(text).split("`")
    return "".join(f"<code>{part}</code>" if at % 2 else part for at, part in enumerate(parts))


BRUSH: dict[str, Any] = {
    "toolbox": [],
    "xAxisIndex": 0,
    "yAxisIndex": 0,
    "brushType": "rect",
    "brushMode": "single",
    "transformable": False,
    "removeOnClick": True,
    "throttleType": "debounce",
    "throttleDelay": 300,
    "outOfBrush": {"colorAlpha": 1},
}
# Dragging draws a rectangle from the start: the tool that ECharts has for that is one more click.
_BRUSH_CURSOR = (
    "function () { const model = chart.getModel().getComponent('brush'); "
    "if (!model || chart.__brushed === model) { return undefined; } chart.__brushed = model; "
    'chart.dispatchAction({ type: "takeGlobalCursor", key: "brush", '
    'brushOption: { brushType: "rect", brushMode: "single" } }); return undefined; }'
)
# The component hears what is selected while it is dragged, and keeps it if it has ended by then: a hand that
# rests before it lets go would have selected nothing.
_BRUSH_AGAIN = (
    "function (params) { "
    'chart.dispatchAction({ type: "brush", areas: params.areas || [] }); return undefined; }'
)
_ON_CLICK = (
    'function (params) { return { series: params.seriesName || "", index: params.dataIndex, '
    'value: params.value, name: params.name || "" }; }'
)
