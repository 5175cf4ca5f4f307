"""Which search is shown, and what a panel takes of it: the command that asks the same, and its rows."""

import shlex
from collections.abc import Mapping, Sequence

import msgspec
import streamlit as st

from console.analysis.plan_process import Search
from console.analysis.plan_question import PlanAnswer, PlanQuestion, Point
from console.asking import Answer
from console.scope import Scope
from console.searching import key_of, search_for, searches
from console.telemetry import Table, table_of

SHOWN = "planner_shown"
"In the session: the key of the search whose answer is shown."


def search_to_show(scope: Scope, question: PlanQuestion, *, is_wanted: bool) -> Search | None:
    """The search to show: the question's own, or, until one asks for it, the one before."""
    key = key_of(scope, question)
    known = searches().known(key)
    if known is None and not is_wanted and (before := shown_search()) is not None:
        return before
    st.session_state[SHOWN] = key
    return search_for(scope, question, is_wanted=is_wanted)


def shown_search() -> Search | None:
    """The one whose answer this session was shown last."""
    return searches().known(st.session_state.get(SHOWN, ""))


def asks_otherwise(shown: PlanQuestion, asked: PlanQuestion) -> bool:
    """They differ in more than the range, which moves on by itself."""
    same = msgspec.structs.replace(shown, since=asked.since, until=asked.until)
    return same != asked


def as_answer(search: Search) -> Answer:
    """What a panel takes: the command that asks the same, and every plan as a row."""
    question = search.question
    traffic = "telemetry:7d" if question.traffic == "telemetry" else question.traffic
    command = [
        f"python -m planner plan --traffic {shlex.quote(traffic)}",
        *([f"--edge-share {question.edge_share:g}"] if question.edge_share else []),
        f"--slo-p99-ms {question.slo_ms:g}",
        f"--quality {question.quality:g}",
        f"--max-burst {question.most_instances}",
        *(f"--sku {sku}" for sku in question.skus),
        *([f"--ladder {shlex.quote(','.join(question.variants))}"] if question.variants else []),
    ]
    if question.logs_url:
        command.append(
            f"--endpoint {shlex.quote(question.logs_url)} --workspace {shlex.quote(question.workspace)}"
        )
    return Answer(
        question="The planner's command that asks about the same, with the last days of telemetry for the range.",
        kql=" \\\n    ".join(command),
        table=_plans(search.answer),
        asked_at=search.asked_at,
    )


def _plans(answer: PlanAnswer | None) -> Table:
    points: list[tuple[str, Point]] = []
    if answer is not None:
        named = {"recommended": answer.best, "today": answer.today, "peak": answer.peak}
        points += [(name, point) for name, point in named.items() if point is not None]
        points += [("frontier", point) for point in answer.frontier]
        points += [("other", point) for point in answer.others]
    if not points:
        return table_of({"plan": ["searching"]})
    rows: Mapping[str, Sequence[object]] = {
        "plan": [name for name, _ in points],
        "sku": [point.setup.sku for _, point in points],
        "always_ready": [float(point.setup.always_ready) for _, point in points],
        "pre_warmed": [float(point.setup.pre_warmed) for _, point in points],
        "max_burst": [float(point.setup.max_burst) for _, point in points],
        "ladder": [" > ".join(point.ladder) for _, point in points],
        "p50_ms": [point.p50_ms for _, point in points],
        "p99_ms": [point.p99_ms for _, point in points],
        "slo_share": [point.slo_share for _, point in points],
        "shed_share": [point.shed_share for _, point in points],
        "quality": [point.quality for _, point in points],
        "usd_per_month": [point.usd_month for _, point in points],
    }
    return table_of(rows)
