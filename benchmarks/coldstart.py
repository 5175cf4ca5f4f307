"""Process start to the first recommendation over HTTP, against the floor of the design, in turns.

The floor is a process that imports what nobody can do without (numpy, ONNX Runtime, azure.functions),
loads the session that answers, and runs it once. The app does that too, and everything else: the stand-in
host, the catalogue, the other rungs of the ladder, a socket, a request. Both are measured from outside, from
the moment that they are spawned. Both find bytecode: the packages' is written as they are installed, ours
before the first start, as it is for a deployment.
"""

import compileall
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.ingestion import Ingestion, ingesting
from benchmarks.server import ROOT
from emulator.load.client import http_request
from recserve.inference.manifest import read_manifest

START_LIMIT_S = 30.0
POLL_S = 0.001
ATTACHED_AFTER_S = 2.0
"Telemetry is attached well before this."
N_BURN_IN = 2
PICTURE = ROOT / "docs" / "cold-start.svg"

FLOOR = """
import numpy, onnxruntime, azure.functions
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = options.inter_op_num_threads = 1
options.add_session_config_entry("session.intra_op.allow_spinning", "0")
session = onnxruntime.InferenceSession({model!r}, options, providers=["CPUExecutionProvider"])
history = numpy.ones((1, 3), numpy.int64)
session.run(["items", "scores"], {{"history": history, "seen": history, "k": numpy.array([10])}})
print("answered", flush=True)
"""
APP = (
    "from pathlib import Path; from emulator.functions_host.serving import serve; serve(Path(), port={port})"
)


@dataclass(frozen=True, slots=True)
class Phase:
    """One phase of a start, in seconds since the process was spawned."""

    name: str
    start_s: float
    end_s: float
    lane: str
    "cold_start or request."


@dataclass(frozen=True, slots=True)
class Start:
    """One start of the app, seen from outside and told by its telemetry."""

    first_answer_s: float
    phases: list[Phase]

    @property
    def explained(self) -> float:
        """Share of the time until the first answer that lies in some phase."""
        explained_s = covered_s = 0.0
        for phase in sorted(self.phases, key=lambda phase: phase.start_s):
            start_s, end_s = max(phase.start_s, covered_s), min(phase.end_s, self.first_answer_s)
            explained_s += max(0.0, end_s - start_s)
            covered_s = max(covered_s, end_s)
        return explained_s / self.first_answer_s


def run(n: int) -> tuple[dict[str, Any], Start]:
    """Start both sides n times in turns.

    Returns:
        The figures, and the app's start of median length.
    """
    for sources in ("recserve", "emulator"):
        compileall.compile_dir(ROOT / sources, quiet=1)
    compileall.compile_file(ROOT / "function_app.py", quiet=1)
    manifest = read_manifest(ROOT / "models")
    model = str(ROOT / "models" / manifest.variant(manifest.serving[0]).file.name)
    starts: list[Start] = []
    floors: list[float] = []
    with tempfile.TemporaryDirectory(prefix="recserve-coldstart-") as folder, ingesting() as ingestion:
        for i in range(N_BURN_IN + n):
            start, floor_s = _start_app(Path(folder), ingestion), _start_floor(model)
            if i >= N_BURN_IN:
                starts.append(start)
                floors.append(floor_s)
    app_s = [start.first_answer_s for start in starts]
    figures = {
        "app": _summary(app_s),
        "floor": _summary(floors),
        "ratio": round(statistics.median(app_s) / statistics.median(floors), 3),
        "ratio_of_pairs": round(statistics.median(a / f for a, f in zip(app_s, floors, strict=True)), 3),
        "explained": {
            "median": round(statistics.median(start.explained for start in starts), 4),
            "least": round(min(start.explained for start in starts), 4),
        },
        "phases_ms": _phases_ms(starts),
    }
    return figures, sorted(starts, key=lambda start: start.first_answer_s)[len(starts) // 2]


def _summary(seconds: list[float]) -> dict[str, float]:
    return {
        "n": len(seconds),
        "median_ms": round(statistics.median(seconds) * 1e3, 1),
        "least_ms": round(min(seconds) * 1e3, 1),
        "most_ms": round(max(seconds) * 1e3, 1),
    }


def _phases_ms(starts: list[Start]) -> dict[str, float]:
    """Median of each phase."""
    spent: dict[str, list[float]] = {}
    for start in starts:
        for phase in start.phases:
            if phase.lane == "cold_start":
                spent.setdefault(phase.name, []).append((phase.end_s - phase.start_s) * 1e3)
    return {name: round(statistics.median(ms), 1) for name, ms in spent.items()}


def _start_floor(model: str) -> float:
    spawned_s = time.perf_counter()
    with subprocess.Popen(
        [sys.executable, "-c", FLOOR.format(model=model)], cwd=ROOT, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        if process.stdout.readline() != b"answered\n":
            raise RuntimeError("the floor did not answer")
        return time.perf_counter() - spawned_s


def _start_app(folder: Path, ingestion: Ingestion) -> Start:
    ingestion.posted.clear()
    port = _free_port()
    environ = {
        "APPLICATIONINSIGHTS_CONNECTION_STRING": ingestion.connection_string,
        "RECSERVE_STATE_PATH": str(folder / "state.db"),
        "RECSERVE_SPOOL_DIR": str(folder / "spool"),
        "TMPDIR": str(folder),
    }
    body = json.dumps({"history": [260, 1196, 1210], "k": 10}).encode()
    request = http_request("POST", "/api/recommend", host="127.0.0.1", body=body)
    spawned_unix_s, spawned_s = time.time(), time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-c", APP.format(port=port)],
        cwd=ROOT,
        env=os.environ | environ,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _ask(port, request, process)
        first_answer_s = time.perf_counter() - spawned_s
        time.sleep(ATTACHED_AFTER_S)
    finally:
        process.send_signal(signal.SIGTERM)  # which sends its telemetry
        process.wait(START_LIMIT_S)
    return Start(first_answer_s, _phases(ingestion, spawned_unix_s))


def _ask(port: int, request: bytes, process: subprocess.Popen[bytes]) -> None:
    """Knock until somebody opens, then ask once."""
    give_up_s = time.monotonic() + START_LIMIT_S
    while time.monotonic() < give_up_s and process.poll() is None:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=START_LIMIT_S) as connection:
                connection.sendall(request)
                answer = connection.recv(65_536)
        except ConnectionError:
            time.sleep(POLL_S)
            continue
        if not answer.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(f"the app answered {answer[:200]!r}")
        return
    raise RuntimeError("the app did not answer")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def _phases(ingestion: Ingestion, spawned_unix_s: float) -> list[Phase]:
    found = []
    for envelope in ingestion.envelopes():
        data = envelope["data"]["baseData"]
        kind = data.get("properties", {}).get("recserve.kind", "")
        # Telemetry attaches after readiness: nobody waits for it, so it explains nothing.
        if kind in ("cold_start_phase", "request") and data["name"] != "telemetry":
            start_s = _unix_s(envelope["time"]) - spawned_unix_s
            lane = "request" if kind == "request" else "cold_start"
            found.append(Phase(data["name"], start_s, start_s + _seconds(data["duration"]), lane))
    return sorted(found, key=lambda phase: phase.start_s)


def _unix_s(text: str) -> float:
    from datetime import datetime

    return datetime.fromisoformat(text).timestamp()


def _seconds(duration: str) -> float:
    """What the exporter writes: days.hours:minutes:seconds."""
    days, hours, rest = duration.split(".", 1)[0], *duration.split(".", 1)[1].split(":", 1)
    minutes, seconds = rest.split(":")
    return int(days) * 86_400 + int(hours) * 3_600 + int(minutes) * 60 + float(seconds)


def draw(start: Start, path: Path = PICTURE) -> None:
    """The waterfall of one start."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    colours = {"cold_start": "#0078d4", "request": "#107c10"}
    phases = [phase for phase in start.phases if phase.start_s < start.first_answer_s]
    with mpl.rc_context({"svg.hashsalt": "cold-start", "font.size": 9, "svg.fonttype": "none"}):
        figure = Figure(figsize=(9, 0.28 * len(phases) + 1))
        axes = figure.subplots()
        for row, phase in enumerate(phases):
            end_s = min(phase.end_s, start.first_answer_s)
            axes.barh(
                row,
                (end_s - phase.start_s) * 1e3,
                left=phase.start_s * 1e3,
                color=colours[phase.lane],
                height=0.7,
            )
            label = f"{phase.name}  {(end_s - phase.start_s) * 1e3:.0f} ms"
            is_late = phase.start_s > 0.6 * start.first_answer_s
            axes.text(
                (phase.start_s if is_late else end_s) * 1e3 + (-3 if is_late else 3),
                row,
                label,
                va="center",
                ha="right" if is_late else "left",
            )
        axes.axvline(start.first_answer_s * 1e3, color="#605e5c", linewidth=1, linestyle=":")
        axes.invert_yaxis()
        axes.set_yticks([])
        axes.set_xlabel("milliseconds since the process was started; dotted: the first recommendation is out")
        for side in ("top", "right", "left"):
            axes.spines[side].set_visible(False)
        figure.savefig(path, bbox_inches="tight", metadata={"Date": None})
