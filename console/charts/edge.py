"""The edge: who answered, what users waited, and how alike the lists of devices and the cloud are."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import numpy as np

from console.analysis.edge import CLOUD, DEVICE, Agreement, Bundle, Reason
from console.charts.base import Spec, bars, epoch_ms, line, pairs, time_chart, tooltip
from console.charts.log_axes import log_axis, step_above, step_below
from console.formats import UNKNOWN, moment, number, share
from console.palette import Palette
from console.pieces import Cell, Column, Row, data_table
from console.scope import Scope, link_to
from console.telemetry import Table

NO_BUNDLE = "none"
FEW_POINTS, ROOM_POINTS = 3, 4
MOST_BAR_PX = 48
CLIENTS = {"js": "JavaScript", "python": "Python"}


def side_colours(palette: Palette) -> dict[str, str]:
    """The colours of devices and of the cloud, the same in every picture."""
    return {DEVICE: palette.series[0], CLOUD: palette.series[2]}


def who_answered(shares: Table, palette: Palette, interval: timedelta) -> Spec:
    """Of each interval's answers, how many devices gave, how many in the cloud's place, and how many the cloud.

    Args:
        shares: from `shares_over_time`.
        interval: that a bar stands for.
    """
    times = epoch_ms(shares["interval_start"])
    colours = side_colours(palette)
    counts = [shares[name] for name in ("n_device", "n_rescued", "n_cloud")]
    totals = np.maximum(sum(counts), 1e-9)
    names = ("device", "device, the cloud being out of reach", "cloud")
    chart = time_chart(palette, unit="%")
    chart["xAxis"] |= _room(times, interval)
    chart["yAxis"] |= {"max": 100, "interval": 25}
    chart["series"] = [
        bars(name, times, 100 * n / totals, colour, barCategoryGap="8%", barMaxWidth=MOST_BAR_PX)
        for name, n, colour in zip(
            names, counts, (colours[DEVICE], palette.warn, colours[CLOUD]), strict=True
        )
        if n.any()
    ]
    return chart


def latency_lines(latency: Table, palette: Palette, interval: timedelta) -> Spec:
    """p50 and p95 over time on a log axis, of devices and of the cloud; p95 is dashed.

    Args:
        latency: from `latency_over_time`.
        interval: that a point stands for.
    """
    times = epoch_ms(latency["interval_start"])
    colours = side_colours(palette)
    series = []
    for side, said in ((DEVICE, "device"), (CLOUD, "cloud")):
        for percent in (50, 95):
            each = line(f"{said} p{percent}", times, latency[f"{side}_p{percent}_ms"], colours[side])
            if percent == 95:
                each["lineStyle"] |= {"type": [4, 3]}
            series.append(each)
    drawn = np.concatenate([latency[name] for name in latency.columns[1:]])
    chart = time_chart(palette, unit="ms")
    chart["xAxis"] |= _room(times, interval)
    return chart | {"yAxis": log_axis(palette, drawn), "series": series}


def latency_shapes(shapes: Table, palette: Palette) -> Spec:
    """Shares of all answers by what users waited, on a log axis, one step a bucket.

    Args:
        shapes: from `histogram`.
    """
    up_to_ms = shapes["up_to_ms"]
    colours = side_colours(palette)
    chart = time_chart(palette, unit="%")
    chart["tooltip"] = tooltip(palette, unit="% of answers")
    chart["xAxis"] = log_axis(palette, up_to_ms) | {
        "min": step_below(float(up_to_ms[0])),
        "max": step_above(float(up_to_ms[-1])),
        "splitLine": {"show": False},
        "axisPointer": {"label": {"precision": 1}},
    }
    chart["yAxis"] |= {"min": 0}
    chart["series"] = [
        line(said, [], np.empty(0), colours[side], is_area=True)
        | {"data": pairs(up_to_ms.tolist(), 100 * shapes[side]), "step": "end", "showSymbol": False}
        for side, said in ((DEVICE, "device"), (CLOUD, "cloud"))
        if shapes[side].any()
    ]
    return chart


def agreement_lines(agreement: Table, palette: Palette, interval: timedelta) -> Spec:
    """Mean overlap and share of identical lists over time.

    Args:
        agreement: from `agreement_over_time`.
        interval: that a point stands for.
    """
    times = epoch_ms(agreement["interval_start"])
    chart = time_chart(palette, unit="%")
    chart["xAxis"] |= _room(times, interval)
    chart["yAxis"] |= {"min": 0, "max": 100, "interval": 25}
    chart["series"] = [
        line("same items", times, 100 * agreement["overlap"], palette.series[0], is_area=True),
        line("same items in the same order", times, 100 * agreement["identical"], palette.series[3]),
    ]
    return chart


def _room(times_ms: Sequence[float], interval: timedelta) -> Spec:
    """Ends of a time axis around a few points: by itself it would span days around a single one."""
    if len(times_ms) >= FEW_POINTS:
        return {}
    width_ms = ROOM_POINTS * interval / timedelta(milliseconds=1)
    return {"min": times_ms[0] - width_ms, "max": times_ms[-1] + width_ms}


def reason_rows(scope: Scope, reasons: Sequence[Reason]) -> str:
    """A row for each reason, with a link to the view that explains it."""
    rows: list[Row] = [
        [
            Cell("device", tone="good" if each.name == "default" else "warn")
            if each.answered_by == DEVICE
            else Cell("cloud", tone="info"),
            Cell(
                each.meaning.words,
                href=link_to(each.meaning.view, scope) if each.meaning.view else "",
                help=each.meaning.remedy or each.name,
            ),
            number(each.n_answers),
            each.share,
            _ms(each.p50_ms),
            _ms(each.p95_ms),
        ]
        for each in reasons
    ]
    columns = [
        Column("Answered"),
        Column("Because"),
        Column("Answers", is_number=True),
        Column("Share", is_bar=True),
        Column("p50", unit="ms", is_number=True),
        Column("p95", unit="ms", is_number=True),
    ]
    return data_table(columns, rows, label="Reasons of devices")


def bundle_rows(bundles: Sequence[Bundle]) -> str:
    """A row for each version on each kind of client, the newest first."""
    newest = next((each.version for each in bundles if each.is_version), "")
    rows: list[Row] = [
        [
            _version(each, newest),
            CLIENTS.get(each.client, each.client) or UNKNOWN,
            number(each.n_answers),
            each.device_share,
            _ms(each.p50_ms),
            _overlap(each.agreement),
            Cell(_minute(each.last_seen), help=f"First seen {_minute(each.first_seen)} UTC."),
        ]
        for each in bundles
    ]
    columns = [
        Column("Bundle"),
        Column("Client"),
        Column("Answers", is_number=True),
        Column("By the device", is_bar=True),
        Column("p50", unit="ms", is_number=True),
        Column("Same items", is_number=True),
        Column("Last seen, UTC"),
    ]
    return data_table(columns, rows, label="Bundles in the field")


def _version(bundle: Bundle, newest: str) -> Cell:
    if not bundle.version:
        return Cell(NO_BUNDLE, tone="warn", help="Devices that had no verified bundle.")
    if bundle.version == newest:
        return Cell(bundle.version, tone="good", help="The newest version that reports.")
    return Cell(
        bundle.version, help="" if bundle.is_version else "More versions than the service tells apart."
    )


def _overlap(agreement: Agreement | None) -> Cell | None:
    if agreement is None:
        return None
    said = f"{share(agreement.overlap_low)} to {share(agreement.overlap_high)}, {number(agreement.n_compared)} compared"
    return Cell(share(agreement.overlap), help=said)


def _ms(value: float) -> float | None:
    return None if value != value else value


def _minute(at: datetime) -> str:
    return moment(at.replace(second=0))
