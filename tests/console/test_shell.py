"""The shell around a view, run by Streamlit without a browser: what it says in every state, and its links."""

import re
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

import console.views
from tests.console.conftest import OpenConsole, free_port
from tests.emulator.app_insights.emulator_process import Emulator, EmulatorHost, envelope

VIEW = """
from console.asking import Question, ask
from console.bar import current_scope
from console.page import heading, panel
from console.scope import link_to
import streamlit as st

def show():
    scope = current_scope()
    answers = ask(scope, load=Question("requests"), volume=Question("volume"))
    heading("What is going on?", f"{scope.label}; {scope.variant or 'all'}")
    drawn = panel("Requests", answers["load"], lambda table: table["n_requests"].sum(), key="load", unit="1")
    panel("Volume", answers["volume"], lambda table: None, key="volume")
    st.text(f"drawn {drawn}")
    st.text(link_to("trace", scope, trace="4bf9"))
"""


@pytest.fixture(autouse=True)
def _sample_view(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A view of two panels, in the place where views are."""
    (tmp_path / "sample.py").write_text(VIEW)
    monkeypatch.setattr(console.views, "__path__", [*console.views.__path__, str(tmp_path)])
    yield
    sys.modules.pop("console.views.sample", None)


@pytest.fixture(scope="module")
def busy(telemetry: Emulator) -> Emulator:
    """Telemetry of ten requests, a quarter of an hour old."""
    now = datetime.now(UTC)
    for minutes in (14, 15):
        telemetry.track(*(_request(now - timedelta(minutes=minutes)) for _ in range(5)))
    return telemetry


def _request(at: datetime, variant: str = "blend") -> dict[str, object]:
    return envelope(
        "RemoteDependencyData",
        time=at,
        name="recommend",
        duration="0.00:00:00.012",
        properties={"recserve.kind": "request", "recserve.outcome": "ok", "recserve.variant": variant},
        measurements={"duration_ms": 12.0},
    )


def said(app: AppTest) -> str:
    """The page's HTML as words."""
    return re.sub(r"<[^>]*>", " ", " ".join(html.body for html in app.html if "<style" not in html.body))


def test_view_shows_what_telemetry_holds(open_console: OpenConsole, busy: Emulator) -> None:
    app = open_console("sample", busy.url)

    assert "What is going on?" in said(app)
    assert app.text[0].value == "drawn 10.0"
    assert "10 requests, all kept" in said(app)
    assert "The newest record is 14 min old." in said(app)
    assert [code.value.splitlines()[-1] for code in app.code] == [
        "| order by interval_start asc",
        "| order by n_bytes desc",
    ]


def test_link_chooses_range_and_variant(open_console: OpenConsole, busy: Emulator) -> None:
    app = open_console("sample", busy.url, {"range": "6h", "variant": "student"})

    assert "Last 6 h; student" in said(app)
    assert "all variants" in said(app), "volume cannot be asked of one variant"
    assert "There is nothing of this in the time range." in said(app)
    assert app.text[1].value == "trace?variant=student&range=6h&trace=4bf9"
    assert app.selectbox(key="variant").options == ["All variants", "blend", "student"]


def test_link_chooses_an_absolute_range(open_console: OpenConsole, busy: Emulator) -> None:
    link = {"from": "2026-11-01T10:00:00Z", "to": "2026-11-01T10:30:00Z"}

    app = open_console("sample", busy.url, link)

    assert "1 Nov 10:00 – 10:30; all" in said(app)
    assert "No traffic between 1 Nov 10:00 – 10:30." in said(app)
    assert app.text[1].value.startswith("trace?from=2026-11-01T10%3A00%3A00Z&to=")


def test_tampered_link_is_a_sentence_each_and_the_defaults(open_console: OpenConsole, busy: Emulator) -> None:
    app = open_console("sample", busy.url, {"range": "<b>", "refresh": "1", "variant": "a b", "from": "x"})

    assert "Last 1 h; all" in said(app)
    assert said(app).count("The link") == 4
    assert app.text[0].value == "drawn 10.0"


def test_choosing_in_the_bar_changes_view_and_links(open_console: OpenConsole, busy: Emulator) -> None:
    app = open_console("sample", busy.url)

    app.selectbox(key="variant").set_value("blend").run()

    assert not app.exception
    assert "Last 1 h; blend" in said(app)
    assert app.text[1].value == "trace?variant=blend&trace=4bf9"


def test_workspace_without_records_says_how_to_get_some(
    open_console: OpenConsole, emulators: EmulatorHost, tmp_path: Path
) -> None:
    app = open_console("sample", emulators.start(tmp_path / "data").url)

    assert "There is no telemetry yet." in said(app)
    assert app.text[0].value == "drawn None"


def test_workspace_that_is_not_there_is_said_in_every_panel(open_console: OpenConsole) -> None:
    app = open_console("sample", f"http://127.0.0.1:{free_port()}")

    assert said(app).count("No telemetry answers at") == 2
    assert "telemetry unreachable" in said(app)


def test_console_without_a_workspace_says_what_to_set(open_console: OpenConsole) -> None:
    app = open_console("sample")

    assert "No workspace is configured" in said(app)
    assert "set RECSERVE_WORKSPACES" in re.sub(r"\s+", " ", said(app))


def test_setting_that_cannot_be_used_is_a_sentence(open_console: OpenConsole) -> None:
    app = open_console("sample", "ftp://x")

    assert "it begins with http:// or https://" in said(app)


def test_console_that_is_served_to_others_without_sign_in_shows_nothing(
    open_console: OpenConsole, busy: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streamlit.get_option", lambda name: "0.0.0.0" if name == "server.address" else None)

    app = open_console("sample", busy.url)

    assert "its own machine only" in said(app)
    assert not app.text
