"""What users waited, by who answered."""

from console.analysis.edge import CLOUD, DEVICE, histogram, latency_of, latency_over_time, side
from console.asking import Answer
from console.charts.edge import latency_lines, latency_shapes
from console.formats import ms
from console.page import current_palette, echart, panel
from console.panels.edge_answers import NO_REPORTS
from console.scope import Scope
from console.telemetry import Table


def show_latency(scope: Scope, answer: Answer) -> None:
    """Draw p50 and p95 over time, `edge_answers`."""

    def draw(table: Table) -> None:
        echart(
            latency_lines(latency_over_time(table), current_palette(), scope.interval),
            key="edge-latency",
            height=230,
            label="Median and 95th percentile of what users waited, by device and cloud, over time",
        )

    panel(
        _title(answer.table),
        answer,
        draw,
        key="edge-latency",
        unit="ms",
        note="As users saw it, the way there and back included; p95 is dashed.",
        empty=NO_REPORTS,
        csv=lambda: latency_over_time(answer.table).csv(),
    )


def show_shapes(answer: Answer) -> None:
    """Draw how waits are distributed, `edge_answers`."""

    def draw(table: Table) -> None:
        echart(
            latency_shapes(histogram(table), current_palette()),
            key="edge-shapes",
            height=230,
            label="Distribution of what users waited, by device and cloud",
        )

    panel(
        "How are waits distributed?",
        answer,
        draw,
        key="edge-shapes",
        unit="% of answers, by ms",
        note="Buckets as devices report them, each 1.2 times as long as the one before.",
        empty=NO_REPORTS,
        csv=lambda: histogram(answer.table).csv(),
    )


def _title(answers: Table) -> str:
    device, cloud = (latency_of(side(answers, name), 0.95) for name in (DEVICE, CLOUD))
    if device and cloud:
        return f"p95 is {ms(device.value_ms)} by the device, {ms(cloud.value_ms)} by the cloud"
    return "What did users wait?"
