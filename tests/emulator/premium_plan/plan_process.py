"""A plan in a process of its own, what is asked of it, and what it leaves behind."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

REPOSITORY = Path(__file__).parents[3]
TIMEOUT_S = 30.0
REQUEST = {"history": [260, 1196, 1210], "k": 5}


class PlanProcess:
    """One plan on a data folder and a port of its own.

    Args:
        options: of the command line.
    """

    def __init__(self, data: Path, *options: str) -> None:
        self.data = data
        self.output = data.with_suffix(".output")
        port = () if "--port" in options else ("--port", "0")
        with self.output.open("w") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "emulator", "plan", "--data", str(data), *port, *options],
                cwd=REPOSITORY,
                env={"RECSERVE_STATE_PATH": str(data.with_suffix(".db"))} | os.environ,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                text=True,
            )

    @property
    def said(self) -> str:
        return self.output.read_text()

    @property
    def url(self) -> str:
        return str(self.wait_for("started")["url"])

    def wait_until_up(self) -> "PlanProcess":
        self.wait_for_text("Ctrl-C stops everything")
        return self

    def wait_for_text(self, text: str) -> str:
        deadline_s = time.monotonic() + TIMEOUT_S
        while text not in self.said:
            assert self.process.poll() is None, f"the plan has ended: {self.said}"
            assert time.monotonic() < deadline_s, f"{text!r} never came: {self.said}"
            time.sleep(0.02)
        return self.said

    def events(self, event: str, **properties: Any) -> list[dict[str, Any]]:
        """Events of a kind that have these properties."""
        path = self.data / "events.jsonl"
        lines = path.read_text().splitlines(keepends=True) if path.exists() else []
        found = [json.loads(line) for line in lines if line.endswith("\n")]
        wanted = {"event": event} | {name.rstrip("_"): value for name, value in properties.items()}
        return [each for each in found if wanted.items() <= each.items()]

    def wait_for(self, event: str, **properties: Any) -> dict[str, Any]:
        """The first such event, once it is there."""
        deadline_s = time.monotonic() + TIMEOUT_S
        while not (found := self.events(event, **properties)):
            assert self.process.poll() is None, f"the plan has ended: {self.said}"
            assert time.monotonic() < deadline_s, f"no {event} {properties}: {self.said}"
            time.sleep(0.02)
        return found[0]

    def command(self, *words: str) -> str:
        """What `plan-command` prints."""
        done = subprocess.run(
            [sys.executable, "-m", "emulator", "plan-command", "--data", str(self.data), *words],
            cwd=REPOSITORY,
            capture_output=True,
            text=True,
            check=False,
        )
        return done.stdout + done.stderr

    def status(self) -> dict[str, Any]:
        status: dict[str, Any] = json.loads(self.command("status"))
        return status

    def recommend(self) -> httpx.Response:
        return httpx.post(f"{self.url}/api/recommend", json=REQUEST, timeout=TIMEOUT_S)

    @contextmanager
    def load(self, n_clients: int = 4) -> Iterator["Answers"]:
        """Clients that each send one request after the other, to the end of the block."""
        answers = Answers(f"{self.url}/api/recommend")
        threads = [threading.Thread(target=answers.collect) for _ in range(n_clients)]
        for thread in threads:
            thread.start()
        try:
            yield answers
        finally:
            answers.is_over = True
            for thread in threads:
                thread.join()

    def stop(self, number: int = signal.SIGINT) -> int:
        """Send a signal and give the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        status = self.process.wait(TIMEOUT_S)
        assert self.process.stdin is not None
        self.process.stdin.close()
        return status

    def pids(self) -> list[int]:
        """Of all instances that there ever were."""
        return [event["pid"] for event in self.events("state") if "from" not in event]


class Answers:
    """What clients were answered, by status and instance; 0 is no answer at all."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.seen: Counter[tuple[int, str]] = Counter()
        self.is_over = False

    @property
    def statuses(self) -> set[int]:
        return {status for status, _ in self.seen}

    @property
    def instances(self) -> set[str]:
        return {instance for _, instance in self.seen}

    def collect(self) -> None:
        with httpx.Client(timeout=TIMEOUT_S) as client:
            while not self.is_over:
                try:
                    answer = client.post(self._url, json=REQUEST)
                except httpx.TransportError:
                    self.seen[0, ""] += 1
                    continue
                self.seen[answer.status_code, answer.headers.get("x-recserve-instance", "")] += 1

    def wait_for(self, instance: str) -> None:
        """Wait until an instance has answered."""
        deadline_s = time.monotonic() + TIMEOUT_S
        while not self.seen[200, instance]:
            assert time.monotonic() < deadline_s, f"{instance} never answered: {self.seen}"
            time.sleep(0.02)


def are_gone(pids: list[int]) -> bool:
    """Whether none of the processes is left, a moment after they were to end."""
    deadline_s = time.monotonic() + 5.0
    while any(Path(f"/proc/{pid}").exists() for pid in pids):
        if time.monotonic() > deadline_s:
            return False
        time.sleep(0.02)
    return True


def is_free(url: str) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", int(url.rpartition(":")[2]))) != 0
