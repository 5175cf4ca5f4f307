"""What micro-batching costs where there is nothing to batch, and what it gains where there is.

Both sides are the same app with `RECSERVE_ADMISSION=off`, so that nothing is refused and every request gets
the best variant; they differ in `RECSERVE_MAX_BATCH` alone. They are up at the same time and are asked in
turns, A B B A, so that whatever else the machine does meets both.

    light load   shipped models, 10 % of the capacity, open-loop Poisson arrivals, the same for both sides
                 of a round; target: p99 with batching at most 1.05 x that without
    saturation   a synthetic catalogue of 100,000 items, callers that never rest; target: at least twice as
                 many answers a second with batching as without

Intervals are bootstrapped over rounds: requests of one round share its disturbances.
"""

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import uvloop
from numpy.typing import NDArray

from benchmarks.closed_loop import closed_loop
from benchmarks.results import percentiles
from benchmarks.server import Server, serving
from benchmarks.synthetic_models import SyntheticModels, write_synthetic_models
from benchmarks.traffic import ask, real_traffic
from emulator.load.client import Sent, send
from planner.arrivals import Phase, poisson
from recserve.inference.batcher import pad
from recserve.inference.loading import load_models

SERVER_CORE, SENDER_CORE = 0, 1
MAX_HISTORY = 50
MAX_BATCH = {"batching": 32, "no_batching": 1}
SIDES = tuple(MAX_BATCH)
LIGHT = 0.1
"Share of the capacity."
N_CAPACITY_CALLERS = 32
N_RESAMPLES = 2_000
MODEL_BATCHES = (1, 2, 4, 8, 16, 32)
N_MODEL_RUNS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchingBench:
    models_dir: str = "models"
    "Models directory that is served under light load."
    source: str = "../shared/data/ml-latest-small"
    "Dataset whose test users ask there."
    light_rounds: int = 8
    light_s: float = 4.0
    "How long each side is asked in each round."
    n_items: int = 100_000
    "Synthetic catalogue of the saturation."
    n_callers: int = 64
    saturation_rounds: int = 6
    saturation_s: float = 3.0
    seed: int = 0


def run(bench: BatchingBench) -> dict[str, Any]:
    """Both comparisons, one after the other."""
    os.sched_setaffinity(0, {SENDER_CORE})
    rng = np.random.default_rng(bench.seed)
    with tempfile.TemporaryDirectory(prefix="recserve-batching-") as folder:
        light = _light_load(bench, Path(folder), rng)
        return {"light_load": light, "saturation": _saturation(bench, Path(folder), rng)}


def _light_load(bench: BatchingBench, folder: Path, rng: np.random.Generator) -> dict[str, Any]:
    traffic = real_traffic(bench.source, max_history=MAX_HISTORY, rng=rng)
    latencies_ms: dict[str, list[NDArray[np.float64]]] = {side: [] for side in SIDES}
    late_ms: list[NDArray[np.float64]] = []
    n_failed = dict.fromkeys(SIDES, 0)
    with _both_sides(Path(bench.models_dir).resolve(), folder) as servers:
        capacity_per_s = max(_capacity(servers[side], traffic.requests) for side in SIDES)
        phase = Phase(LIGHT * capacity_per_s, bench.light_s)
        for sides in alternate(bench.light_rounds):
            arrivals_s = poisson([phase], rng)
            for side in sides:
                sent = uvloop.run(_send(servers[side], arrivals_s, traffic.requests))
                is_answer = sent.status == 200
                latencies_ms[side].append(sent.latency_s[is_answer] * 1e3)
                n_failed[side] += int((~is_answer).sum())
                late_ms.append(sent.late_s * 1e3)
    with_batching, without = latencies_ms["batching"], latencies_ms["no_batching"]
    return {
        "capacity_per_s": round(capacity_per_s, 1),
        "rate_per_s": round(phase.rate_per_s, 1),
        "sides": {
            side: percentiles(np.concatenate(latencies_ms[side]).tolist()) | {"n_failed": n_failed[side]}
            for side in SIDES
        },
        "sender_late_ms": percentiles(np.concatenate(late_ms).tolist()),
        "ratio_p50": ratio_of_percentiles(with_batching, without, 50, rng),
        "ratio_p99": ratio_of_percentiles(with_batching, without, 99, rng),
    }


def _capacity(server: Server, requests: Sequence[bytes]) -> float:
    """Answers a second; a run before this one has taught the server what its batches cost."""
    for _ in range(2):
        found = uvloop.run(
            closed_loop(server.port, requests, n_callers=N_CAPACITY_CALLERS, duration_s=1.5, burn_in_s=0.5)
        )
    return found.per_s


def _saturation(bench: BatchingBench, folder: Path, rng: np.random.Generator) -> dict[str, Any]:
    models_dir = folder / "models"
    models = SyntheticModels(n_items=bench.n_items, seed=bench.seed)
    histories = [history[-MAX_HISTORY:] for history in write_synthetic_models(models_dir, models)]
    requests = [ask(history.tolist()) for history in histories]
    answers_per_s: dict[str, list[float]] = {side: [] for side in SIDES}
    busy: dict[str, list[float]] = {side: [] for side in SIDES}
    n_failed = dict.fromkeys(SIDES, 0)
    with _both_sides(models_dir, folder) as servers:
        for sides in alternate(bench.saturation_rounds):
            for side in sides:
                cpu_s, started_s = servers[side].cpu_s(), perf_counter()
                found = uvloop.run(
                    closed_loop(
                        servers[side].port,
                        requests,
                        n_callers=bench.n_callers,
                        duration_s=bench.saturation_s,
                        burn_in_s=1.0,
                    )
                )
                busy[side].append((servers[side].cpu_s() - cpu_s) / (perf_counter() - started_s))
                answers_per_s[side].append(found.per_s)
                n_failed[side] += found.n_failed
    ratios = np.array(answers_per_s["batching"]) / np.array(answers_per_s["no_batching"])
    return {
        "is_synthetic": True,
        "models": asdict(models),
        "sides": {
            side: {
                "answers_per_s": np.round(answers_per_s[side], 1).tolist(),
                "median_per_s": round(float(np.median(answers_per_s[side])), 1),
                "busy_cores": round(float(np.mean(busy[side])), 2),
                "n_failed": n_failed[side],
            }
            for side in SIDES
        },
        "ratio_of_each_round": np.round(ratios, 3).tolist(),
        "ratio": _interval(
            float(np.median(ratios)),
            np.median(ratios[rng.integers(0, len(ratios), (N_RESAMPLES, len(ratios)))], axis=1),
        ),
        "model_alone_ms": _time_model(models_dir, histories),
    }


def _time_model(models_dir: Path, histories: list[NDArray[np.int64]]) -> dict[str, float]:
    """Median of one run of the first variant by batch size, sizes in turns: what the app could gain at most."""
    models = load_models(models_dir, n_threads=1, mark=lambda _: None)
    session = models.sessions[models.manifest.serving[0]]
    samples_ms: dict[int, list[float]] = {size: [] for size in MODEL_BATCHES}
    for number in range(N_MODEL_RUNS + 2):
        for size in MODEL_BATCHES:
            history = pad(histories[:size])
            started_s = perf_counter()
            session.recommend(history, history, 10)
            if number >= 2:
                samples_ms[size].append((perf_counter() - started_s) * 1e3)
    return {str(size): round(float(np.median(samples)), 3) for size, samples in samples_ms.items()}


@contextmanager
def _both_sides(models_dir: Path, folder: Path) -> Iterator[dict[str, Server]]:
    """An app for each side, on the same core."""
    with ExitStack() as stack:
        servers = {}
        for side, max_batch in MAX_BATCH.items():
            settings = {
                "RECSERVE_MODELS_DIR": str(models_dir),
                "RECSERVE_STATE_PATH": str(folder / f"{side}.db"),
                "RECSERVE_ADMISSION": "off",
                "RECSERVE_MAX_BATCH": str(max_batch),
                "RECSERVE_RELOAD_S": "0",
            }
            servers[side] = stack.enter_context(
                serving(settings, core=SERVER_CORE, log=folder / f"{side}.log")
            )
        yield servers


async def _send(server: Server, arrivals_s: NDArray[np.float64], requests: Sequence[bytes]) -> Sent:
    return await send("127.0.0.1", server.port, arrivals_s=arrivals_s, requests=requests)


def alternate(rounds: int) -> Iterator[tuple[str, ...]]:
    """The order of the sides in each round: A B, B A, A B, ..."""
    for number in range(rounds):
        yield SIDES if number % 2 == 0 else SIDES[::-1]


def ratio_of_percentiles(
    tops: Sequence[NDArray[np.float64]],
    bottoms: Sequence[NDArray[np.float64]],
    percentile: float,
    rng: np.random.Generator,
) -> dict[str, float]:
    """Ratio of the percentiles of two pooled samples, with a 95 % interval.

    Args:
        tops: samples of each round.
        bottoms: samples of the same rounds; a resample takes both sides of the rounds that it draws.
        percentile: which, 0 to 100.
        rng: draws the rounds of a resample.
    """

    def ratio(rounds: NDArray[np.int64]) -> float:
        top, bottom = (np.concatenate([side[i] for i in rounds]) for side in (tops, bottoms))
        return float(np.percentile(top, percentile) / np.percentile(bottom, percentile))

    n = len(tops)
    resampled = [ratio(rng.integers(0, n, n)) for _ in range(N_RESAMPLES)]
    return _interval(ratio(np.arange(n)), np.array(resampled))


def _interval(ratio: float, resampled: NDArray[np.float64]) -> dict[str, float]:
    low, high = np.percentile(resampled, [2.5, 97.5])
    return {"ratio": round(ratio, 4), "low": round(float(low), 4), "high": round(float(high), 4)}


def format_table(figures: dict[str, Any]) -> str:
    """Both comparisons, a line for each side."""
    light, saturation = figures["light_load"], figures["saturation"]
    lines = [
        f"light load: {light['rate_per_s']:.0f} requests/s, {LIGHT:.0%} of {light['capacity_per_s']:.0f}"
    ]
    for side, of_side in light["sides"].items():
        lines.append(
            f"  {side:12} p50 {of_side['p50_ms']:.3f}  p99 {of_side['p99_ms']:.3f} ms  "
            f"n {of_side['n']}  failed {of_side['n_failed']}"
        )
    lines += [
        f"  ratio p50 {_show(light['ratio_p50'])}, p99 {_show(light['ratio_p99'])} (target: p99 at most 1.05); "
        f"sender late p99 {light['sender_late_ms']['p99_ms']:.2f} ms",
        f"saturation: synthetic, {saturation['models']['n_items']:,} items",
    ]
    for side, of_side in saturation["sides"].items():
        lines.append(
            f"  {side:12} {of_side['median_per_s']:7.1f} answers/s (median of rounds)  "
            f"busy {of_side['busy_cores']:.2f} cores  failed {of_side['n_failed']}"
        )
    alone = saturation["model_alone_ms"]
    lines += [
        f"  ratio {_show(saturation['ratio'])}, of each round {saturation['ratio_of_each_round']} "
        "(target: at least 2)",
        f"  the model alone, ms by batch size: {alone}",
    ]
    return "\n".join(lines)


def _show(interval: dict[str, float]) -> str:
    return f"{interval['ratio']:.3f} [{interval['low']:.3f}, {interval['high']:.3f}]"
