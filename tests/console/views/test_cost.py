"""The cost view, run by Streamlit against a real emulator: with a plan's word, without one, empty and failed."""

import json
import re
from collections.abc import Hashable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

import console.searching
from console.analysis.plan_process import Search, Searches
from console.analysis.plan_question import PlanAnswer, PlanQuestion
from emulator.premium_plan import names as plan
from recserve.telemetry import names
from tests.console.conftest import OpenConsole
from tests.emulator.app_insights.emulator_process import Emulator, EmulatorHost, envelope

AT = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(minutes=20)
SETTINGS = {"sku": {"name": "EP1"}, "always_ready": 1, "pre_warmed": 1, "max_burst": 3}


def request(second: int, variant: str = "student") -> dict[str, Any]:
    return envelope(
        "RemoteDependencyData",
        time=AT + timedelta(seconds=second),
        name="recommend",
        tags={"ai.cloud.roleInstance": "I1"},
        properties={
            names.KIND: "request",
            names.OUTCOME: "ok",
            names.VARIANT: variant,
            names.MODEL_VERSION: "2026-11-22",
        },
        measurements={"duration_ms": 5.0, "infer_ms": 2.0, "rank_ms": 0.5, "encode_ms": 0.5, "batch_size": 1},
    )


def allocated(second: int, kind: str, seconds: float = 30.0, instance: str = "I1") -> dict[str, Any]:
    return envelope(
        "MetricData",
        time=AT + timedelta(seconds=second),
        tags={"ai.cloud.roleInstance": instance},
        metrics=[{"name": plan.ALLOCATED_S, "value": seconds, "count": 1, "min": 0, "max": 1}],
        properties={f"{plan.PREFIX}{plan.CLASS}": kind},
    )


def heartbeat(second: int) -> list[dict[str, Any]]:
    return [
        envelope(
            "MetricData",
            time=AT + timedelta(seconds=second),
            tags={"ai.cloud.roleInstance": "I1"},
            metrics=[{"name": name, "value": value, "count": 30, "min": 0, "max": 1}],
        )
        for name, value in ((names.CORES, 30.0), (names.IN_FLIGHT_NOW, 6.0))
    ]


@pytest.fixture(scope="module")
def planned(telemetry: Emulator) -> Emulator:
    """A plan's ten minutes: an always-ready instance, idle for two thirds, and one in reserve."""
    started = envelope(
        "MessageData",
        time=AT - timedelta(hours=2),
        tags={"ai.cloud.roleInstance": "plan"},
        message="the plan has started",
        properties={f"{plan.PREFIX}event": plan.STARTED, f"{plan.PREFIX}plan": json.dumps(SETTINGS)},
    )
    rows = [started]
    for second in range(0, 600, 30):
        rows += [
            allocated(second, "active", 10.0),
            allocated(second, "idle", 20.0),
            allocated(second, "pre_warmed", 30.0, "I2"),
            *(request(second + place) for place in range(5)),
            request(second, "popular"),
        ]
    assert telemetry.track(*rows).status_code == 200
    return telemetry


@pytest.fixture(scope="module")
def watched(emulators: EmulatorHost, tmp_path_factory: pytest.TempPathFactory) -> Emulator:
    """What Azure has: requests and heartbeats, and no word of any plan."""
    running = emulators.start(tmp_path_factory.mktemp("watched") / "data")
    rows = [row for second in range(0, 600, 30) for row in (*heartbeat(second), request(second))]
    assert running.track(*rows).status_code == 200
    return running


class Unasked(Searches):
    """The planner's process has tests of its own; here nobody asks it."""

    def begin(self, key: Hashable, question: PlanQuestion) -> Search:
        return Search(question, answer=PlanAnswer(error="Not asked in this test."))


@pytest.fixture(autouse=True)
def _unasked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console.searching, "Searches", Unasked)


def said(app: AppTest) -> str:
    return re.sub(
        r"\s+",
        " ",
        re.sub(r"<[^>]*>", " ", " ".join(html.body for html in app.html if "<style" not in html.body)),
    )


def test_bill_is_split_and_paid_by_variants(open_console: OpenConsole, planned: Emulator) -> None:
    app = open_console("cost", planned.url)

    text = said(app)
    # Two instances at all times, 120 answers in ten minutes.
    assert "$315.43 a month at this pace" in text
    assert "$0.600, or" in text
    assert "83 % of it pays for instances that stood by idle" in text
    assert "student did 83 % of the computing" in text
    assert "Always ready, idle 0.1 33 %" in text
    assert "There is no model of this range: Not asked in this test." in text


def test_heartbeats_make_an_approximation_that_says_so(open_console: OpenConsole, watched: Emulator) -> None:
    text = said(open_console("cost", watched.url))

    assert "An approximation, from what instances saw of themselves." in text
    assert "$157.72" in text
    assert "It rests on 20 answers only." in text


def test_without_traffic_there_is_no_bill_and_no_chart(
    open_console: OpenConsole, telemetry: Emulator
) -> None:
    link = {"from": "2026-01-01T00:00:00Z", "to": "2026-01-01T01:00:00Z"}

    app = open_console("cost", telemetry.url, link)

    assert "does not tell what was allocated, so there is no bill" in said(app)
    assert "neither the plan nor the instances&#x27; own heartbeats" in "".join(
        html.body for html in app.html
    )


def test_unreachable_workspace_is_said_in_each_panel(open_console: OpenConsole, nowhere: str) -> None:
    app = open_console("cost", nowhere.removesuffix("/api"))

    assert "there is no bill" in said(app)
    assert len(re.findall(r"role=.status.", "".join(html.body for html in app.html))) >= 4
