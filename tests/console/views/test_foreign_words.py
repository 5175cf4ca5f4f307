"""Names in telemetry are anybody's: every view shows them as text, whatever they look like."""

from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from typing import Any

import pytest

from recserve.telemetry import names
from tests.console.conftest import OpenConsole
from tests.emulator.app_insights.emulator_process import EmulatorProcess, envelope

AT = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(minutes=20)
HOSTILE = "<img src=x onerror=alert(1)>'\"&"
TRACE = "a" * 32


def span(kind: str, number: int, *, outcome: str = "ok", **measurements: float) -> dict[str, Any]:
    words = (
        names.OUTCOME, names.VARIANT, names.MODEL_VERSION, names.REASON, names.KEPT, names.PROCESS,
        names.SHED_REASON, names.ERROR, names.DISPATCH, names.CAUSE, names.DRIVER, HOSTILE,
    )  # fmt: skip
    return envelope(
        "RemoteDependencyData",
        time=AT + timedelta(seconds=number),
        id=f"{number:016x}",
        name="recommend" if kind == "request" else HOSTILE,
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
def hostile(telemetry: EmulatorProcess) -> str:
    """Address of telemetry in which everything that has a name has a hostile one."""
    answer = telemetry.track(
        *(span("request", number) for number in range(200)),
        *(span("request", number, outcome="shed") for number in range(200, 210)),
        *(span("request", number, outcome=HOSTILE) for number in range(210, 220)),
        *(span("cold_start", number, ready_ms=900.0, n_impacted=2) for number in range(220, 223)),
        *(span("cold_start_phase", number) for number in range(223, 226)),
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


@pytest.mark.parametrize(
    "view", ["overview", "latency", "cold_starts", "concurrency", "contention", "cost", "trace"]
)
def test_hostile_names_are_shown_as_text(view: str, hostile: str, open_console: OpenConsole) -> None:
    app = open_console(view, hostile, {"trace": TRACE} if view == "trace" else {})

    page = " ".join(html.body for html in app.html)
    assert marks_in(page) == set()
    assert "&lt;img src=x onerror=alert(1)&gt;" in page
