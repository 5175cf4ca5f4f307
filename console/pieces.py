"""HTML of the page: metric tiles, sparklines, badges, tables. Pure; colours are the variables of `palette`."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Literal, TypeAlias
from urllib.parse import quote

import numpy as np

from console.formats import UNKNOWN, number

Tone = Literal["good", "warn", "bad", "info", "quiet"]
SPARK_WIDTH, SPARK_HEIGHT = 120, 28
EXTRAPOLATED = "EXTRAPOLATED: "
"How the planner marks what was not measured; sentences say it themselves."


@dataclass(frozen=True, slots=True)
class Tile:
    """A figure that an operator looks at first."""

    label: str
    value: str
    "Without its unit; a dash where it is not known."
    unit: str = ""
    delta: str = ""
    "How it compares, in words: `+16 ms over the SLO`."
    tone: Tone = "quiet"
    "Of the delta: whether that is good."
    spark: Sequence[float] = ()
    "The figure over time, oldest first; NaN where it is not known."
    href: str = ""
    help: str = ""


@dataclass(frozen=True, slots=True)
class Column:
    label: str
    unit: str = ""
    is_number: bool = False
    "Aligned right, figures below each other."
    is_bar: bool = False
    "Numbers from 0 to 1, drawn as a bar."
    tone: Tone = "info"
    "Of its bars."


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell that is more than its text."""

    text: str
    href: str = ""
    tone: Tone | None = None
    "Makes the text a badge."
    help: str = ""
    parts: Sequence[tuple[str, float]] = ()
    "Colours and shares of a whole, drawn as one bar in the place of the text, which is read aloud."


Row: TypeAlias = list[Cell | str | float | None]
"Cells of a table, in the order of its columns; numbers are written to three figures, None is a dash."


def tiles(figures: Sequence[Tile]) -> str:
    """Figures in a row; in two or three where it is narrow."""
    return f'<div class="rs-tiles">{"".join(map(_tile, figures))}</div>'


def sparkline(values: Sequence[float], tone: Tone = "quiet") -> str:
    """A line without axes; its last point is marked. Empty where fewer than two values are known."""
    points = np.asarray(values, dtype=float)
    known = np.flatnonzero(np.isfinite(points))
    if len(known) < 2:
        return ""
    low, high = points[known].min(), points[known].max()
    xs = known / (len(points) - 1) * (SPARK_WIDTH - 6) + 3
    shares = (points[known] - low) / (high - low) if high > low else np.full(len(known), 0.5)
    ys = SPARK_HEIGHT - 4 - shares * (SPARK_HEIGHT - 8)
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in zip(xs, ys, strict=True))
    # A mask takes its colour from the style sheet; an SVG in the page does not survive its sanitizer.
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {SPARK_WIDTH} {SPARK_HEIGHT}" '
        'preserveAspectRatio="none"><polyline fill="none" stroke="#000" stroke-width="1.5" '
        f'vector-effect="non-scaling-stroke" points="{path}"/></svg>'
    )
    return (
        f'<span class="rs-spark" style="mask-image:url(&quot;data:image/svg+xml,{quote(svg)}&quot;)"></span>'
        f'<span class="rs-spark-end rs-{tone}" '
        f'style="left:{xs[-1] / SPARK_WIDTH:.1%};top:{ys[-1] / SPARK_HEIGHT:.1%}"></span>'
    )


def badge(text: str, tone: Tone = "quiet", *, help: str = "") -> str:
    """A short remark in the colour of its tone."""
    return f'<span class="rs-badge rs-{tone}"{_title(help)}>{escape(text)}</span>'


def legend(entries: Sequence[tuple[str, str]]) -> str:
    """Names with their colours (`#rrggbb` or a CSS variable), for what has no legend of its own."""
    marks = "".join(
        f'<span><i style="background:{escape(colour)}"></i>{escape(name)}</span>' for name, colour in entries
    )
    return f'<div class="rs-legend">{marks}</div>'


def data_table(
    columns: Sequence[Column], rows: Sequence[Sequence[Cell | str | float | None]], *, label: str = ""
) -> str:
    """A table; where it is wider than its place, it scrolls sideways.

    Args:
        rows: each a `Row`.
        label: what a screen reader calls it.
    """
    head = "".join(
        f'<th scope="col"{_class(column)}>{escape(column.label)}'
        + (f' <span class="rs-unit">{escape(column.unit)}</span>' if column.unit else "")
        + "</th>"
        for column in columns
    )
    body = "".join(
        f"<tr>{''.join(_cell(cell, column) for cell, column in zip(row, columns, strict=True))}</tr>"
        for row in rows
    )
    return (
        f'<div class="rs-table" tabindex="0" role="region" aria-label="{escape(label or "Table")}">'
        f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def anchor(text: str, href: str, *, help: str = "") -> str:
    """A link within the console."""
    return f'<a href="{escape(href)}" target="_self"{_title(help)}>{escape(text)}</a>'


def links(ways: Sequence[tuple[str, str]]) -> str:
    """Links beside each other: what each says, and where it goes."""
    return f'<span class="rs-links">{" · ".join(anchor(text, href) for text, href in ways)}</span>'


def panel_title(title: str, *, unit: str = "", remarks: str = "") -> str:
    """The head of a panel.

    Args:
        remarks: badges, as HTML.
    """
    return (
        f'<div class="rs-panel-head"><h2>{escape(title)}'
        + (f' <span class="rs-unit">{escape(unit)}</span>' if unit else "")
        + f"</h2>{remarks}</div>"
    )


def nothing(why: str) -> str:
    """What stands in the place of a chart that would be empty."""
    return f'<div class="rs-empty">{escape(why)}</div>'


def fine_print(sentences: Sequence[str], *, title: str = "") -> str:
    """What a figure rests on, in small type."""
    head = f"<p><b>{escape(title)}</b></p>" if title else ""
    said = "".join(f"<p>{escape(text.replace(EXTRAPOLATED, ''))}</p>" for text in sentences)
    return f'<div class="rs-fine">{head}{said}</div>'


def _tile(tile: Tile) -> str:
    unit = f'<span class="rs-unit">{escape(tile.unit)}</span>' if tile.unit else ""
    delta = f'<div class="rs-delta rs-{tile.tone}">{escape(tile.delta)}</div>' if tile.delta else ""
    spark = sparkline(tile.spark, tile.tone)
    inner = (
        f'<div class="rs-label">{escape(tile.label)}</div><div class="rs-value">{escape(tile.value)}{unit}</div>'
        f"{delta}" + (f'<div class="rs-spark-box">{spark}</div>' if spark else "")
    )
    if tile.href:
        return f'<a class="rs-tile" href="{escape(tile.href)}" target="_self"{_title(tile.help)}>{inner}</a>'
    return f'<div class="rs-tile"{_title(tile.help)}>{inner}</div>'


def _cell(cell: Cell | str | float | None, column: Column) -> str:
    if isinstance(cell, Cell) and cell.parts:
        text = _stack(cell)
    elif isinstance(cell, Cell):
        text = badge(cell.text, cell.tone, help=cell.help) if cell.tone else escape(cell.text)
        if cell.href:
            text = f'<a href="{escape(cell.href)}" target="_self"{_title(cell.help)}>{text}</a>'
        elif cell.help and not cell.tone:
            text = f"<span{_title(cell.help)}>{text}</span>"
    elif isinstance(cell, str):
        text = escape(cell)
    elif cell is None or cell != cell:
        text = UNKNOWN
    elif column.is_bar:
        width = min(max(float(cell), 0.0), 1.0)
        text = (
            f'<span class="rs-bar rs-{column.tone}"><i style="width:{width:.1%}"></i></span>'
            f'<span class="rs-bar-value">{width:.0%}</span>'
        )
    else:
        text = _figure(float(cell))
    return f"<td{_class(column)}>{text}</td>"


def _stack(cell: Cell) -> str:
    marks = "".join(
        f'<i style="width:{min(max(part, 0.0), 1.0):.1%};background:{escape(colour)}"></i>'
        for colour, part in cell.parts
        if part > 0
    )
    return f'<span class="rs-stack" role="img" aria-label="{escape(cell.text)}"{_title(cell.help)}>{marks}</span>'


def _figure(value: float) -> str:
    size = abs(value)
    return number(value, 0 if size >= 100 or value == int(value) else 1 if size >= 10 else 2)


def _class(column: Column) -> str:
    return ' class="rs-number"' if column.is_number else ' class="rs-share"' if column.is_bar else ""


def _title(help: str) -> str:
    return f' title="{escape(help)}"' if help else ""
