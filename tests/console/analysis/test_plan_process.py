"""The planner in a process of its own: what it finds, and what is said when it does not."""

import sys
import time
from datetime import UTC, datetime

import pytest

from console.analysis.plan_inputs import MANIFEST, RESULTS
from console.analysis.plan_process import Search, Searches
from console.analysis.plan_question import PlanQuestion, Setup
from console.analysis.plan_search import answer

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
DEADLINE_S = 60.0


def question(**given: object) -> PlanQuestion:
    asked = {
        "since": NOW,
        "until": NOW,
        "traffic": "5/s",
        "variants": ("student",),
        "most_instances": 2,
        "slo_ms": 100.0,
    } | given
    return PlanQuestion(**asked)  # type: ignore[arg-type]


def wait(search: Search) -> Search:
    deadline_s = time.monotonic() + DEADLINE_S
    while not search.is_done and time.monotonic() < deadline_s:
        time.sleep(0.02)
    assert search.is_done
    return search


def saying(script: str, *, limit_s: float = 30.0) -> Searches:
    """Searches whose planner is a script of its own."""
    return Searches([sys.executable, "-c", f"import sys; sys.stdin.read(); {script}"], limit_s=limit_s)


@pytest.fixture(autouse=True)
def _measured() -> None:
    if not (RESULTS / "coldstart.json").exists() or not MANIFEST.exists():
        pytest.skip("needs models/manifest.json and benchmark results; run `make train`")


def test_search_recommends_a_plan_that_keeps_the_promise() -> None:
    said: list[str] = []

    found = answer(question(today=Setup(always_ready=2)), say=lambda progress: said.append(progress.what))

    assert found.best is not None
    assert found.today is not None
    assert found.best.keeps
    assert found.best.usd_month < found.today.usd_month
    assert found.best.p99_interval is not None
    assert found.parameters_best != found.parameters_today
    assert any("minimumElasticInstanceCount" in line for line in found.commands)
    assert "Simulating plans" in said
    assert "benchmark results" in found.measured_from


def test_what_devices_answer_is_not_planned_for() -> None:
    found = answer(question(goal="model", today=Setup(), edge_share=0.6))

    assert found.rate_per_s == pytest.approx((0.4 + 0.6 / 50) * 5, rel=0.1)
    assert found.traffic == "5/s, 60% of it by devices"


def test_search_says_why_no_plan_does() -> None:
    with pytest.raises(ValueError, match="below the fastest service"):
        answer(question(slo_ms=0.01))


def test_model_simulates_todays_plan_alone() -> None:
    found = answer(question(goal="model", today=Setup()))

    assert found.frontier == ()
    assert found.today is not None
    assert sum(found.today.allocated_s.values()) >= found.duration_s


def test_process_answers_the_same_and_tells_how_far_it_is() -> None:
    searches = Searches()

    search = searches.begin("key", question(goal="model", today=Setup()))
    again = searches.begin("key", question())

    assert again is search
    found = wait(search).answer
    assert found is not None
    assert not found.error
    assert found.today is not None
    assert search.progress.what == "Simulating today's plan"
    assert searches.known("key") is search
    assert searches.known("other") is None


def test_bad_traffic_is_a_sentence() -> None:
    found = wait(Searches().begin("key", question(traffic="fast"))).answer

    assert found is not None
    assert found.error.startswith("Cannot read")
    assert "Traceback" not in found.error


def test_process_without_the_planner_says_what_to_install() -> None:
    found = wait(saying("import no_such_module").begin("key", question())).answer

    assert found is not None
    assert "pip install" in found.error


def test_process_that_dies_is_a_sentence(capfd: pytest.CaptureFixture[str]) -> None:
    found = wait(saying("print('not an answer'); sys.exit(3)").begin("key", question())).answer

    assert found is not None
    assert found.error == "The planner stopped without an answer. The console's log says why."


def test_process_that_takes_too_long_is_ended() -> None:
    searches = saying("import time; time.sleep(60)", limit_s=0.2)

    found = wait(searches.begin("key", question())).answer

    assert found is not None
    assert "within 0.2 s" in found.error
