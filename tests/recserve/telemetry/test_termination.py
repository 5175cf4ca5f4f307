"""How processes die of SIGTERM, and what they leave behind."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.ingestion import Ingestion, ingesting
from tests.recserve.telemetry.serving import RECOMMEND, start

N_REQUESTS = 20

BEGIN = """
import atexit, os, signal, sys, threading, time
from recserve.telemetry.termination import close_before_termination
def close(seconds=0.0):
    print("closing", flush=True)
    time.sleep(seconds)
    print("closed", flush=True)
"""


def run(repository: Path, script: str, *, n_signals: int = 1) -> tuple[int, list[str]]:
    """Send SIGTERM after each of the first lines that the script prints; its exit status and the lines."""
    with subprocess.Popen(
        [sys.executable, "-c", BEGIN + script], cwd=repository, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        lines = []
        for _ in range(n_signals):
            lines.append(process.stdout.readline().strip())
            process.send_signal(signal.SIGTERM)
        rest, _ = process.communicate(timeout=20)
    return process.returncode, [*lines, *rest.split()]


def test_process_closes_and_dies_of_the_signal(repository: Path) -> None:
    script = "close_before_termination(close); print('up', flush=True); time.sleep(15)"

    assert run(repository, script) == (-signal.SIGTERM, ["up", "closing", "closed"])


def test_main_thread_goes_on_while_it_closes(repository: Path) -> None:
    script = """
going_on = threading.Event()
close_before_termination(lambda: (going_on.wait(15), close()))
print("up", flush=True)
while signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL: time.sleep(0.01)
print("answers", flush=True)
going_on.set()
time.sleep(15)
"""

    assert run(repository, script) == (-signal.SIGTERM, ["up", "answers", "closing", "closed"])


def test_second_signal_does_not_wait(repository: Path) -> None:
    script = "close_before_termination(lambda: close(15)); print('up', flush=True); time.sleep(15)"

    assert run(repository, script, n_signals=2) == (-signal.SIGTERM, ["up", "closing"])


def test_close_that_fails_dies_of_the_signal_too(repository: Path) -> None:
    script = "close_before_termination(lambda: 1 / 0); print('up', flush=True); time.sleep(15)"

    assert run(repository, script) == (-signal.SIGTERM, ["up"])


def test_signal_while_the_interpreter_ends_closes_and_dies(repository: Path) -> None:
    script = """
atexit.register(lambda: (print("ending", flush=True), time.sleep(15)))
close_before_termination(close)
"""

    assert run(repository, script) == (-signal.SIGTERM, ["ending", "closing", "closed"])


def test_handler_of_somebody_else_stays(repository: Path) -> None:
    script = """
signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(3))
print(close_before_termination(close), flush=True)
time.sleep(15)
"""

    assert run(repository, script) == (3, ["False"])


def test_nothing_is_handled_off_the_main_thread(repository: Path) -> None:
    script = """
threading.Thread(target=lambda: print(close_before_termination(close), flush=True)).start()
time.sleep(15)
"""

    assert run(repository, script) == (-signal.SIGTERM, ["False"])


@pytest.mark.parametrize("otlp_delay_s", [None, 60.0])
def test_what_was_queued_arrives_when_the_process_is_told_to_end(
    repository: Path, tmp_path: Path, ingestion: Ingestion, otlp_delay_s: float | None
) -> None:
    with ingesting() as collector:
        collector.delay_s = otlp_delay_s or 0.0
        settings = {"APPLICATIONINSIGHTS_CONNECTION_STRING": ingestion.connection_string, "STAY_S": "50"}
        if otlp_delay_s is not None:
            settings["OTEL_EXPORTER_OTLP_ENDPOINT"] = collector.address
        with start(repository, tmp_path, *[RECOMMEND] * N_REQUESTS, **settings) as process:
            assert process.stdout is not None
            for _ in range(N_REQUESTS):
                process.stdout.readline()
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=20)

    assert process.returncode == -signal.SIGTERM
    assert len(ingestion.spans("request")) == N_REQUESTS
    assert len(ingestion.spans("cold_start")) == 1
    assert sum(point["count"] for point in ingestion.metrics()["faas.invoke_duration"]) == N_REQUESTS


def test_endpoint_that_hangs_does_not_keep_the_process_alive(
    repository: Path, tmp_path: Path, ingestion: Ingestion
) -> None:
    ingestion.delay_s = 60
    settings = {"APPLICATIONINSIGHTS_CONNECTION_STRING": ingestion.connection_string, "STAY_S": "50"}
    with start(repository, tmp_path, RECOMMEND, **settings) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=20)

    assert process.returncode == -signal.SIGTERM
