"""The overview, run by Streamlit against a real emulator: inside and outside of the SLO, empty and failed."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from emulator.premium_plan import names as plan
from recserve.telemetry import names
from tests.console.conftest import OpenConsole
from tests.emulator.app_insights.emulator_process import Emulator, envelope

AT = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(minutes=20)
PHASES = {
    "startup_ms": 0.0,
    "admit_ms": 0.5,
    "queue_ms": 1.0,
    "infer_ms": 1.5,
    "rank_ms": 0.5,
    "encode_ms": 0.5,
}


def request(minutes: float, *, state_ms: float = 1.0, outcome: str = "ok") -> dict[str, Any]:
    properties = {
        names.KIND: "request",
        names.OUTCOME: outcome,
        names.VARIANT: "blend",
        names.MODEL_VERSION: "v1",
    }
    phases = PHASES | {"state_ms": state_ms}
    return envelope(
        "RemoteDependencyData",
        time=AT + timedelta(minutes=minutes),
        id="1",
        name="recommend",
        tags={"ai.cloud.roleInstance": "I1"},
        properties=properties,
        measurements=phases | {"duration_ms": sum(phases.values())},
    )


def told(minutes: float, message: str, **properties: str) -> dict[str, Any]:
    return envelope(
        "MessageData",
        time=AT + timedelta(minutes=minutes),
        tags={"ai.cloud.roleInstance": "plan"},
        message=message,
        properties={f"{plan.PREFIX}{name}": value for name, value in properties.items()},
    )


def sampled(minutes: float, name: str, *, total: float, n: int, **properties: str) -> dict[str, Any]:
    return envelope(
        "MetricData",
        time=AT + timedelta(minutes=minutes),
        tags={"ai.cloud.roleInstance": "I1"},
        metrics=[{"name": name, "value": total, "count": n, "min": 0, "max": 1}],
        properties=dict(properties),
    )


@pytest.fixture(scope="module")
def slow_store(telemetry: Emulator) -> str:
    """Address of telemetry: the store is slow in the fifth minute, and an instance is added in the ninth."""
    answer = telemetry.track(
        *(request(minute + second / 60) for minute in range(10) for second in range(0, 60, 4)),
        *(request(5 + k / 60, state_ms=80.0) for k in range(20)),
        request(6, outcome="shed"),
        *(sampled(minute, names.CORES, total=60, n=60) for minute in range(10)),
        *(sampled(minute, plan.ALLOCATED_S, total=60, n=60, **{"plan.class": "active"}) for minute in range(10)),
        told(9, "add an instance", event="decision", action="add", demand="12.5", n_wanted="2"),
    )  # fmt: skip
    assert answer.status_code == 200, answer.text
    return telemetry.url


@pytest.fixture(autouse=True)
def _promise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECSERVE_SLO_MS", "25")


def html(app: AppTest) -> str:
    return "\n".join(each.body for each in app.html)


def links(app: AppTest) -> list[str]:
    return re.findall(r'href="([^"]+)"', html(app))


def test_heading_says_why_the_slo_is_missed(open_console: OpenConsole, slow_store: str) -> None:
    app = open_console("overview", slow_store)

    assert "No: 87.7 % of 171 requests kept the SLO, with 99 % promised within 25 ms." in html(app)
    assert "100 % is the store of user histories. 171 requests are enough to say so." in html(app)


def test_top_contributor_leads_to_its_view(open_console: OpenConsole, slow_store: str) -> None:
    app = open_console("overview", slow_store)

    assert "State cost 100 % of the time over the SLO" in html(app)
    assert re.search(r'<a href="latency"[^>]*>State</a>', html(app))
    assert "1 requests were shed" in html(app)


def test_worst_minute_is_a_link_to_its_latency(open_console: OpenConsole, slow_store: str) -> None:
    app = open_console("overview", slow_store)
    worst = AT + timedelta(minutes=5)

    [link] = [
        link for link in links(app) if "from=" in link and f"{worst:%H%%3A%M}%3A00Z" in link.split("to=")[0]
    ]
    assert link.startswith("latency?")
    assert "20 of its 35 requests missed the SLO" in html(app)


def test_changes_and_cost_are_there(open_console: OpenConsole, slow_store: str) -> None:
    app = open_console("overview", slow_store)

    assert "1 scale out." in html(app)
    assert "add an instance" in html(app)
    assert re.search(r"Cost per 1,000</div><div class=\"rs-value\">\$[\d.]+<", html(app))
    assert "1.0 instances of EP1" in html(app)


def test_range_without_traffic_says_so(open_console: OpenConsole, slow_store: str) -> None:
    app = open_console("overview", slow_store, {"from": "2026-11-01T00:00:00Z", "to": "2026-11-01T01:00:00Z"})

    assert "There is no traffic in this range, so there is nothing to judge." in html(app)
    assert "Nothing changed in this range" in html(app)


def test_workspace_that_does_not_answer_is_said(open_console: OpenConsole, nowhere: str) -> None:
    app = open_console("overview", nowhere.removesuffix("/api"))

    assert "No telemetry answers at" in html(app)
    assert "Yes:" not in html(app)
    assert "no traffic" not in html(app)
