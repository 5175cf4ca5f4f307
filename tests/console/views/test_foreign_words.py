"""Names in telemetry are anybody's: every view shows them as text, whatever they look like."""

from collections.abc import Hashable
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from typing import Any

import pytest

import console.searching
from console.analysis.plan_process import Search, Searches
from console.analysis.plan_question import PlanAnswer, PlanQuestion, Point, Setup
from recserve.telemetry import names
from tests.console.conftest import ANSWER, FILMS, MODELS, OpenConsole, Reply, StandIn
from tests.emulator.app_insights.emulator_process import Emulator, envelope

AT = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(minutes=20)
HOSTILE = "<img src=x onerror=alert(1)>'\"&"
TRACE = "a" * 32


def span(kind: str, number: int, *, outcome: str = "ok", **measurements: float) -> dict[str, Any]:
    words = (
        names.OUTCOME, names.VARIANT, names.MODEL_VERSION, names.REASON, names.KEPT, names.PROCESS,
        names.SHED_REASON, names.ERROR, names.DISPATCH, names.CAUSE, names.DRIVER,
        names.EDGE_BY, names.EDGE_REASON, names.EDGE_CLIENT, names.EDGE_BUNDLE, HOSTILE,
    )  # fmt: skip
    return envelope(
        "RemoteDependencyData",
        time=AT + timedelta(seconds=number),
        id=f"{number:016x}",
        name={"request": "recommend", "edge": names.EDGE_ANSWERS}.get(kind, HOSTILE),
        type="InProc",
        tags={
            "ai.cloud.roleInstance": HOSTILE,
            "ai.operation.id": TRACE if number == 0 else f"{number:032x}",
        },
        properties=dict.fromkeys(words, HOSTILE) | {names.KIND: kind, names.OUTCOME: outcome},
        measurements={
            "duration_ms": 40.0,
            "queue_ms": 30.0,
            "infer_ms": 9.0,
            "in_flight": 3,
            "limit": 9,
            "batch_size": 2,
        }
        | measurements,
    )


def marks_in(page: str) -> set[str]:
    """Elements and attributes that no view of ours has."""
    found: set[str] = set()

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            found.update({tag} & {"img", "script"}, {name for name, _ in attrs if name.startswith("on")})

    Reader().feed(page)
    return found


@pytest.fixture(scope="module")
def hostile(telemetry: Emulator) -> str:
    """Address of telemetry in which everything that has a name has a hostile one."""
    answer = telemetry.track(
        *(span("request", number) for number in range(200)),
        *(span("request", number, outcome="shed") for number in range(200, 210)),
        *(span("request", number, outcome=HOSTILE) for number in range(210, 220)),
        *(span("cold_start", number, ready_ms=900.0, n_impacted=2) for number in range(220, 223)),
        *(span("cold_start_phase", number) for number in range(223, 226)),
        *(span("edge", number, n=3, latency_ms=1.5) for number in range(226, 230)),
        *(
            envelope(
                "MetricData",
                time=AT + timedelta(minutes=minute, seconds=30),
                tags={"ai.cloud.roleInstance": HOSTILE},
                metrics=[{"name": name, "value": 6.0, "count": 6, "min": 0, "max": 2}],
            )
            for minute in range(4)
            for name in (names.LOOP_LAG, names.CORES, names.IN_FLIGHT_NOW)
        ),
        envelope(
            "MessageData",
            time=AT,
            tags={"ai.operation.id": TRACE, "ai.cloud.roleInstance": HOSTILE},
            message=HOSTILE,
        ),
    )
    assert answer.status_code == 200, answer.text
    return telemetry.url


@pytest.fixture
def hostile_api(stand_in: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    """A service whose films and models have hostile names."""
    rungs: Any = MODELS["ladder"]
    named = {"name": HOSTILE, "description": HOSTILE}
    films = [film | {"title": f"{film['title']} {HOSTILE}", "genres": [HOSTILE]} for film in FILMS]
    told = {
        "version": HOSTILE,
        "dataset": HOSTILE,
        "serving": [HOSTILE],
        "ladder": [rungs[0] | named, *rungs[1:]],
    }
    model = {"variant": HOSTILE, "version": HOSTILE, "reason": HOSTILE}
    answer = {"items": [film | {"score": 1.0} for film in films], "model": model}
    stand_in.replies["models"] = Reply(MODELS | told)
    stand_in.replies["items"] = Reply({"total": len(films), "items": films})
    stand_in.replies["recommend"] = Reply(ANSWER | answer)
    monkeypatch.setenv("RECSERVE_API_URL", stand_in.url)


@pytest.mark.usefixtures("hostile_api")
@pytest.mark.parametrize(
    "view",
    [
        *("overview", "latency", "cold_starts", "concurrency", "contention", "cost"),
        *("models", "edge", "trace", "try_it"),
    ],
)
def test_hostile_names_are_shown_as_text(view: str, hostile: str, open_console: OpenConsole) -> None:
    app = open_console(view, hostile, {"trace": TRACE} if view == "trace" else {})

    page = " ".join(html.body for html in app.html)
    assert marks_in(page) == set()
    assert "&lt;img src=x onerror=alert(1)&gt;" in page


@pytest.mark.usefixtures("hostile_api")
def test_planner_shows_a_hostile_answer_as_text(
    hostile: str, open_console: OpenConsole, monkeypatch: pytest.MonkeyPatch
) -> None:
    setup = Setup(sku=HOSTILE)
    point = Point(setup=setup, ladder=(HOSTILE,), p50_ms=2.0, p99_ms=9.0, slo_share=1.0, cold_share=0.0, shed_share=0.0,
                  quality=0.1, usd_month=1.0, n_instances=1.0, allocated_s={HOSTILE: 60.0}, keeps=True)  # fmt: skip
    found = PlanAnswer(
        traffic=HOSTILE,
        measured_from=HOSTILE,
        best=point,
        today=point,
        frontier=(point,),
        commands=(HOSTILE,),
    )

    class Answered(Searches):
        def begin(self, key: Hashable, question: PlanQuestion) -> Search:
            search = self._kept[key] = Search(question, answer=found)
            return search

    monkeypatch.setattr(console.searching, "Searches", Answered)

    app = open_console("planner", hostile)

    page = " ".join(html.body for html in app.html)
    assert marks_in(page) == set()
    assert "&lt;img src=x onerror=alert(1)&gt;" in page
