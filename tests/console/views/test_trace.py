"""The trace view, run by Streamlit against a real emulator: a request that waited for a start, and bad ids."""

import re
from datetime import UTC, datetime, timedelta
from html import unescape
from typing import Any
from urllib.parse import parse_qsl

import pytest
from streamlit.testing.v1 import AppTest

from console.panels.trace_search import read_operation_id
from recserve.telemetry import names
from tests.console.conftest import OpenConsole
from tests.emulator.app_insights.emulator_process import Emulator, envelope

AT = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(hours=3)
"Outside of the range that the bar shows first: a link must find it all the same."
TRACE, START = "a" * 32, "b" * 32
PHASES = {
    "admit_ms": 0.5,
    "state_ms": 1.0,
    "queue_ms": 1.0,
    "infer_ms": 2.0,
    "rank_ms": 0.5,
    "encode_ms": 0.5,
}


def span(
    kind: str,
    name: str,
    *,
    after_s: float,
    ms: float,
    trace: str,
    measurements: dict[str, float],
    **properties: str,
) -> dict[str, Any]:
    return envelope(
        "RemoteDependencyData",
        time=AT + timedelta(seconds=after_s),
        id="00000000000000aa",
        name=name,
        type="InProc",
        duration=f"0.00:00:{ms / 1e3:06.3f}",
        tags={"ai.cloud.roleInstance": "I1", "ai.operation.id": trace},
        properties={names.KIND: kind, names.PROCESS: "p1"}
        | {f"recserve.{name}": each for name, each in properties.items()},
        measurements={"duration_ms": ms} | measurements,
    )


def request(after_s: float, *, startup_ms: float = 0.0, trace: str = "c" * 32) -> dict[str, Any]:
    spent = PHASES | {"startup_ms": startup_ms}
    return span(
        "request",
        "recommend",
        after_s=after_s,
        ms=sum(spent.values()),
        trace=trace,
        measurements=spent | {"wait_ms": startup_ms, "in_flight": 2, "limit": 64},
        outcome="ok",
        variant="blend",
        model_version="v1",
        kept="impacted" if startup_ms else "rate",
        impacted=str(startup_ms > 0),
    )


def lag(minutes: int, lag_s: float) -> dict[str, Any]:
    return envelope(
        "MetricData",
        time=AT + timedelta(minutes=minutes, seconds=30),
        tags={"ai.cloud.roleInstance": "I1"},
        metrics=[{"name": names.LOOP_LAG, "value": lag_s, "count": 60, "min": 0, "max": lag_s}],
    )


@pytest.fixture(scope="module")
def cold_start(telemetry: Emulator) -> str:
    """Address of telemetry: one request waited 700 ms for a start, twenty were ordinary."""
    answer = telemetry.track(
        *(request(60 + n) for n in range(20)),
        request(0.2, startup_ms=700, trace=TRACE),
        envelope(
            time=AT + timedelta(seconds=0.2),
            id="host",
            name="POST /api/recommend",
            duration="0.00:00:00.720",
            tags={"ai.cloud.roleInstance": "I1", "ai.operation.id": TRACE},
        ),
        span("cold_start", "start", after_s=0, ms=900, trace=START, measurements={"ready_ms": 900.0}, cause="worker"),
        span("cold_start_phase", "import numpy", after_s=0.3, ms=200, trace=START, measurements={}),
        envelope(
            "MessageData",
            time=AT + timedelta(seconds=0.5),
            tags={"ai.operation.id": TRACE},
            message="a <b>line</b>",
        ),
        *(lag(minute, 0.9 if minute == 0 else 0.01) for minute in range(-10, 20)),
    )  # fmt: skip
    assert answer.status_code == 200, answer.text
    return telemetry.url


@pytest.fixture(autouse=True)
def _promise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECSERVE_SLO_MS", "25")


def text(app: AppTest) -> str:
    """All of the page, without tags."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", " ".join(html.body for html in app.html)))


def test_request_that_waited_for_a_start(cold_start: str, open_console: OpenConsole) -> None:
    app = open_console("trace", cold_start, {"trace": TRACE})

    said = text(app)
    assert re.search(r"It took 706 ms, 68\d ms over the SLO: 700 ms waiting for a start", said)
    assert "720 ms from end to end" in said
    assert "I1 was not as usual: longest loop lag" in said
    assert "It waited 700 ms for the start of its process (worker)" in said
    assert "&lt;b&gt;line" in said
    links = " ".join(html.body for html in app.html)
    assert f'href="trace?trace={START}"' in links
    assert 'href="cold-starts?from=' in links


def test_trace_from_outside_of_the_range_says_so_and_links_the_range_that_holds_it(
    cold_start: str, open_console: OpenConsole
) -> None:
    app = open_console("trace", cold_start, {"trace": TRACE})
    page = " ".join(html.body for html in app.html)
    [link] = re.findall(r'href="(trace[^"]+)"[^>]*>show the hour around it', page)

    assert "outside of the time range" in text(app)
    assert "No traffic between" not in text(app)

    widened = open_console("trace", cold_start, dict(parse_qsl(unescape(link).partition("?")[2])))
    assert "It took 706 ms" in text(widened)
    assert "outside of the time range" not in text(widened)


def test_start_has_its_own_waterfall(cold_start: str, open_console: OpenConsole) -> None:
    said = text(open_console("trace", cold_start, {"trace": START}))

    assert "What happened in this start of a process?" in said
    assert "It took 900 ms to be ready" in said


def test_traceparent_can_be_pasted(cold_start: str, open_console: OpenConsole) -> None:
    app = open_console("trace", cold_start)

    app.text_input[0].set_value(f"00-{TRACE}-00000000000000aa-01")
    app.button[-1].click().run()

    assert not app.exception
    assert app.query_params["trace"] in (TRACE, [TRACE])
    assert "It took 706 ms" in text(app)


def test_bad_id_is_a_sentence_that_does_not_repeat_it(cold_start: str, open_console: OpenConsole) -> None:
    said = text(open_console("trace", cold_start, {"trace": "<img src=x>' or 1==1"}))

    assert "That is no operation id" in said
    assert "1==1" not in said


def test_unknown_id_says_why_it_may_be_missing(cold_start: str, open_console: OpenConsole) -> None:
    said = text(open_console("trace", cold_start, {"trace": "f" * 32}))

    assert "holds nothing of this operation" in said
    assert "sampled" in said


def test_workspace_out_of_reach_is_said(open_console: OpenConsole) -> None:
    app = open_console("trace", "http://127.0.0.1:9", {"trace": TRACE})

    assert any('class="rs-say' in html.body for html in app.html)


@pytest.mark.parametrize(
    ("pasted", "operation_id"),
    [
        (f"  {TRACE.upper()} ", TRACE),
        (f"00-{TRACE}-00000000000000aa-01", TRACE),
        ("aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa", TRACE),
        ("aaa", ""),
        (TRACE + "a", ""),
        ("g" * 32, ""),
        ("", ""),
    ],
)
def test_operation_ids_are_read_as_people_paste_them(pasted: str, operation_id: str) -> None:
    assert read_operation_id(pasted) == operation_id
