"""The planner view, run by Streamlit: what it asks, what it says of an answer, and what a link may say."""

import re
from collections.abc import Hashable
from typing import ClassVar

import pytest
from streamlit.testing.v1 import AppTest

import console.searching
from console.analysis.plan_process import Search, Searches
from console.analysis.plan_question import Figure, Holding, PlanAnswer, PlanQuestion, Point, Setup
from console.panels.planner_change import parameters_diff
from console.panels.planner_controls import SLOS_MS
from tests.console.conftest import OpenConsole
from tests.emulator.app_insights.emulator_process import Emulator


def point(always_ready: int, usd: float, p99_ms: float) -> Point:
    return Point(
        setup=Setup(always_ready=always_ready),
        ladder=("student", "popular"),
        p50_ms=2.0,
        p99_ms=p99_ms,
        slo_share=0.996,
        cold_share=0.0,
        shed_share=0.0,
        quality=0.09,
        usd_month=usd,
        n_instances=always_ready,
        allocated_s={"active": 60.0},
        keeps=True,
        p99_interval=Figure(mean=p99_ms, low=p99_ms - 1, high=p99_ms + 1),
        usd_interval=Figure(mean=usd, low=usd, high=usd),
    )


FOUND = PlanAnswer(
    traffic="12/s",
    rate_per_s=12.0,
    n_arrivals=7200,
    duration_s=600.0,
    measured_from="telemetry of this range",
    n_candidates=300,
    n_simulated=40,
    n_seeds=5,
    best=point(1, 160.0, 20.0),
    today=point(3, 480.0, 12.0),
    frontier=(point(1, 160.0, 20.0), point(2, 320.0, 9.0)),
    holds=(Holding(factor=1.25, keeps=True, slo_share=0.995), Holding(factor=1.5, keeps=False, slo_share=0.9)),
    parameters_today='{\n  "minimumElasticInstanceCount": 3\n}\n',
    parameters_best='{\n  "minimumElasticInstanceCount": 1\n}\n',
    commands=("az functionapp plan update --sku EP1",),
)  # fmt: skip


class Answered(Searches):
    """A planner that knows its answer, and keeps what it was asked."""

    questions: ClassVar[list[PlanQuestion]] = []

    def begin(self, key: Hashable, question: PlanQuestion) -> Search:
        self.questions.append(question)
        search = self._kept[key] = Search(question, answer=FOUND)
        return search


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[PlanQuestion]:
    """Questions that the view asked; each is answered at once."""
    monkeypatch.setattr(Answered, "questions", [])
    monkeypatch.setattr(console.searching, "Searches", Answered)
    return Answered.questions


def said(app: AppTest) -> str:
    return re.sub(
        r"\s+",
        " ",
        re.sub(r"<[^>]*>", " ", " ".join(html.body for html in app.html if "<style" not in html.body)),
    )


def test_answer_names_the_plan_what_it_saves_and_the_diff(
    open_console: OpenConsole, telemetry: Emulator, asked: list[PlanQuestion]
) -> None:
    app = open_console("planner", telemetry.url, {"traffic": "Rate", "rate": "12", "slo": "50", "edge": "60"})

    text = said(app)
    assert "EP1 with 1 always ready and 1 pre-warmed, at most 20, for $160.00 a month" in text
    assert "Today&#x27;s plan keeps the promise too and costs $480.00." in text
    assert "Saved against today $320.00 a month 67 %" in text
    assert "Holds up to × 1.25" in text
    assert any("-  " in code.value and "+  " in code.value for code in app.code)
    assert any(code.value.startswith("az functionapp") for code in app.code)
    assert [(question.traffic, question.slo_ms, question.edge_share) for question in asked] == [
        ("12/s", 50.0, 0.6)
    ]
    assert any("--edge-share 0.6" in code.value for code in app.code)


def test_changed_controls_wait_for_the_button(
    open_console: OpenConsole, telemetry: Emulator, asked: list[PlanQuestion]
) -> None:
    app = open_console("planner", telemetry.url, {"traffic": "Rate"})

    app.select_slider(key="slo").set_value(50).run()
    n_before = len(asked)
    waits = "The controls say something else by now" in said(app)
    next(button for button in app.button if button.label == "Search plans").click().run()

    assert n_before == 1
    assert waits
    assert asked[-1].slo_ms == 50
    assert "p99 ≤ 50 ms" in said(app)


def test_tampered_link_is_answered_with_defaults(
    open_console: OpenConsole, telemetry: Emulator, asked: list[PlanQuestion]
) -> None:
    link = {"traffic": "<script>", "slo": "fast", "most": "1e9", "rate": "nan", "quality": "x", "edge": "100"}

    app = open_console("planner", telemetry.url, link)

    assert not app.exception
    assert "script" not in said(app)
    assert (asked[0].traffic, asked[0].most_instances, asked[0].quality) == ("telemetry", 10, 0.95)
    assert asked[0].slo_ms in SLOS_MS
    assert asked[0].edge_share == 0


def test_console_without_telemetry_plans_for_a_rate(
    open_console: OpenConsole, asked: list[PlanQuestion]
) -> None:
    unconfigured = said(open_console("planner", ""))
    planned = said(open_console("planner", "", {"traffic": "Rate"}))

    assert "Telemetry is not configured; plan for a rate." in unconfigured
    assert "for $160.00 a month" in planned


def test_nothing_to_change_is_no_diff() -> None:
    assert parameters_diff("{}\n", "{}\n") == ""
    assert "-a" in parameters_diff("a\n", "b\n")
