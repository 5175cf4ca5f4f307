"""Alerts ask the console's questions: Kusto's checker takes them, and they fire on what they are for and not else."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from typing import Any, TypeAlias

import pytest

from console.analysis.slo import PAGE_AT
from console.queries import load_query
from emulator.app_insights.tables import kusto_schema
from infra.check.rules import LEAST, MOST
from recserve.telemetry import names
from tests.emulator.app_insights.emulator_process import EmulatorProcess, envelope
from tests.infra.test_deployment import made, of_type
from tests.kusto import check_queries

WINDOWS = {"PT15M": timedelta(minutes=15), "PT1H": timedelta(hours=1), "PT6H": timedelta(hours=6)}


@cache
def rules() -> dict[str, dict[str, Any]]:
    found = of_type(made(LEAST), "Microsoft.Insights/scheduledQueryRules")
    properties = [each.body["properties"] for each in found]
    return {each["displayName"].removeprefix("Recserve: "): each for each in properties}


def alert_queries() -> dict[str, str]:
    return {name: rule["criteria"]["allOf"][0]["query"] for name, rule in rules().items()}


def requests(
    n: int, *, function: str, minutes_ago: float, ms: float = 10, outcome: str = "ok", cold: bool = False
) -> dict[str, Any]:
    """One span that stands for `n` requests."""
    return envelope(
        "RemoteDependencyData",
        time=datetime.now(UTC) - timedelta(minutes=minutes_ago),
        sample_rate=100 / n,
        tags={"ai.cloud.roleInstance": "instance-1", "ai.operation.id": "t"},
        name=function,
        type="InProc",
        duration=f"0.00:00:{ms / 1e3:06.3f}",
        properties={
            names.KIND: names.KIND_REQUEST,
            names.OUTCOME: outcome,
            **({names.IMPACTED: "True"} if cold else {}),
        },
        measurements={names.DURATION_MS: ms},
    )


Sent: TypeAlias = Callable[..., dict[str, Any]]
sent = partial(partial, requests)
"Requests of a case, made when it runs."


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmulatorProcess]:
    running = EmulatorProcess(tmp_path_factory.mktemp("alerts") / "data")
    yield running
    running.kill()


def fired(emulator: EmulatorProcess, function: str) -> set[str]:
    """Names of the alerts that the requests to a function raise."""
    return {
        name
        for name, rule in rules().items()
        if emulator.ask(
            rule["criteria"]["allOf"][0]["query"].replace('"recommend"', f'"{function}"'),
            WINDOWS[rule["windowSize"]],
        ).rows
    }


@pytest.mark.parametrize(
    ("spans", "expected"),
    [
        pytest.param([sent(1000, minutes_ago=3)], set(), id="all is well"),
        pytest.param(
            [sent(800, minutes_ago=3), sent(200, minutes_ago=3, ms=90)],
            {"burn-fast", "burn-slow"},
            id="a fifth is late",
        ),
        pytest.param(
            [sent(900, minutes_ago=3), sent(100, minutes_ago=3, ms=90)],
            {"burn-slow"},
            id="a tenth is late, which is ten times the budget",
        ),
        pytest.param(
            [sent(800, minutes_ago=2), sent(200, minutes_ago=50, ms=90)],
            set(),
            id="it was late, and is over",
        ),
        pytest.param([sent(40, minutes_ago=3, ms=90)], set(), id="too few to say"),
        pytest.param(
            [sent(930, minutes_ago=3), sent(70, minutes_ago=3, outcome="shed")],
            {"burn-slow", "shed-share"},
            id="one in fourteen is shed",
        ),
        pytest.param(
            [sent(970, minutes_ago=3), sent(30, minutes_ago=3, cold=True)],
            {"cold-share"},
            id="some waited",
        ),
    ],
)
def test_alerts_fire_on_what_they_are_for(
    emulator: EmulatorProcess, request: pytest.FixtureRequest, spans: list[Sent], expected: set[str]
) -> None:
    function = request.node.callspec.id
    answer = emulator.track(*(span(function=function) for span in spans))

    assert answer.status_code == 200, answer.text
    assert fired(emulator, function) == expected


def workbook_queries() -> dict[str, str]:
    [workbook] = of_type(made(LEAST), "Microsoft.Insights/workbooks")
    items = json.loads(workbook.body["properties"]["serializedData"])["items"]
    return {item["name"]: item["content"]["query"] for item in items if item["type"] == 3}


def test_kusto_s_checker_takes_every_query() -> None:
    verdicts = check_queries(alert_queries() | workbook_queries(), kusto_schema())

    assert len(verdicts) == 8
    assert {name: each["errors"] for name, each in verdicts.items() if each["errors"]} == {}


def test_the_questions_are_the_console_s_own() -> None:
    for name, query in alert_queries().items():
        source = load_query("cold_start_impact" if name == "cold-share" else "requests").source

        assert source.partition(");\n")[2] in query


def test_alerts_page_where_the_console_does() -> None:
    queries = alert_queries()

    for name, window in (("burn-fast", timedelta(hours=1)), ("burn-slow", timedelta(hours=6))):
        assert f"let page_at = {PAGE_AT[window]:.1f};" in queries[name]


def test_the_budget_keeps_its_first_day() -> None:
    [budget] = of_type(made(MOST), "Microsoft.Consumption/budgets")
    [later] = of_type(made(MOST | {"RECSERVE_BUDGET_START": "2026-10-01"}), "Microsoft.Consumption/budgets")

    assert budget.body["properties"]["timePeriod"] == {"startDate": "2026-11-01"}
    assert later.body["properties"]["timePeriod"] == {"startDate": "2026-10-01"}
    assert of_type(made(LEAST), "Microsoft.Consumption/budgets") == []
