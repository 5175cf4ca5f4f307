"""Contention, run by Streamlit against a real emulator: what is nearest to saturation, and links that choose."""

from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from recserve.telemetry import names
from tests.console.conftest import OpenConsole
from tests.emulator.app_insights.emulator_process import Emulator, envelope


@cache
def begun() -> datetime:
    """When the telemetry begins: told by the first test that asks, whose last hour holds all of it."""
    return datetime.now(UTC).replace(second=5, microsecond=0) - timedelta(minutes=50)


def sampled(minute: int, instance: str, name: str, mean: float, most: float) -> dict[str, Any]:
    return envelope(
        "MetricData",
        time=begun() + timedelta(minutes=minute),
        tags={"ai.cloud.roleInstance": instance},
        metrics=[{"name": name, "value": 60 * mean, "count": 60, "min": 0, "max": most}],
    )


@pytest.fixture(scope="module")
def contended(telemetry: Emulator) -> Emulator:
    """Two instances for twenty minutes: one at 96 % of its core, one at 32 %; one stands still for a second once."""
    items = []
    for minute in range(20):
        for instance, cpu in (("I1", 0.96), ("I2", 0.32)):
            lag = 1.0 if (minute, instance) == (7, "I2") else 0.004
            items += [
                sampled(minute, instance, names.CPU_USAGE, cpu, 1.0),
                sampled(minute, instance, names.CORES, 1.0, 1.0),
                sampled(minute, instance, names.MEM_USAGE, 2.0**28, 2.0**28),
                sampled(minute, instance, names.MEM_LIMIT, 2.0**30, 2.0**30),
                sampled(minute, instance, names.LOOP_LAG, 0.001, lag),
                envelope(
                    "RemoteDependencyData",
                    time=begun() + timedelta(minutes=minute),
                    tags={"ai.cloud.roleInstance": instance},
                    name=names.RECOMMEND,
                    type="InProc",
                    properties={names.KIND: names.KIND_REQUEST, names.OUTCOME: "ok"},
                    measurements={names.DURATION_MS: 8.0 + 1000 * lag},
                ),
            ]
    answer = telemetry.track(*items)
    assert answer.status_code == 200, answer.text
    return telemetry


@pytest.fixture(autouse=True)
def _promise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECSERVE_SLO_MS", "25")


def html(app: AppTest) -> str:
    return "\n".join(each.body for each in app.html)


def test_heading_names_the_saturated_resource_and_the_worst_moment(
    contended: Emulator, open_console: OpenConsole
) -> None:
    app = open_console("contention", contended.url)

    said = html(app)
    assert "CPU is saturated: 96 % in the worst twentieth of the time, saturated at 85 %." in said
    assert "Event loop lag had the worst moment: 1.0 s on I2" in said
    assert "CPU, instance by instance" in said
    assert "75 % of memory is left on the fullest instance" in said
    assert "The busiest instance does 1.5 x the mean" in said
    assert "In 1 interval with a lag over 25 ms, p99 was 1.0 s; elsewhere 12 ms" in said


def test_link_chooses_the_resource(contended: Emulator, open_console: OpenConsole) -> None:
    app = open_console("contention", contended.url, {"resource": "memory"})

    assert "Memory, instance by instance" in html(app)


def test_tampered_link_shows_the_nearest_and_does_not_repeat_it(
    contended: Emulator, open_console: OpenConsole
) -> None:
    app = open_console("contention", contended.url, {"resource": "<b>gold</b>"})

    assert "The link names no resource that is measured here" in html(app)
    assert "gold" not in html(app)
    assert "CPU, instance by instance" in html(app)


def test_range_without_telemetry_is_said(contended: Emulator, open_console: OpenConsole) -> None:
    app = open_console(
        "contention", contended.url, {"from": "2026-01-02T10:00:00Z", "to": "2026-01-02T11:00:00Z"}
    )

    assert "No instance told of its resources in this range." in html(app)
