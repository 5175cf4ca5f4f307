"""What a shadow would have shown."""

from console.asking import Answer
from console.charts.models import overlap_chart
from console.formats import share, short
from console.page import echart, panel
from console.palette import Palette
from console.telemetry import Table


def show_shadow(answer: Answer, colours: dict[str, str], palette: Palette) -> None:
    """Draw the overlap of its lists with those shown, `shadow`."""

    def draw(table: Table) -> None:
        echart(
            overlap_chart(table, colours, palette),
            key="overlap",
            height=140,
            label="Overlap of the shadow's lists with those shown, over time",
        )

    panel(
        _title(answer.table),
        answer,
        draw,
        key="shadow",
        unit="% of items shown",
        note="A shadow answers nobody; it says what it would have shown.",
        empty="No shadow runs. RECSERVE_SHADOW names a rung that is compared off the answer's way.",
    )


def _title(shadow: Table) -> str:
    if not shadow.n_rows:
        return "What would the shadow have shown?"
    n = shadow["n_compared"]
    mean = float((n * shadow["mean_overlap"]).sum() / n.sum())
    names = " and ".join(sorted(set(shadow["variant"])))
    return f"{names}, as a shadow, would have shown {share(mean)} of the same items in {short(float(n.sum()))} answers"
