"""Models and quality: what does the ladder give away?"""

import os
from datetime import UTC, datetime

import streamlit as st

from console.analysis.ladder import (
    BROWNOUT,
    Episode,
    Following,
    answers_by_variant,
    brownouts,
    followed,
    followed_table,
    frontier,
    given_away,
    order_of,
    share_known,
)
from console.api import Address, Api, ApiError, Ladder, read_address
from console.asking import Answer, Question, ask
from console.bar import current_scope
from console.charts.models import (
    chart_height,
    frontier_chart,
    overlap_chart,
    rate_chart,
    served_mix,
    size,
    variant_colours,
)
from console.failures import Failure
from console.formats import UNKNOWN, between, number, share, short
from console.page import altair_chart, current_palette, echart, heading, panel, panel_row
from console.pieces import Cell, Column, Tile, Tone, data_table, legend, tiles
from console.queries.histograms import percentile_ms
from console.scope import Scope, link_to
from console.telemetry import Table, table_of

LADDER_TTL_S = 120
GROWTH = 1.05
FEW = 100
"Events or answers below which a rate is said to rest on few."
MOST_EPISODES = 6


def show() -> None:
    """Draw the view."""
    scope = current_scope()
    palette = current_palette()
    ladder, described = ask_ladder(read_address(os.environ))
    # Rungs are compared with each other, so the bar's variant would leave nothing to see.
    answers = ask(
        scope,
        served=Question("variants", variant=""),
        latency=Question("latency_by_variant", growth=GROWTH),
        feedback=Question("feedback", variant=""),
        shadow=Question("shadow"),
    )
    served = answers["served"].table
    n_answers = answers_by_variant(served) if served.n_rows else {}
    feedback = answers["feedback"].table
    follows = followed(feedback, n_answers) if feedback.n_rows else []
    episodes = brownouts(served, scope.interval)
    shadow = answers["shadow"].table
    order = order_of(
        [
            *(rung.name for rung in (ladder.rungs if ladder else ())),
            *n_answers,
            *(row.variant for row in follows),
            *(set(shadow["variant"]) if shadow.n_rows else ()),
        ],
        ladder,
    )
    colours = variant_colours(order, palette)
    p50_ms = median_by_variant(answers["latency"].table)

    heading("What does the ladder give away?", sentence(ladder, n_answers, follows, episodes))
    st.html(tiles(_figures(scope, ladder, served, n_answers, feedback, follows, shadow)))

    left, right = panel_row([1, 1])
    with left:

        def draw_frontier(_: Table) -> None:
            assert ladder is not None
            altair_chart(
                frontier_chart(ladder.rungs, ladder.serving, colours, palette), key="frontier", height=270
            )

        panel(
            _frontier_title(ladder),
            described,
            draw_frontier,
            key="frontier-panel",
            note="Filled rungs answer; area is size, the bar through each the 95 % interval of its quality.",
            empty="The API has no ladder.",
        )
    with right:

        def draw_rungs(*_: Table) -> None:
            assert ladder is not None
            st.html(_rungs(scope, ladder, n_answers, p50_ms))

        panel(
            "What each rung costs, and how often it answers",
            [described, answers["latency"]],
            draw_rungs,
            key="rungs",
            note="Quality, run and size as measured at training; answers and their median time in this range.",
        )

    left, middle, right = panel_row([2, 1, 1])
    with left:

        def draw_mix(table: Table) -> None:
            echart(
                served_mix(table, order, colours, palette),
                key="mix",
                height=210,
                label="Share of answers by variant over time, brownout apart",
            )
            if episodes:
                st.html(_episodes(scope, episodes))

        panel(
            _mix_title(n_answers, ladder, episodes),
            answers["served"],
            draw_mix,
            key="mix-panel",
            unit="% of answers",
            empty="Nobody was answered in this range.",
        )
    known = share_known(feedback) if feedback.n_rows else None
    few = any(row.n_known < FEW for row in follows)
    with middle:
        panel(
            "Online hit rate",
            answers["feedback"],
            lambda _: _draw_rate(follows, "hit_rate", order, colours),
            key="hits",
            unit="of events",
            note=f"The item of the event was on the list shown before; 95 % interval. {share(known)} of events "
            f"could be joined with a list.{' Some rungs rest on few events.' if few else ''}",
            empty="No events in this range: click an item in Try it, or post to /api/events.",
            csv=lambda: followed_table(follows).csv(),
        )
    with right:
        panel(
            "Click-through",
            [answers["feedback"], answers["served"]],
            lambda *_: _draw_rate(follows, "click_through", order, colours),
            key="clicks",
            unit="of answers",
            note="Clicks on a listed item per answer; clicks that could not be joined are taken to be like the "
            "others. Rungs answer different people at different times: only a split compares them fairly.",
            empty="No events in this range: click an item in Try it, or post to /api/events.",
            csv=lambda: followed_table(follows).csv(),
        )

    def draw_overlap(table: Table) -> None:
        echart(
            overlap_chart(table, colours, palette),
            key="overlap",
            height=140,
            label="Overlap of the shadow's lists with those shown, over time",
        )

    panel(
        _shadow_title(shadow),
        answers["shadow"],
        draw_overlap,
        key="shadow",
        unit="% of items shown",
        note="A shadow answers nobody; it says what it would have shown.",
        empty="No shadow runs. RECSERVE_SHADOW names a rung that is compared off the answer's way.",
    )


def ask_ladder(address: Address) -> tuple[Ladder | None, Answer]:
    """The ladder as the API serves it, and the same as an answer that a panel takes."""
    question = "Which models does the API have, and what was measured of them?"
    asked = f"GET {address.url}/models"
    try:
        ladder, asked_at = _read_ladder(address)
    except ApiError as err:
        # `what` and `remedy` are the console's own words; only `detail` is the API's.
        kind = "unreachable" if err.is_temporary else "refused"
        failure = Failure(err.what, err.remedy, err.detail, kind=kind)
        return None, Answer(
            question=question, kql=asked, table=Table(), failure=failure, asked_at=datetime.now(UTC)
        )
    table = table_of(
        {
            "rung": [rung.name for rung in ladder.rungs],
            "answers": [str(rung.name in ladder.serving).lower() for rung in ladder.rungs],
            "ndcg_10": [rung.ndcg for rung in ladder.rungs],
            "ndcg_10_low": [rung.ndcg_low for rung in ladder.rungs],
            "ndcg_10_high": [rung.ndcg_high for rung in ladder.rungs],
            "hit_rate_10": [rung.hit_rate for rung in ladder.rungs],
            "run_ms": [rung.latency_ms for rung in ladder.rungs],
            "bytes": [rung.n_bytes for rung in ladder.rungs],
            "parameters": [rung.n_parameters for rung in ladder.rungs],
            "description": [rung.description for rung in ladder.rungs],
        }
    )
    return ladder, Answer(question=question, kql=asked, table=table, asked_at=asked_at)


@st.cache_resource(show_spinner=False)
def _connect(address: Address) -> Api:
    return Api(address, timeout_s=3.0)


@st.cache_data(ttl=LADDER_TTL_S, show_spinner=False)
def _read_ladder(address: Address) -> tuple[Ladder, datetime]:
    return _connect(address).ladder(), datetime.now(UTC)


def sentence(
    ladder: Ladder | None, n_answers: dict[str, float], follows: list[Following], episodes: list[Episode]
) -> str:
    """The view's answer, from what is known."""
    said = []
    lost = given_away(n_answers, ladder) if ladder else None
    if ladder and lost is not None:
        first = ladder.serving[0]
        told = "nothing" if lost < 0.0005 else share(lost)
        said.append(f"The mix that answered gives away {told} of the NDCG@10 that {first} alone would have")
    elif n_answers:
        top, n = next(iter(n_answers.items()))
        said.append(
            f"{top} gave {share(n / sum(n_answers.values()))} of {short(sum(n_answers.values()))} answers"
        )
    if episodes:
        n_brown = sum(episode.n_requests for episode in episodes)
        said.append(f"{share(n_brown / sum(n_answers.values()))} of answers were brownout")
    text = "; ".join(said)
    if len(follows) > 1 and (compared := _compare_online(follows)):
        text = f"{text}. {compared}" if text else compared
    if not text and ladder:
        best, last = ladder.rungs[0], ladder.rungs[-1]
        text = f"From {best.name} to {last.name}, NDCG@10 falls from {best.ndcg:.3f} to {last.ndcg:.3f}"
    return f"{text}." if text else ""


def _compare_online(follows: list[Following]) -> str:
    """The most and the least followed rung, if their intervals are apart; small counts say nothing."""
    judged = sorted((row for row in follows if row.n_known >= FEW), key=lambda row: row.hit_rate)
    if len(judged) < 2:
        return ""
    worst, best = judged[0], judged[-1]
    apart = "" if best.hit_rate_low > worst.hit_rate_high else ", which their intervals do not tell apart"
    return (
        f"Online, users followed {share(best.hit_rate)} of {best.variant}'s lists and "
        f"{share(worst.hit_rate)} of {worst.variant}'s{apart}"
    )


def median_by_variant(latency: Table) -> dict[str, float | None]:
    """Median time of an answer by variant, ms, over all versions and reasons."""
    rows: dict[str, list[dict[str, float]]] = {}
    for row in latency.rows():
        rows.setdefault(row["variant"], []).append(row)
    return {variant: percentile_ms(own, 0.5, growth=GROWTH) for variant, own in rows.items()}


def _figures(
    scope: Scope,
    ladder: Ladder | None,
    served: Table,
    n_answers: dict[str, float],
    feedback: Table,
    follows: list[Following],
    shadow: Table,
) -> list[Tile]:
    n_all = sum(n_answers.values())
    lost = given_away(n_answers, ladder) if ladder else None
    first = ladder.serving[0] if ladder and ladder.serving else next(iter(n_answers), "")
    n_brown = float(served["n_requests"][served["reason"] == BROWNOUT].sum()) if served.n_rows else 0.0
    n_known = sum(row.n_known for row in follows)
    n_hits = sum(row.n_known * row.hit_rate for row in follows)
    n_clicks = sum(
        row.n_answers * row.click_through for row in follows if row.click_through == row.click_through
    )
    known = share_known(feedback) if feedback.n_rows else None
    n_compared = float(shadow["n_compared"].sum()) if shadow.n_rows else 0.0
    overlap = (
        float((shadow["n_compared"] * shadow["mean_overlap"]).sum() / n_compared) if n_compared else None
    )
    return [
        Tile(
            "Quality given away",
            share(lost) if lost is not None else UNKNOWN,
            delta=f"of {first}'s NDCG@10" if lost is not None else "",
            tone=_tone(lost, 0.02, 0.1),
            help="Held-out NDCG@10 of the rungs, weighted by their answers, against the first serving rung's.",
        ),
        Tile(
            f"Answered by {first}" if first else "Answers",
            share(n_answers.get(first, 0.0) / n_all) if n_all else UNKNOWN,
            delta=f"of {short(n_all)} answers" if n_all else "",
            href=link_to("latency", scope, variant=first) if n_all and first else "",
            help="Show the latency of these answers.",
        ),
        Tile(
            "Brownout",
            share(n_brown / n_all) if n_all else UNKNOWN,
            delta="of answers by a cheaper rung under load" if n_all else "",
            tone=_tone(n_brown / n_all if n_all else None, 0.001, 0.05),
            href=link_to("concurrency", scope) if n_brown else "",
        ),
        Tile(
            "Online hit rate",
            share(n_hits / n_known) if n_known else UNKNOWN,
            delta=f"of {short(n_known)} events; {share(known)} joined" if n_known else "no events",
        ),
        Tile(
            "Click-through",
            share(n_clicks / n_all) if n_all and n_clicks else UNKNOWN,
            delta="clicks on listed items per answer" if n_clicks else "no clicks",
        ),
        Tile(
            "Shadow overlap",
            share(overlap) if overlap is not None else UNKNOWN,
            delta=f"of {short(n_compared)} compared" if n_compared else "no shadow runs",
        ),
    ]


def _tone(value: float | None, warn_from: float, bad_from: float) -> Tone:
    if value is None:
        return "quiet"
    return "bad" if value >= bad_from else "warn" if value >= warn_from else "good"


def _rungs(scope: Scope, ladder: Ladder, n_answers: dict[str, float], p50_ms: dict[str, float | None]) -> str:
    """A row for each rung, best first; then those that answered and that the ladder lacks."""
    n_all = sum(n_answers.values())
    best = ladder.rungs[0].ndcg if ladder.rungs else 0.0

    def cell(name: str, help: str = "") -> Cell:
        return Cell(
            name, href=link_to("latency", scope, variant=name) if name in n_answers else "", help=help
        )

    def role(name: str) -> Cell:
        if name not in ladder.serving:
            return Cell("at hand", tone="quiet", help="Trained and kept; it answers nobody.")
        first = name == ladder.serving[0]
        return Cell("first", tone="good") if first else Cell("fallback", tone="info")

    rows: list[list[Cell | str | float | None]] = [
        [
            cell(rung.name, rung.description),
            role(rung.name),
            Cell(f"{rung.ndcg:.4f}", help=_interval(rung.ndcg_low, rung.ndcg_high)),
            Cell("–" if rung.ndcg == best else share(rung.ndcg / best - 1)),
            Cell(f"{rung.latency_ms:.3f}"),
            size(rung.n_bytes),
            n_answers.get(rung.name, 0.0) / n_all if n_all else None,
            p50_ms.get(rung.name),
        ]
        for rung in ladder.rungs
    ]
    known = {rung.name for rung in ladder.rungs}
    rows += [
        [
            cell(name, "The API's ladder lacks it."),
            Cell("not here", tone="warn"),
            *[None] * 4,
            n / n_all,
            p50_ms.get(name),
        ]
        for name, n in n_answers.items()
        if name not in known
    ]
    columns = [
        Column("Rung"),
        Column("Role"),
        Column("NDCG@10", is_number=True),
        Column("Against best", is_number=True),
        Column("Run", unit="ms", is_number=True),
        Column("Size", is_number=True),
        Column("Answers", is_bar=True),
        Column("Median answer", unit="ms", is_number=True),
    ]
    return data_table(columns, rows, label="Rungs of the ladder")


def _interval(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f"95 % interval {low:.4f} to {high:.4f}"


def _frontier_title(ladder: Ladder | None) -> str:
    if ladder is None or not ladder.rungs:
        return "Which rung is worth its time?"
    beaten = [rung.name for rung in ladder.rungs if rung.name not in frontier(ladder.rungs)]
    if not beaten:
        return "Every rung buys quality with time"
    rest = "others are" if len(beaten) > 1 else "another rung is"
    return f"{' and '.join(beaten)}: {rest} both faster and at least as good"


def _mix_title(n_answers: dict[str, float], ladder: Ladder | None, episodes: list[Episode]) -> str:
    if not n_answers:
        return "Who answered, and when?"
    n_all = sum(n_answers.values())
    top, n = next(iter(n_answers.items()))
    said = f"{top} gave {share(n / n_all)} of {short(n_all)} answers"
    if not episodes:
        return f"{said}; no brownout"
    times = "once" if len(episodes) == 1 else f"{len(episodes)} times"
    return f"{said}; brownout {times}"


def _shadow_title(shadow: Table) -> str:
    if not shadow.n_rows:
        return "What would the shadow have shown?"
    n = shadow["n_compared"]
    mean = float((n * shadow["mean_overlap"]).sum() / n.sum())
    names = " and ".join(sorted(set(shadow["variant"])))
    return f"{names}, as a shadow, would have shown {share(mean)} of the same items in {short(float(n.sum()))} answers"


def _episodes(scope: Scope, episodes: list[Episode]) -> str:
    """Stretches of brownout, each with a link to its requests."""
    rows: list[list[Cell | str | float | None]] = [
        [
            Cell(
                between(episode.since, episode.until),
                href=link_to("latency", scope, since=episode.since, until=episode.until),
                help="Show the requests of these minutes.",
            ),
            ", ".join(episode.variants),
            number(episode.n_requests),
            Cell(
                "what was in flight",
                href=link_to("concurrency", scope, since=episode.since, until=episode.until),
            ),
        ]
        for episode in episodes[:MOST_EPISODES]
    ]
    columns = [
        Column("Brownout, UTC"),
        Column("Answered instead"),
        Column("Answers", is_number=True),
        Column("Why"),
    ]
    return data_table(columns, rows, label="Brownouts")


def _draw_rate(follows: list[Following], rate: str, order: list[str], colours: dict[str, str]) -> None:
    drawn = [row for row in follows if getattr(row, rate) == getattr(row, rate)]
    if not drawn:
        said = (
            "No click in this range." if rate == "click_through" else "No event could be joined with a list."
        )
        st.html(f'<div class="rs-empty">{said}</div>')
        return
    altair_chart(
        rate_chart(drawn, rate, order, colours, current_palette()), key=rate, height=chart_height(len(drawn))
    )
    st.html(legend([("95 % interval", "color-mix(in srgb, var(--rs-accent) 30%, transparent)")]))
