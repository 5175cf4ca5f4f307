"""Concurrency, run by Streamlit against a real emulator: a load that breaks latency, and what else there may be."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from console.views.concurrency import point_width
from recserve.telemetry import names
from tests.console.conftest import OpenConsole
from tests.emulator.app_insights.emulator_process import Emulator, envelope

N_POINTS = 80


@cache
def begun() -> datetime:
    """When the load begins: told by the first test that asks, whose last hour holds all of it."""
    return datetime.now(UTC).replace(second=5, microsecond=0) - timedelta(minutes=50)


def request(
    point: int, *, outcome: str = "ok", ms: float = 8.0, in_flight: float = 1.0, told: Mapping[str, str] = {}
) -> dict[str, Any]:
    """A request that stands for two hundred, in the half minute of a point."""
    return envelope(
        "RemoteDependencyData",
        time=begun() + timedelta(seconds=30 * point),
        sample_rate=0.5,
        tags={"ai.cloud.roleInstance": "I1"},
        name=names.RECOMMEND,
        type="InProc",
        properties={names.KIND: names.KIND_REQUEST, names.OUTCOME: outcome, **told},
        measurements={
            names.DURATION_MS: ms,
            names.IN_FLIGHT: in_flight,
            names.LIMIT: 64.0,
            names.BATCH_SIZE: 2.0,
        },
    )


def sampled(point: int, name: str, value: float) -> dict[str, Any]:
    return envelope(
        "MetricData",
        time=begun() + timedelta(seconds=30 * point),
        tags={"ai.cloud.roleInstance": "I1"},
        metrics=[{"name": name, "value": 60 * value, "count": 60, "min": 0, "max": value}],
    )


@pytest.fixture(scope="module")
def loaded(telemetry: Emulator) -> Emulator:
    """Load from 1 to 40 in flight; latency is 8 ms up to twenty and then grows by a tenth with each request."""
    flown = [1 + point / 2 for point in range(N_POINTS)]
    brownout = {names.VARIANT: "counts", names.REASON: "brownout", names.DISPATCH: "idle"}
    answer = telemetry.track(
        *(
            request(
                point,
                ms=8 * 1.1 ** max(x - 20, 0) * (1.1 if point % 2 else 1),
                in_flight=x,
                told={names.DISPATCH: "knee"},
            )
            for point, x in enumerate(flown)
        ),
        request(N_POINTS - 1, in_flight=40, ms=60, told=brownout),
        request(N_POINTS - 1, outcome="shed", told={names.SHED_REASON: "queueing_delay"}),
        *(sampled(point, names.IN_FLIGHT_NOW, x) for point, x in enumerate(flown)),
        sampled(0, names.LIMIT_NOW, 64),
    )  # fmt: skip
    assert answer.status_code == 200, answer.text
    return telemetry


@pytest.fixture(autouse=True)
def _promise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECSERVE_SLO_MS", "25")


def html(app: AppTest) -> str:
    return "\n".join(each.body for each in app.html)


def test_knee_is_told_with_its_interval_and_the_limit(loaded: Emulator, open_console: OpenConsole) -> None:
    app = open_console("concurrency", loaded.url)

    said = html(app)
    assert "in flight on an instance (95 % interval" in said
    assert "The limiter allows 64:" in said
    assert "p99 breaks at 2" in said


def test_refusals_brownout_and_instances_are_told(loaded: Emulator, open_console: OpenConsole) -> None:
    app = open_console("concurrency", loaded.url)

    said = html(app)
    assert "1.2 % were refused or failed, 1.2 % got a lower rung" in said
    assert "queueing delay" in said
    assert "answered by counts" in said
    assert "Too few instances in" in said
    assert "A request shares its model run with 1.0 others" in said


def test_range_without_traffic_is_said(loaded: Emulator, open_console: OpenConsole) -> None:
    app = open_console(
        "concurrency", loaded.url, {"from": "2026-01-02T10:00:00Z", "to": "2026-01-02T11:00:00Z"}
    )

    assert "No request was answered in this range, so there is nothing to tell." in html(app)


@pytest.mark.parametrize(("hours", "seconds"), [(0.25, 30), (1, 30), (6, 120), (24, 300), (168, 3600)])
def test_points_are_wide_enough_for_a_percentile_and_few_enough_to_fit(hours: float, seconds: int) -> None:
    assert point_width(timedelta(hours=hours)) == timedelta(seconds=seconds)
