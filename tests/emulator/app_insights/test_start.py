"""Starting, failing to start, and what the emulator says of itself."""

import socket
from collections.abc import Callable
from pathlib import Path

from tests.emulator.app_insights.emulator_process import EmulatorProcess, envelope

Start = Callable[..., EmulatorProcess]


def test_welcome_gives_the_connection_string_and_the_query_address(start: Start) -> None:
    emulator = start()

    assert f"APPLICATIONINSIGHTS_CONNECTION_STRING={emulator.connection_string}" in emulator.welcome
    assert f"{emulator.url}/v1/workspaces/" in emulator.welcome
    assert emulator.http.get("/").json()["connectionString"] == emulator.connection_string


def test_only_the_loopback_address_is_listened_on(start: Start) -> None:
    emulator = start()

    with socket.socket() as probe:
        refused = probe.connect_ex(("127.0.0.2", int(emulator.url.rpartition(":")[2])))

    assert emulator.url.startswith("http://127.0.0.1:")
    assert refused != 0


def test_port_in_use_is_one_line(start: Start, tmp_path: Path) -> None:
    first = start()

    second = start("--port", first.url.rpartition(":")[2], data=tmp_path / "other")

    assert second.process.wait(20) == 1
    assert second.log.startswith(
        f"error: Port {first.url.rpartition(':')[2]} is unavailable. Close the process"
    )
    assert second.log.count("\n") == 1


def test_data_that_is_no_folder_is_one_line(start: Start, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    emulator = start(data=tmp_path / "file")

    assert emulator.process.wait(20) == 1
    assert emulator.log.startswith(f"error: cannot keep data in {tmp_path}/file: ")
    assert emulator.log.count("\n") == 1


def test_journal_becomes_parquet_by_itself_and_at_the_stop(start: Start) -> None:
    emulator = start()
    emulator.track(*(envelope(properties={"text": "x" * 8_000}) for _ in range(1_200)))

    [path] = emulator.wait_for_parquet()
    emulator.track(envelope())
    status = emulator.stop()

    assert path.parent.parent.name == "AppRequests"
    assert status == 0
    assert not list(emulator.data.glob("journal/*"))
    assert emulator.log == ""


def test_unknown_path_is_answered_404(start: Start) -> None:
    answer = start().http.post("/v3/track")

    assert answer.status_code == 404
    assert answer.json()["error"]["message"] == "there is no POST /v3/track here"
