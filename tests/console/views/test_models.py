"""The view of models and quality, run by Streamlit against a real emulator and a stand-in for the API."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from recserve.telemetry import names
from tests.console.conftest import MODELS, OpenConsole, Reply, StandIn
from tests.emulator.app_insights.emulator_process import Emulator, envelope


def text(app: AppTest) -> str:
    return "\n".join(html.body for html in app.html)


def answered(variant: str, reason: str, at: datetime) -> dict[str, Any]:
    properties = {
        names.KIND: "request",
        names.OUTCOME: "ok",
        names.VARIANT: variant,
        names.REASON: reason,
        names.MODEL_VERSION: "v1",
    }
    return envelope(
        "RemoteDependencyData",
        time=at,
        id="1",
        name="recommend",
        properties=properties,
        measurements={"duration_ms": 4.0},
    )


def acted(variant: str, followed: str, n: int, gain: float, at: datetime) -> dict[str, Any]:
    properties = {names.VARIANT: variant, names.EVENT_KIND: "click", names.FOLLOWED: followed}
    return envelope(
        "MetricData",
        time=at,
        metrics=[{"name": names.FEEDBACK_GAIN, "value": gain, "count": n}],
        properties=properties,
    )


@pytest.fixture(scope="module")
def answers(telemetry: Emulator) -> str:
    """Address of telemetry: two rungs answered, one of them in brownout too, and users clicked."""
    at = datetime.now(UTC) - timedelta(minutes=5)
    taken = telemetry.track(
        *(answered("blend", "default", at) for _ in range(8)),
        *(answered("counts", "brownout", at) for _ in range(2)),
        acted("blend", "listed", 30, 20, at),
        acted("blend", "not_listed", 170, 0, at),
        acted("counts", "listed", 1, 1, at),
        acted("", "unknown", 50, 0, at),
    )
    assert taken.status_code == 200
    return telemetry.url


@pytest.fixture(autouse=True)
def _api(stand_in: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in.replies["models"] = Reply(MODELS)
    monkeypatch.setenv("RECSERVE_API_URL", stand_in.url)


def test_heading_says_what_the_mix_gives_away_and_what_was_brownout(
    open_console: OpenConsole, answers: str
) -> None:
    app = open_console("models", answers)

    # 2 of 10 answers came from a rung of 0.07 instead of 0.09.
    assert (
        "gives away 4.4 % of the NDCG@10 that blend alone would have; 20 % of answers were brownout"
        in text(app)
    )
    assert "blend gave 80 % of 10 answers; brownout once" in text(app)


def test_share_of_events_that_is_known_is_said(open_console: OpenConsole, answers: str) -> None:
    app = open_console("models", answers)

    assert "80 % of events could be joined" in text(app)
    assert "Some rungs rest on few events." in text(app)


def test_rungs_and_brownouts_link_to_their_requests(open_console: OpenConsole, answers: str) -> None:
    app = open_console("models", answers)

    assert 'href="latency?variant=blend"' in text(app)
    assert 'href="concurrency?from=' in text(app)


def test_api_that_is_not_there_leaves_what_telemetry_knows(
    open_console: OpenConsole, answers: str, nowhere: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RECSERVE_API_URL", nowhere)

    app = open_console("models", answers)

    assert "No recommendation API answers at" in text(app)
    assert "blend gave 80 % of 10 answers" in text(app)


def test_no_telemetry_leaves_what_the_api_knows(open_console: OpenConsole) -> None:
    app = open_console("models")

    assert "From blend to counts, NDCG@10 falls from 0.090 to 0.070." in text(app)
    assert "No workspace is configured" in text(app)
