"""The latency view, run by Streamlit against a real emulator: a slow minute, a selection, empty and failed."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from recserve.telemetry import names
from tests.console.conftest import OpenConsole
from tests.emulator.app_insights.emulator_process import Emulator, envelope

AT = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(minutes=20)
PHASES = {
    "startup_ms": 0.0,
    "admit_ms": 0.5,
    "state_ms": 1.0,
    "infer_ms": 2.0,
    "rank_ms": 0.5,
    "encode_ms": 0.5,
}


def request(
    minutes: float, *, queue_ms: float = 1.0, number: int = 0, variant: str = "blend"
) -> dict[str, Any]:
    phases = PHASES | {"queue_ms": queue_ms}
    return envelope(
        "RemoteDependencyData",
        time=AT + timedelta(minutes=minutes),
        id=f"{number:016x}",
        name="recommend",
        type="InProc",
        tags={"ai.cloud.roleInstance": "I1", "ai.operation.id": f"{number:032x}"},
        properties={
            names.KIND: "request",
            names.OUTCOME: "ok",
            names.VARIANT: variant,
            names.MODEL_VERSION: "v1",
            names.KEPT: "slow" if queue_ms > 10 else "rate",
            names.PROCESS: "p1",
        },
        measurements=phases | {"duration_ms": sum(phases.values()), "in_flight": 3, "limit": 64},
    )


@pytest.fixture(scope="module")
def slow_minute(telemetry: Emulator) -> str:
    """Address of telemetry: in the fifth minute thirty requests queue for 80 ms."""
    answer = telemetry.track(
        *(request(n / 100, number=n) for n in range(1000)),
        *(
            request(5 + n / 60, queue_ms=80.0 + n / 100, number=10_000 + n, variant="student")
            for n in range(30)
        ),
    )
    assert answer.status_code == 200, answer.text
    return telemetry.url


@pytest.fixture(autouse=True)
def _promise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECSERVE_SLO_MS", "25")


def text(app: AppTest) -> str:
    """All of the page, without tags."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", " ".join(html.body for html in app.html)))


def test_heading_says_where_the_tail_comes_from(slow_minute: str, open_console: OpenConsole) -> None:
    said = text(open_console("latency", slow_minute))

    assert re.search(r"p99 is 8\d ms, \d\d ms over the SLO of 25 ms", said)
    assert "100 % is queueing for the model" in said
    assert "queue grows most: 1.0 ms to 80 ms" in said
    assert "blend v1 alone has answered enough for a p99" in said
    assert "too few" in said


def test_selection_in_the_link_lists_its_requests_and_their_traces(
    slow_minute: str, open_console: OpenConsole
) -> None:
    link = {
        "since": (AT + timedelta(minutes=5)).isoformat(),
        "until": (AT + timedelta(minutes=5, seconds=9, milliseconds=500)).isoformat(),
        "least_ms": "50",
        "most_ms": "500",
    }

    app = open_console("latency", slow_minute, link)

    tables = [html.body for html in app.html if "Requests, the slowest first" in html.body]
    assert tables[0].count("<tr>") - 1 == 10
    assert f'href="trace?trace={10_009:032x}"' in tables[0]
    assert "10 kept requests, which stand for 10" in text(app)


def test_tampered_selection_is_a_sentence(slow_minute: str, open_console: OpenConsole) -> None:
    app = open_console("latency", slow_minute, {"since": "<script>", "until": "now", "least_ms": "x"})

    assert "The link's region is no time range" in text(app).replace("&#x27;", "'")
    assert "script" not in " ".join(html.body for html in app.html).replace("<style>", "")


@pytest.mark.parametrize(
    ("link", "said"),
    [
        ({"since": "0001-01-01T00:00:00Z", "until": "0001-01-01T01:00:00Z"}, "no time range"),
        ({"since": "9999-12-31T22:00:00Z", "until": "9999-12-31T23:00:00Z"}, "no time range"),
        ({"from": "0001-01-01T00:00:00Z", "to": "0001-01-01T01:00:00Z"}, "are not both a time"),
        (
            {"since": "2026-11-01T00:00:00Z", "until": "2026-11-01T01:00:00Z", "least_ms": "5e8"},
            "took that long",
        ),
    ],
)
def test_link_at_the_edge_of_what_can_be_said_is_no_traceback(
    link: dict[str, str], said: str, slow_minute: str, open_console: OpenConsole
) -> None:
    assert said in text(open_console("latency", slow_minute, link))


def test_range_without_requests_says_so(slow_minute: str, open_console: OpenConsole) -> None:
    app = open_console("latency", slow_minute, {"from": "2026-01-01T00:00:00Z", "to": "2026-01-01T01:00:00Z"})

    assert "No request was answered in this range." in text(app)


def test_workspace_out_of_reach_is_said_once(open_console: OpenConsole) -> None:
    app = open_console("latency", "http://127.0.0.1:9")

    assert sum('class="rs-say' in html.body for html in app.html) == 1
    assert "Where does the tail come from?" in text(app)
