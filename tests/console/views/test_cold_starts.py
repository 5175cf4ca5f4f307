"""Cold starts, run by Streamlit against a real emulator: what they cost, why, and where nothing started."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from console.panels.cold_starts_tiles import one_in
from emulator.premium_plan import names as plan
from recserve.telemetry import names
from tests.console.conftest import OpenConsole
from tests.emulator.app_insights.emulator_process import Emulator, envelope

AT = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=20)
TRACE = "0af7651916cd43dd8448eb211c80319c"


def span(kind: str, name: str, *, seconds: float = 0, trace: str = TRACE, **more: Any) -> dict[str, Any]:
    """What the exporter makes of a span; a request of 10 ms unless told otherwise."""
    return envelope(
        "RemoteDependencyData",
        time=AT + timedelta(seconds=seconds),
        tags={"ai.cloud.roleInstance": "I2", "ai.operation.id": trace},
        name=name,
        type="InProc",
        properties={names.KIND: kind, names.PROCESS: "p2", **more.get("properties", {})},
        measurements={names.DURATION_MS: 10.0, **more.get("measurements", {})},
    )


def request(outcome: str = "ok", **measurements: float) -> dict[str, Any]:
    impacted = {names.IMPACTED: "True"} if "wait_ms" in measurements else {}
    return span(
        names.KIND_REQUEST,
        names.RECOMMEND,
        trace="b" * 32,
        properties={names.OUTCOME: outcome, **impacted},
        measurements=measurements,
    )


@pytest.fixture(scope="module")
def started(telemetry: Emulator) -> Emulator:
    """Ninety-eight requests, two that waited for a start, its phases, and what the plan tells of the instance."""
    cause = {names.CAUSE: "scale_out", names.DRIVER: "request"}
    ready = {"ready_ms": 900.0, "explained_ms": 880.0, "n_impacted": 2.0}
    state = {plan.EVENT: plan.STATE, plan.FROM: "starting", plan.TO: "active", plan.IN_STATE_S: "0.9"}
    answer = telemetry.track(
        *(request() for _ in range(98)),
        request(duration_ms=810.0, wait_ms=800.0),
        request(duration_ms=12.0, wait_ms=2.0),
        span(names.KIND_COLD_START, names.COLD_START, properties=cause, measurements=ready),
        span(names.KIND_COLD_START_PHASE, "interpreter", measurements={names.DURATION_MS: 90.0}),
        span(names.KIND_COLD_START_PHASE, "import numpy", seconds=0.1, measurements={names.DURATION_MS: 400.0}),
        envelope(
            "MessageData",
            time=AT + timedelta(seconds=1),
            tags={"ai.cloud.roleInstance": "I2"},
            message="I2 is ready",
            properties={f"{plan.PREFIX}{name}": value for name, value in state.items()},
        ),
    )  # fmt: skip
    assert answer.status_code == 200, answer.text
    return telemetry


@pytest.fixture(autouse=True)
def _promise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECSERVE_SLO_MS", "25")


def html(app: AppTest) -> str:
    return "\n".join(each.body for each in app.html)


def test_cost_phase_and_causes_of_a_start(started: Emulator, open_console: OpenConsole) -> None:
    app = open_console("cold_starts", started.url)

    said = html(app)
    assert "1 process started; 2 requests waited (2.0 % of requests), 1 of them missed the SLO" in said
    assert "100 % of the error budget. The longest phase is import numpy, 400 ms in the median." in said
    assert "1 triggered by a request" in said
    assert "Median of 1 start, too few for a 95th percentile." in said
    assert "too few starts for a p95" in said
    assert "1 instance lived in this range" in said
    assert ">scale out<" in said


def test_starts_and_waiting_requests_lead_to_their_traces(
    started: Emulator, open_console: OpenConsole
) -> None:
    app = open_console("cold_starts", started.url)

    links = set(re.findall(r'href="(trace[^"]+)"', html(app)))
    assert links == {f"trace?trace={TRACE}", f"trace?trace={'b' * 32}"}


def test_range_without_starts_says_so_and_shows_no_empty_charts(
    started: Emulator, open_console: OpenConsole
) -> None:
    app = open_console(
        "cold_starts", started.url, {"from": "2026-01-02T10:00:00Z", "to": "2026-01-02T11:00:00Z"}
    )

    assert "No process started in this range, so no request waited for one." in html(app)
    assert "Which starts hurt most?" not in html(app)


def test_telemetry_that_does_not_answer_is_said_once(open_console: OpenConsole, nowhere: str) -> None:
    app = open_console("cold_starts", nowhere)

    assert html(app).count("No telemetry answers at") == 1 + html(app).count("telemetry unreachable")


@pytest.mark.parametrize(
    ("n", "n_all", "said"),
    [(105, 3_600_000, "1 in 34,000 requests"), (2, 100, "2.0 % of requests"), (0, 9, "none"), (0, 0, "")],
)
def test_rare_is_one_in_many(n: float, n_all: float, said: str) -> None:
    assert one_in(n, n_all) == said
