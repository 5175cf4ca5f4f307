"""Pictures of answers: functions from data to a chart or to HTML, without Streamlit."""

from collections.abc import Mapping, Sequence
from html import escape

import altair as alt

from console.api import CatalogueItem, ItemId, Phase, ScoredItem

PHASES = {
    "startup": ("#b9b4a7", "waits until the process is ready"),
    "admit": ("#8f8a7d", "admission control lets the request in"),
    "state": ("#5b8db8", "reads the user's history"),
    "queue": ("#e0a33e", "waits for companions of its micro-batch"),
    "infer": ("#0f8f86", "the model scores the catalogue"),
    "rank": ("#7ab8a4", "filters and sorts"),
    "encode": ("#a58bbd", "writes the JSON"),
}
"Colour and meaning of the server's phases, in the order of time: greys and ochre wait, the others work."
HEIGHT_PX = 104
"Bar and legend together."
OTHER_PHASE = ("#c9667a", "a phase this console does not know")


def phase_bar(phases: Sequence[Phase]) -> alt.Chart:
    """The server's phases as one stacked bar; the legend tells each one's milliseconds."""
    labels = [f"{phase.name} {phase.duration_ms:.2f} ms" for phase in phases]
    looks = [PHASES.get(phase.name, OTHER_PHASE) for phase in phases]
    total_ms = sum(phase.duration_ms for phase in phases)
    rows = [
        {
            "order": order,
            "label": label,
            "phase": phase.name,
            "meaning": meaning,
            "duration_ms": phase.duration_ms,
            "share": phase.duration_ms / total_ms if total_ms else 0.0,
        }
        for order, (phase, label, (_, meaning)) in enumerate(zip(phases, labels, looks, strict=True))
    ]
    chart: alt.Chart = alt.Chart(alt.InlineData(values=rows)).mark_bar(height=20)
    chart = chart.encode(
        x=alt.X("duration_ms:Q", stack="zero", title=None, axis=None, scale=alt.Scale(nice=False)),
        color=alt.Color(
            "label:N",
            scale=alt.Scale(domain=labels, range=[colour for colour, _ in looks]),
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


def ranking(items: Sequence[ScoredItem], catalogue: Mapping[ItemId, CatalogueItem]) -> str:
    """Scored items as an HTML table, best first, each score a bar relative to the best.

    Args:
        items: in the order to show.
        catalogue: where genres are looked up; items it lacks are shown without.
    """
    best = max((item.score for item in items), default=0.0)
    rows = "".join(
        "<tr>"
        f'<td class="rank">{rank}</td>'
        f'<td class="film"><span class="title">{escape(item.title)}</span>'
        f'<span class="genres">{escape(_genres(catalogue.get(item.id)))}</span></td>'
        f'<td class="bar"><span><span style="width:{share_of_best(item.score, best):.1%}"></span></span></td>'
        f'<td class="score">{item.score:,.{_decimals(best)}f}</td>'
        "</tr>"
        for rank, item in enumerate(items, start=1)
    )
    head = '<tr><th scope="col">Rank</th><th scope="col">Film</th><th scope="col" colspan="2">Score</th></tr>'
    return f'<table class="ranking"><thead>{head}</thead><tbody>{rows}</tbody></table>'


def share_of_best(score: float, best: float) -> float:
    """A score as a share of the best one, in [0, 1]; 0 where scores are not positive."""
    return max(score, 0.0) / best if best > 0 else 0.0


def _decimals(best: float) -> int:
    """Digits after the point that a list led by this score needs to be told apart at a glance."""
    return 0 if best >= 100 else 2


def _genres(item: CatalogueItem | None) -> str:
    return ", ".join(item.genres) if item is not None else ""
