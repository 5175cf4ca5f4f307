"""What exported graphs cost on this machine: load time and memory in a process of their own, latency in turns."""

import json
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import cast

import numpy as np
import onnxruntime as ort
import psutil
from numpy.typing import NDArray

from recserve.inference.manifest import Measurement
from training.errors import TrainingError

BATCH_SIZES = (1, 8, 32)
N_BURN_IN = 20
N_ROUNDS = 200
N_LOADS = 5
K = 20


class MeasurementError(TrainingError):
    """A graph that cannot be measured."""


def measure(graphs: Mapping[str, Path], histories: NDArray[np.int64]) -> dict[str, Measurement]:
    """Measure graphs against each other, on one thread.

    Args:
        graphs: shipped graphs by name.
        histories: real histories, (at least 32, length); what the users have seen is the same.

    Raises:
        MeasurementError: a process that should load a graph ended without a measurement.
    """
    latency_ms = _latency(graphs, histories)
    measurements = {}
    for name, path in graphs.items():
        loads = [_load_in_own_process(path) for _ in range(N_LOADS)]
        measurements[name] = Measurement(
            load_ms=round(median(load["load_ms"] for load in loads), 2),
            rss_mib=round(median(load["rss_mib"] for load in loads), 2),
            latency_ms=latency_ms[name],
        )
    return measurements


def longest(histories: list[NDArray[np.int64]]) -> list[NDArray[np.int64]]:
    """The 32 longest histories: what a run costs when it costs most."""
    return sorted(histories, key=len, reverse=True)[:32]


def _latency(graphs: Mapping[str, Path], histories: NDArray[np.int64]) -> dict[str, dict[str, float]]:
    """Median milliseconds of a run by graph and batch size; the graphs take turns in every round."""
    sessions = {name: _open(path) for name, path in graphs.items()}
    medians: dict[str, dict[str, float]] = {name: {} for name in graphs}
    for batch_size in BATCH_SIZES:
        feeds = _feeds(histories[:batch_size])
        samples_ms: dict[str, list[float]] = {name: [] for name in graphs}
        order = list(sessions)
        for round_number in range(N_BURN_IN + N_ROUNDS):
            order.append(order.pop(0))  # no graph always follows the same other
            for name in order:
                started_s = time.perf_counter()
                sessions[name].run(None, feeds)
                if round_number >= N_BURN_IN:
                    samples_ms[name].append((time.perf_counter() - started_s) * 1e3)
        for name, of_graph in samples_ms.items():
            medians[name][str(batch_size)] = round(median(of_graph), 4)
    return medians


def _open(path: Path) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    return ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def _feeds(history: NDArray[np.int64]) -> dict[str, NDArray[np.int64]]:
    return {"history": history, "seen": history, "k": np.array([K])}


def _load_in_own_process(path: Path) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, "-m", "training.measurement", str(path)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        said = done.stderr.strip().rpartition("\n")[2] or f"it ended with {done.returncode}"
        raise MeasurementError(f"cannot measure {path.name} in a process of its own: {said}")
    return cast(dict[str, float], json.loads(done.stdout))


def _report_load(path: Path) -> None:
    """Load a graph in this process, run it once, and print what that took."""
    process = psutil.Process()
    before = process.memory_info().rss
    started_s = time.perf_counter()
    session = _open(path)
    load_ms = (time.perf_counter() - started_s) * 1e3
    session.run(None, _feeds(np.ones((1, 1), np.int64)))
    rss_mib = (process.memory_info().rss - before) / 2**20
    print(json.dumps({"load_ms": load_ms, "rss_mib": rss_mib}))


if __name__ == "__main__":
    _report_load(Path(sys.argv[1]))
