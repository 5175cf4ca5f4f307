"""What ECharts specs share: axes, grid, tooltips and series in the console's palette."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from console.palette import Palette

FONT = '"Source Sans", "Source Sans 3", sans-serif'
FONT_SIZE_PX = 12
JS_MARK = "--x_x--0_0--"
"The browser runs what stands between two of them, as streamlit-echarts has it."
Spec = dict[str, Any]


class JavaScript(str):
    """Code of ours within a spec."""

    __slots__ = ()


def javascript(code: str) -> JavaScript:
    """Code that a spec holds: a formatter, or what draws a mark."""
    return JavaScript(f"{JS_MARK}{code}{JS_MARK}")


def without_foreign_code(spec: Any) -> Any:
    """The spec, in which no text is code but our own: names in telemetry are anybody's."""
    if isinstance(spec, dict):
        return {name: without_foreign_code(each) for name, each in spec.items()}
    if isinstance(spec, list | tuple):
        return [without_foreign_code(each) for each in spec]
    if isinstance(spec, str) and not isinstance(spec, JavaScript):
        return spec.replace(JS_MARK, "…")
    return spec


def epoch_ms(times: NDArray[Any]) -> list[float]:
    """Times, datetime64 in UTC, as ECharts takes them."""
    moments: list[float] = times.astype("datetime64[ms]").astype(np.int64).astype(float).tolist()
    return moments


def time_chart(palette: Palette, *, unit: str = "", is_log: bool = False, legend: bool = True) -> Spec:
    """A chart over time without its series: axes, grid, legend and tooltip.

    Args:
        unit: of the tooltip; the panel's title tells it for the axis.
    """
    return {
        "useUTC": True,
        "animation": False,
        "textStyle": {"fontFamily": FONT, "fontSize": FONT_SIZE_PX},
        "aria": {"enabled": True},
        "grid": grid(has_legend=legend),
        "tooltip": tooltip(palette, unit=unit),
        "legend": legend_of(palette, is_shown=legend),
        "xAxis": time_axis(palette),
        "yAxis": value_axis(palette, is_log=is_log),
        "series": [],
    }


def grid(*, has_legend: bool = True, left: int = 4, right: int = 12) -> Spec:
    """Room for labels at their real size, so that none is clipped."""
    return {
        "left": left,
        "right": right,
        "top": 30 if has_legend else 10,
        "bottom": 4,
        "outerBoundsMode": "same",
        "outerBoundsContain": "axisLabel",
    }


def time_axis(palette: Palette) -> Spec:
    return {
        "type": "time",
        "axisLine": {"lineStyle": {"color": palette.line}},
        "axisTick": {"show": False},
        "axisLabel": _label(palette) | {"hideOverlap": True},
        "splitLine": {"show": False},
    }


def category_axis(palette: Palette, labels: Sequence[str]) -> Spec:
    return {
        "type": "category",
        "data": list(labels),
        "axisLine": {"lineStyle": {"color": palette.line}},
        "axisTick": {"show": False},
        "axisLabel": _label(palette) | {"hideOverlap": True},
    }


def value_axis(palette: Palette, *, unit: str = "", is_log: bool = False) -> Spec:
    """An axis of numbers; its unit stands above it."""
    return {
        "type": "log" if is_log else "value",
        "name": unit,
        "nameLocation": "end",
        "nameGap": 8,
        "nameTextStyle": {
            "color": palette.muted,
            "fontSize": FONT_SIZE_PX,
            "align": "right",
            "padding": [0, 4, 0, 0],
        },
        "axisLabel": _label(palette) | {"hideOverlap": True},
        "axisLine": {"show": False},
        "axisTick": {"show": False},
        "splitNumber": 4,
        "splitLine": {"lineStyle": {"color": palette.line, "opacity": 0.7}},
    }


def tooltip(palette: Palette, *, unit: str = "", trigger: str = "axis") -> Spec:
    return {
        "trigger": trigger,
        "confine": True,
        "backgroundColor": palette.background,
        "borderColor": palette.line,
        "borderWidth": 1,
        "padding": [6, 10],
        "textStyle": {"color": palette.text, "fontSize": FONT_SIZE_PX},
        "axisPointer": {"lineStyle": {"color": palette.muted}, "crossStyle": {"color": palette.muted}},
        # ECharts formats numbers itself: ten digits of a latency say nothing.
        "valueFormatter": _js_number(unit),
    }


def legend_of(palette: Palette, *, is_shown: bool = True) -> Spec:
    return {
        "show": is_shown,
        "type": "scroll",
        "top": 0,
        "right": 8,
        "left": 0,
        "align": "left",
        "icon": "roundRect",
        "itemWidth": 12,
        "itemHeight": 8,
        "itemGap": 14,
        "textStyle": {"color": palette.muted, "fontSize": FONT_SIZE_PX},
        "pageTextStyle": {"color": palette.muted},
        "pageIconColor": palette.muted,
    }


def line(
    name: str,
    times_ms: Sequence[float],
    values: NDArray[Any],
    colour: str,
    *,
    is_area: bool = False,
    **more: Any,
) -> Spec:
    """A line over time; it breaks where a value is not known."""
    return {
        "type": "line",
        "name": name,
        "data": pairs(times_ms, values),
        "showSymbol": len(times_ms) < 3,
        "symbolSize": 5,
        "lineStyle": {"width": 1.6, "color": colour},
        "itemStyle": {"color": colour},
        "emphasis": {"disabled": True},
        **({"areaStyle": {"color": colour, "opacity": 0.12}} if is_area else {}),
        **more,
    }


def bars(
    name: str,
    times_ms: Sequence[float],
    values: NDArray[Any],
    colour: str,
    *,
    stack: str = "all",
    **more: Any,
) -> Spec:
    """Bars over time, stacked on those of the same stack."""
    return {
        "type": "bar",
        "name": name,
        "stack": stack,
        "data": pairs(times_ms, values),
        "barCategoryGap": "12%",
        "itemStyle": {"color": colour},
        "emphasis": {"disabled": True},
        **more,
    }


def threshold(value: float, label: str, colour: str) -> Spec:
    """A horizontal line that a series carries as its `markLine`, such as a promise."""
    return {
        "silent": True,
        "symbol": "none",
        "animation": False,
        "lineStyle": {"color": colour, "type": [4, 3], "width": 1.2},
        "label": {"formatter": label, "position": "insideEndTop", "color": colour, "fontSize": FONT_SIZE_PX},
        "data": [{"yAxis": value}],
    }


def pairs(times_ms: Sequence[float], values: NDArray[Any]) -> list[list[float | None]]:
    """Points as ECharts takes them, to five figures; null where a value is not finite."""
    return [
        [at, float(f"{value:.5g}") if np.isfinite(value) else None]
        for at, value in zip(times_ms, np.asarray(values, dtype=float).tolist(), strict=True)
    ]


def _label(palette: Palette) -> Spec:
    return {"color": palette.muted, "fontSize": FONT_SIZE_PX}


def _js_number(unit: str) -> str:
    """JavaScript for a number of the tooltip."""
    after = f" {unit}" if unit else ""
    code = (
        "function (v) { return v === null || v === undefined || Number.isNaN(v) ? '–' : "
        "Number(Number(v).toPrecision(3)).toLocaleString('en-GB') + " + repr(after) + "; }"
    )
    return javascript(code)
