"""Parts of ECharts specs."""

import numpy as np

from console.charts.base import (
    JS_MARK,
    bars,
    epoch_ms,
    grid,
    javascript,
    line,
    pairs,
    time_chart,
    value_axis,
    without_foreign_code,
)
from console.palette import DARK, LIGHT

TIMES = np.array(["2026-11-22T12:00:00", "2026-11-22T12:01:00"], dtype="datetime64[us]")


def test_times_are_milliseconds_of_the_epoch() -> None:
    assert epoch_ms(TIMES) == [1_795_348_800_000.0, 1_795_348_860_000.0]


def test_points_have_five_figures_and_gaps() -> None:
    assert pairs([1.0, 2.0, 3.0], np.array([41.234567, np.nan, np.inf])) == [
        [1.0, 41.235],
        [2.0, None],
        [3.0, None],
    ]


def test_chart_takes_its_colours_from_the_palette() -> None:
    light, dark = time_chart(LIGHT, unit="ms"), time_chart(DARK, unit="ms")

    assert light["yAxis"]["axisLabel"]["color"] == LIGHT.muted
    assert dark["tooltip"]["backgroundColor"] == DARK.background
    assert value_axis(LIGHT, unit="ms")["name"] == "ms"
    assert light["useUTC"]


def test_axis_can_be_logarithmic() -> None:
    assert value_axis(LIGHT, is_log=True)["type"] == "log"


def test_chart_without_legend_leaves_it_no_room() -> None:
    assert grid(has_legend=False)["top"] < grid(has_legend=True)["top"]


def test_lines_of_few_points_show_them() -> None:
    assert line("p99", [1.0, 2.0], np.array([1, 2]), "#000000")["showSymbol"]
    assert not line("p99", [1.0, 2.0, 3.0], np.array([1, 2, 3]), "#000000")["showSymbol"]


def test_bars_stack() -> None:
    one, other = (bars(name, [1.0], np.array([1]), "#000000") for name in ("ok", "shed"))

    assert one["stack"] == other["stack"]


def test_names_in_telemetry_are_never_code() -> None:
    name = f"I1{JS_MARK}alert(1){JS_MARK}"
    overlapping = f"{JS_MARK[:6]}{JS_MARK}{JS_MARK[6:]}alert(1){JS_MARK}"
    ours = javascript("function (v) { return v; }")

    spec = without_foreign_code(
        {"series": [{"name": name, "data": [[1.0, overlapping], (name,)]}], "formatter": ours}
    )

    assert JS_MARK not in str(spec["series"])
    assert "alert(1)" in spec["series"][0]["name"]
    assert spec["formatter"] == ours
