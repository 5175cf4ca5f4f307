"""How long instances lived."""

from console.analysis.lifetimes import stays
from console.asking import Answer
from console.charts.cold_start_lifetimes import MOST_INSTANCES, lifetime_chart
from console.page import altair_chart, panel
from console.palette import Palette
from console.scope import Scope
from console.telemetry import Table


def show_lifetimes(answers: dict[str, Answer], scope: Scope, palette: Palette) -> None:
    """Draw each instance's states, and the starts within them."""
    states, seen, starts = (answers[name] for name in ("states", "seen", "starts"))
    found = stays(states.table, seen.table, since=scope.since, until=scope.until)
    n = len({stay.instance for stay in found})
    note = "Triangles are starts; red ones made requests wait."
    if n > MOST_INSTANCES:
        note += f" The {MOST_INSTANCES} latest of {n} instances."
    if not states.has_rows and found:
        note += " This plan does not tell its states: bars are from the first heartbeat to the last."

    def draw_stays(*_: Table) -> None:
        chart = lifetime_chart(found, starts.table, palette, since=scope.since, until=scope.until)
        altair_chart(chart, key="lifetimes")

    # Whichever table has rows comes first: a panel is empty where its first is.
    shown = sorted((states, seen), key=lambda answer: not answer.has_rows)
    panel(
        f"{n} instance{'s' if n != 1 else ''} lived in this range" if n else "How long did instances live?",
        shown,
        draw_stays,
        key="lifetimes-panel",
        unit="UTC",
        note=note,
        empty="No instance was heard of in this range.",
    )
