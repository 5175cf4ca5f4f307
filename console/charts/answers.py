"""Try it: the pictures of an answer."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Literal

import altair as alt

from console.api_values import ItemId, Phase, ScoredItem
from console.palette import Palette

PHASES = {
    "startup": "waits until the process is ready",
    "admit": "admission control lets the request in",
    "state": "reads the user's history",
    "queue": "waits for companions of its micro-batch",
    "infer": "the model scores the catalogue",
    "rank": "filters and sorts",
    "encode": "writes the JSON",
}
"What the server's phases do, in the order of time."
OTHER_PHASE = "a phase this console does not know"
HEIGHT_PX = 104
"Bar and legend together."


@dataclass(frozen=True, slots=True)
class Move:
    """How an item got to its place."""

    kind: Literal["new", "up", "down", "same"]
    places: int = 0
    "How many it went up or down."


def phase_bar(phases: Sequence[Phase], palette: Palette) -> alt.Chart:
    """The server's phases as one stacked bar; the legend tells each one's milliseconds."""
    labels = [f"{phase.name} {phase.duration_ms:.2f} ms" for phase in phases]
    total_ms = sum(phase.duration_ms for phase in phases)
    rows = [
        {
            "order": order,
            "label": label,
            "phase": phase.name,
            "meaning": PHASES.get(phase.name, OTHER_PHASE),
            "duration_ms": phase.duration_ms,
            "share": phase.duration_ms / total_ms if total_ms else 0.0,
        }
        for order, (phase, label) in enumerate(zip(phases, labels, strict=True))
    ]
    chart: alt.Chart = alt.Chart(alt.InlineData(values=rows)).mark_bar(height=20)
    chart = chart.encode(
        x=alt.X("duration_ms:Q", stack="zero", title=None, axis=None, scale=alt.Scale(nice=False)),
        color=alt.Color(
            "label:N",
            scale=alt.Scale(domain=labels, range=[palette.phase(phase.name) for phase in phases]),
            legend=alt.Legend(
                title=None, orient="bottom", columns=3, symbolType="square", offset=4, padding=0
            ),
        ),
        order=alt.Order("order:Q"),
        tooltip=[
            alt.Tooltip("phase:N", title="phase"),
            alt.Tooltip("meaning:N", title="what it does"),
            alt.Tooltip("duration_ms:Q", title="ms", format=".3f"),
            alt.Tooltip("share:Q", title="of the server's time", format=".0%"),
        ],
    )
    chart = chart.properties(height=HEIGHT_PX)
    return chart


def ranked(
    rank: int, item: ScoredItem, best: float, *, genres: Sequence[str] = (), move: Move | None = None
) -> str:
    """One place of a ranking as HTML, the score a bar relative to the best.

    Args:
        rank: 1 is the first.
        best: score of the first.
        move: how the item got there; None where there was no list before.
    """
    return (
        f'<div class="ranked{" ranked-new" if move and move.kind == "new" else ""}">'
        f'<span class="rank">{rank}</span>'
        f'<span class="film"><span class="title">{escape(item.title)}</span>{_move(move)}'
        f'<span class="genres">{escape(", ".join(genres))}</span></span>'
        f'<span class="bar"><span style="width:{share_of_best(item.score, best):.1%}"></span></span>'
        f'<span class="score">{item.score:,.{_decimals(best)}f}</span>'
        "</div>"
    )


def moves(before: Sequence[ItemId], after: Sequence[ItemId]) -> list[Move]:
    """How each item of a list got to its place from the list before it."""
    places = {item_id: place for place, item_id in enumerate(before)}
    return [_moved(places.get(item_id), place) for place, item_id in enumerate(after)]


def what_changed(before: Sequence[ScoredItem], after: Sequence[ScoredItem]) -> str:
    """In words: `2 new, 3 up, 1 down; gone: Heat (1995).`"""
    ids = [item.id for item in after]
    kinds = [move.kind for move in moves([item.id for item in before], ids)]
    told = [f"{n} {kind}" for kind in ("new", "up", "down") if (n := kinds.count(kind))]
    gone = [item.title for item in before if item.id not in set(ids)]
    if not told and not gone:
        return "the list stays as it was."
    listed = ", ".join(told) or "the others stay"
    return f"{listed}; gone: {', '.join(gone)}." if gone else f"{listed}."


def _moved(before: int | None, place: int) -> Move:
    if before is None:
        return Move("new")
    if before == place:
        return Move("same")
    return Move("up", before - place) if before > place else Move("down", place - before)


def _move(move: Move | None) -> str:
    match move:
        case Move("new"):
            return '<span class="move move-new">new</span>'
        case Move("up", places):
            return f'<span class="move move-up" title="up {places}"><i>▲</i> {places}</span>'
        case Move("down", places):
            return f'<span class="move move-down" title="down {places}"><i>▼</i> {places}</span>'
    return ""


def share_of_best(score: float, best: float) -> float:
    """A score as a share of the best one, in [0, 1]; 0 where scores are not positive."""
    return max(score, 0.0) / best if best > 0 else 0.0


def _decimals(best: float) -> int:
    """Digits after the point that a list led by this score needs to be told apart at a glance."""
    return 0 if best >= 100 else 2
