"""The view of the edge, run by Streamlit against a real emulator."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from recserve.telemetry import names
from tests.console.conftest import OpenConsole
from tests.emulator.app_insights.emulator_process import EmulatorProcess, envelope

AT = datetime.now(UTC) - timedelta(minutes=5)


def text(app: AppTest) -> str:
    return "\n".join(html.body for html in app.html)


def reported(name: str, properties: dict[str, str], **measured: float) -> dict[str, Any]:
    told = {names.KIND: names.KIND_EDGE, names.EDGE_CLIENT: "js", names.EDGE_BUNDLE: "2026-11-22-1a2b3c4d"}
    return envelope(
        "RemoteDependencyData",
        time=AT,
        id="1",
        name=name,
        properties=told | properties,
        measurements=measured,
    )


def answered(by: str, reason: str, n: int, bucket: int) -> dict[str, Any]:
    properties = {names.EDGE_BY: by, names.EDGE_REASON: reason}
    return reported(names.EDGE_ANSWERS, properties, n=n, latency_ms=1.2 ** (bucket - 0.5))


@pytest.fixture(scope="module")
def reports(telemetry: EmulatorProcess) -> str:
    """Address of telemetry: devices answered three of four requests, a part of them in the cloud's place."""
    taken = telemetry.track(
        answered("edge", "default", 65, 3),
        answered("edge", "cloud_busy", 10, 3),
        answered("cloud", "no_local_history", 25, 25),
        reported(names.EDGE_COMPARISON, {}, n=40, overlap=0.8, n_identical=10),
    )
    assert taken.status_code == 200
    return telemetry.url


def test_heading_says_how_much_how_fast_and_how_alike(open_console: OpenConsole, reports: str) -> None:
    app = open_console("edge", reports)

    said = text(app)
    assert (
        "Devices answered 75 % of 100 recommendations in 1.6 ms at the median, where the cloud took 87 ms"
        in said
    )
    assert "they showed 80 % of the cloud&#x27;s items (65 % to 90 %, from 40 comparisons only)" in said
    assert "Most went to the cloud because the device knew nothing of the user (25 % of all)." in said


def test_answers_in_the_clouds_place_lead_to_their_time(open_console: OpenConsole, reports: str) -> None:
    app = open_console("edge", reports)

    assert "10 answers without the cloud" in text(app)
    assert 'href="./?from=' in text(app)
    assert 'href="concurrency' in text(app)
    assert "1 bundle is in the field, on 1 client" in text(app)


def test_range_without_reports_says_what_lets_devices_answer(open_console: OpenConsole, reports: str) -> None:
    app = open_console("edge", reports, {"from": "2026-01-01T00:00:00Z", "to": "2026-01-01T01:00:00Z"})

    assert "No device has reported in this range; RECSERVE_EDGE lets devices fetch a bundle" in text(app)
    assert text(app).count("No device has reported in this range.") == 5
    assert "Nothing was compared." in text(app)


def test_no_telemetry_is_said_in_every_panel(open_console: OpenConsole) -> None:
    app = open_console("edge", "")

    assert "No workspace is configured" in text(app)
    assert "Devices answered" not in text(app)
