"""What `make run` does: everything starts, answers, and stops without a trace."""

import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def up(repository: Path, port: int, console_port: int, state: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [
            *(
                sys.executable,
                "-m",
                "emulator",
                "up",
                "--port",
                str(port),
                "--console-port",
                str(console_port),
            ),
            *("--app-insights-port", str(free_port())),
        ],
        cwd=repository,
        env=os.environ | {"RECSERVE_STATE_PATH": str(state), "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


@pytest.fixture
def ports() -> tuple[int, int]:
    return free_port(), free_port()


@pytest.fixture
def stack(
    repository: Path, ports: tuple[int, int], tmp_path: Path
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The running stack, and what it said until it was up."""
    process = up(repository, *ports, tmp_path / "state.db")
    said = ""
    assert process.stdout is not None
    for line in process.stdout:
        said += line
        if line.startswith("Ctrl-C stops everything"):
            break
    yield process, said
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def test_stack_answers_what_it_prints_and_leaves_nothing_behind(
    stack: tuple[subprocess.Popen[str], str], ports: tuple[int, int]
) -> None:
    process, said = stack
    port, console_port = ports
    curl = next(line for line in said.splitlines() if line.lstrip().startswith("curl "))
    answered = subprocess.run(shlex.split(curl), capture_output=True, text=True, check=True)
    user = httpx.get(f"http://127.0.0.1:{port}/api/recommend/ana").json()
    console = httpx.get(f"http://127.0.0.1:{console_port}")
    shown = json.loads(said[said.index("{\n") : said.rindex("}") + 1])

    assert json.loads(answered.stdout)["items"] == shown["items"]
    assert len(shown["items"]) == 5
    assert user["basis"] == "history"
    assert console.status_code == 200

    process.send_signal(signal.SIGINT)
    rest, _ = process.communicate(timeout=20)

    assert process.returncode == 0
    assert "Traceback" not in said + rest
    assert is_free(port)
    assert is_free(console_port)


def test_setting_that_cannot_be_used_is_one_line_and_no_wait(
    repository: Path, ports: tuple[int, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RECSERVE_MAX_BATCH", "0")
    said, _ = up(repository, *ports, tmp_path / "state.db").communicate(timeout=20)

    assert said.splitlines()[-1].startswith("error: ")
    assert "RECSERVE_MAX_BATCH='0'" in said.splitlines()[-1]
    assert "Traceback" not in said


def test_damaged_models_stop_the_stack_at_once_with_the_reason(
    repository: Path, ports: tuple[int, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RECSERVE_MODELS_DIR", str(tmp_path))
    said, _ = up(repository, *ports, tmp_path / "state.db").communicate(timeout=20)

    assert "error: instance I1 will never be ready: the process cannot serve: cannot read manifest" in said
    assert "Traceback" not in said
    assert said.splitlines()[-1] == "error: plan stopped with exit status 1; its log is above"


def test_port_in_use_is_one_line_with_the_remedy(
    repository: Path, ports: tuple[int, int], tmp_path: Path
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", ports[0]))
        taken.listen()
        said, _ = up(repository, *ports, tmp_path / "state.db").communicate(timeout=20)

    assert re.fullmatch(rf"error: port {ports[0]}, for the function app, is in use; .*--port.*\n", said)
