"""What the plan's front end adds to a request: the function app reached directly and through it, in turns.

The app runs on one core; the front end, in a process of its own, shares the other with the one client here, so
that what it adds holds two changes of process that a plan with cores to spare would not pay. The client keeps
one connection to each address and asks one thing at a time. Both sides of a pair are the same request, in an
order that is drawn, so that a noisy machine is noisy for both. Intervals are bootstrapped over blocks of pairs,
which share their disturbances.
"""

import asyncio
import multiprocessing
import os
import signal
import socket
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random
from time import perf_counter
from typing import Any, Literal

import numpy as np
import uvloop
from numpy.typing import NDArray

from benchmarks.results import percentiles
from benchmarks.server import serving
from benchmarks.traffic import real_traffic
from emulator.premium_plan.front_end import FrontEnd

APP_CORE, FRONT_END_CORE = 0, 1
"The client runs beside the front end."
MAX_HISTORY = 50
N_BURN_IN = 300
N_RESAMPLES = 2_000
START_LIMIT_S = 30.0

Side = Literal["direct", "front_end"]
SIDES: tuple[Side, ...] = ("direct", "front_end")


@dataclass(frozen=True, slots=True, kw_only=True)
class FrontEndBench:
    source: str = "../shared/data/ml-latest-small"
    "Dataset whose test users ask."
    n_blocks: int = 40
    n_pairs: int = 250
    "Pairs in a block."
    seed: int = 0


def run(bench: FrontEndBench) -> dict[str, Any]:
    """Latencies of both sides in ms, what the front end adds, and the ratio, each with a 95 % interval."""
    rng = np.random.default_rng(bench.seed)
    requests = real_traffic(bench.source, max_history=MAX_HISTORY, rng=rng).requests
    return compare(measure(bench, requests), rng)


def measure(bench: FrontEndBench, requests: Sequence[bytes]) -> dict[Side, NDArray[np.float64]]:
    """Latencies in ms of each side, (n_blocks, n_pairs)."""
    cores = os.sched_getaffinity(0)
    with tempfile.TemporaryDirectory(prefix="recserve-front-end-") as folder, ExitStack() as stack:
        stack.callback(os.sched_setaffinity, 0, cores)
        settings = {"RECSERVE_STATE_PATH": f"{folder}/state.db", "RECSERVE_RELOAD_S": "0"}
        app = stack.enter_context(serving(settings, core=APP_CORE, log=Path(folder) / "app.log"))
        ports: dict[Side, int] = {"direct": app.port, "front_end": stack.enter_context(_fronting(app.port))}
        os.sched_setaffinity(0, {FRONT_END_CORE})
        return _ask_in_turns(bench, ports, requests)


def compare(latencies_ms: Mapping[Side, NDArray[np.float64]], rng: np.random.Generator) -> dict[str, Any]:
    """Put both sides side by side.

    Args:
        latencies_ms: of each side, (n_blocks, n_pairs); the same cell is the same request.
        rng: draws the blocks of a resample.
    """
    direct, fronted = latencies_ms["direct"], latencies_ms["front_end"]
    figures: dict[str, Any] = {side: percentiles(latencies_ms[side].ravel().tolist()) for side in SIDES}
    for name in ("p50", "p99"):
        q = float(name[1:])

        def added(blocks: NDArray[np.int64], q: float = q) -> float:
            return float(np.percentile(fronted[blocks], q) - np.percentile(direct[blocks], q))

        def ratio(blocks: NDArray[np.int64], q: float = q) -> float:
            return float(np.percentile(fronted[blocks], q) / np.percentile(direct[blocks], q))

        figures[f"added_{name}_ms"] = _with_interval(added, len(direct), rng)
        figures[f"ratio_{name}"] = _with_interval(ratio, len(direct), rng)
    figures["added_pair_by_pair_ms"] = percentiles((fronted - direct).ravel().tolist())
    return figures


def format_table(figures: Mapping[str, Any]) -> str:
    """Both sides, and what lies between them."""
    lines = [
        f"{side:10} p50 {figures[side]['p50_ms']:.3f}  p99 {figures[side]['p99_ms']:.3f} ms" for side in SIDES
    ]
    for name in ("p50", "p99"):
        added, ratio = figures[f"added_{name}_ms"], figures[f"ratio_{name}"]
        lines.append(
            f"{name} + {added['value']:.3f} ms [{added['low']:.3f}, {added['high']:.3f}], "
            f"x {ratio['value']:.3f} [{ratio['low']:.3f}, {ratio['high']:.3f}]"
        )
    return "\n".join(lines)


def _ask_in_turns(
    bench: FrontEndBench, ports: Mapping[Side, int], requests: Sequence[bytes]
) -> dict[Side, NDArray[np.float64]]:
    latencies_ms = {side: np.empty(bench.n_blocks * bench.n_pairs) for side in SIDES}
    order, random = list(SIDES), Random(bench.seed)
    with ExitStack() as stack:
        connections = {
            side: stack.enter_context(socket.create_connection(("127.0.0.1", ports[side]))) for side in SIDES
        }
        for connection in connections.values():
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for number in range(-N_BURN_IN, bench.n_blocks * bench.n_pairs):
            random.shuffle(order)
            for side in order:
                took_s = _ask(connections[side], requests[number % len(requests)])
                if number >= 0:
                    latencies_ms[side][number] = took_s * 1e3
    return {side: of_side.reshape(bench.n_blocks, bench.n_pairs) for side, of_side in latencies_ms.items()}


def _ask(connection: socket.socket, request: bytes) -> float:
    """Seconds from the request's first byte to the answer's last."""
    started_s = perf_counter()
    connection.sendall(request)
    answer = connection.recv(65536)
    while (head_end := answer.find(b"\r\n\r\n")) < 0:
        answer += connection.recv(65536)
    head = answer[:head_end].lower()
    length = int(head.partition(b"content-length:")[2].split(b"\r\n", 1)[0])
    while len(answer) < head_end + 4 + length:
        answer += connection.recv(65536)
    took_s = perf_counter() - started_s
    if head[9:12] != b"200":
        raise RuntimeError(f"answered {answer[:500]!r}")
    return took_s


@contextmanager
def _fronting(app_port: int) -> Iterator[int]:
    """A front end in a process of its own; gives its port."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(app_port, theirs))
    process.start()
    try:
        if not ours.poll(START_LIMIT_S):
            raise RuntimeError(f"the front end did not start within {START_LIMIT_S:.0f} s")
        yield ours.recv()
    finally:
        process.terminate()
        process.join()


def _serve(app_port: int, told: Connection) -> None:
    os.sched_setaffinity(0, {FRONT_END_CORE})
    uvloop.run(_serve_until_terminated(app_port, told))


async def _serve_until_terminated(app_port: int, told: Connection) -> None:
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    front_end = FrontEnd()
    port = await front_end.start("127.0.0.1", 0)
    front_end.add("app", port=app_port, is_ready=True)
    told.send(port)
    await stopped.wait()
    await front_end.close()


def _with_interval(
    figure: Callable[[NDArray[np.int64]], float], n_blocks: int, rng: np.random.Generator
) -> dict[str, float]:
    resampled = [figure(rng.integers(0, n_blocks, n_blocks)) for _ in range(N_RESAMPLES)]
    low, high = np.percentile(resampled, [2.5, 97.5])
    value = figure(np.arange(n_blocks))
    return {"value": round(value, 4), "low": round(float(low), 4), "high": round(float(high), 4)}
