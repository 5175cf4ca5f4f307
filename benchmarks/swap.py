"""Models exchanged again and again under load, and a damaged version that must not be.

Two good versions take each other's place as training does it, by renaming directories, and
`POST /api/models/reload` tells the app. The second is a copy of the first that serves another variant first,
so that every answer shows which version gave it. Arrivals are open-loop and Poisson throughout:

    control     before the first exchange, and again from a second after the last
    swapping    while an app that was told of another version has not answered yet

In the end a version with a byte changed in a file takes the place, which the app must refuse and go on.
"""

import asyncio
import json
import os
import shutil
import tempfile
import threading
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

import msgspec
import numpy as np
import uvloop
from numpy.typing import NDArray

from benchmarks.closed_loop import closed_loop
from benchmarks.results import percentiles
from benchmarks.server import Server, serving
from benchmarks.traffic import real_traffic
from emulator.load.client import NO_ANSWER, Sent, send
from planner.arrivals import Phase, poisson
from recserve.inference.manifest import MANIFEST_NAME, Manifest, place_of, read_manifest
from training.release import replace, staging_beside

SERVER_CORE, SENDER_CORE = 0, 1
MAX_HISTORY = 50
WARM_S = 2.0
AFTERMATH_S = 1.0
"After an exchange, for which a request belongs neither to it nor to the control."
RELOAD_TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SwapBench:
    models_dir: str = "models"
    "Models directory that both versions are made of."
    source: str = "../shared/data/ml-latest-small"
    "Dataset whose test users ask."
    rate_per_s: float = 200.0
    n_swaps: int = 20
    every_s: float = 2.0
    "From the beginning of one exchange to the next; one that takes longer delays the next."
    control_s: float = 10.0
    "Before the exchanges, and again after them."
    first: str = "int8"
    "Variant that the second version serves first."
    seed: int = 0


class Exchange(NamedTuple):
    """One version put in another's place, and the app told of it. Times are those of `perf_counter`."""

    put_s: float
    "Just before the directory changed."
    told_s: float
    "When the app was told."
    answered_s: float
    "When it had answered."
    reload: dict[str, Any]
    "Its answer."
    rss_mib: float
    "Of the app, afterwards."


class _Model(msgspec.Struct):
    version: str


class _Answer(msgspec.Struct):
    model: _Model


def run(bench: SwapBench) -> dict[str, Any]:
    """Load the app, exchange its models meanwhile, and hold every answer against what was served."""
    os.sched_setaffinity(0, {SENDER_CORE})
    rng = np.random.default_rng(bench.seed)
    requests = real_traffic(bench.source, max_history=MAX_HISTORY, rng=rng).requests
    duration_s = 2 * bench.control_s + (bench.n_swaps + 1) * bench.every_s + AFTERMATH_S
    arrivals_s = poisson([Phase(bench.rate_per_s, duration_s)], rng)
    with tempfile.TemporaryDirectory(prefix="recserve-swap-") as folder:
        versions = make_versions(Path(bench.models_dir), Path(folder), first=bench.first)
        served = Path(folder) / "models"
        put_in_place(versions.good[0], served)
        settings = {
            "RECSERVE_MODELS_DIR": str(served),
            "RECSERVE_STATE_PATH": f"{folder}/state.db",
            "RECSERVE_RELOAD_S": "0",
        }
        with serving(settings, core=SERVER_CORE, log=Path(folder) / "server.log") as server:
            uvloop.run(closed_loop(server.port, requests, n_callers=4, duration_s=WARM_S))
            rss_mib = server.rss_mib()
            sent, exchanges = uvloop.run(_load(bench, server, versions, served, arrivals_s, requests))
    return _figures(sent, exchanges, rss_mib, bench)


class Versions(NamedTuple):
    """Directories with all versions, none of them served."""

    good: tuple[Path, Path]
    damaged: Path


def make_versions(models_dir: Path, folder: Path, *, first: str) -> Versions:
    """Lay out the versions: as it is, with another variant served first, and damaged."""
    manifest = read_manifest(models_dir)
    others = [name for name in manifest.serving if name != first and not manifest.variant(name).is_neural]
    return Versions(
        good=(
            _lay_out(models_dir, folder / "a", manifest),
            _lay_out(models_dir, folder / "b", _rename(manifest, first, serving=[first, *others])),
        ),
        damaged=_damage(_lay_out(models_dir, folder / "damaged", _rename(manifest, "damaged")), manifest),
    )


def _rename(manifest: Manifest, suffix: str, *, serving: list[str] | None = None) -> Manifest:
    version = f"{manifest.version}-{suffix}"
    return msgspec.structs.replace(manifest, version=version, serving=serving or manifest.serving)


def _lay_out(models_dir: Path, target: Path, manifest: Manifest) -> Path:
    target.mkdir()
    for file in manifest.files():
        shutil.copy(place_of(file, models_dir), target)
    (target / MANIFEST_NAME).write_bytes(msgspec.json.encode(manifest))
    return target


def _damage(version: Path, manifest: Manifest) -> Path:
    path = version / manifest.variant(manifest.serving[0]).file.name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    return version


def put_in_place(version: Path, target: Path) -> None:
    """Serve a copy of a version, the way training puts a release in place; files are linked, not copied."""
    with staging_beside(target) as staging:
        shutil.copytree(version, staging, copy_function=os.link, dirs_exist_ok=True)
        replace(target, staging)


async def _load(
    bench: SwapBench,
    server: Server,
    versions: Versions,
    served: Path,
    arrivals_s: NDArray[np.float64],
    requests: Sequence[bytes],
) -> tuple[Sent, list[Exchange]]:
    is_over = threading.Event()

    def exchange_all() -> list[Exchange]:
        starts_s, exchanges = perf_counter() + bench.control_s, []
        turns = [versions.good[number % 2] for number in range(1, bench.n_swaps + 1)]
        for number, version in enumerate([*turns, versions.damaged]):
            if is_over.wait(max(0.0, starts_s + number * bench.every_s - perf_counter())):
                break
            exchanges.append(_exchange(version, served, server))
        return exchanges

    exchanging = asyncio.create_task(asyncio.to_thread(exchange_all))
    try:
        sent = await send("127.0.0.1", server.port, arrivals_s=arrivals_s, requests=requests)
        return sent, await exchanging
    finally:
        is_over.set()


def _exchange(version: Path, served: Path, server: Server) -> Exchange:
    put_s = perf_counter()
    put_in_place(version, served)
    told_s = perf_counter()
    reload = _reload(server.port)
    return Exchange(put_s, told_s, perf_counter(), reload, server.rss_mib())


def _reload(port: int) -> dict[str, Any]:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/api/models/reload",
        data=b"{}",
        headers={"content-type": "application/json"},
        method="POST",
    )
    try:
        with urllib.request.urlopen(request, timeout=RELOAD_TIMEOUT_S) as response:
            answer: dict[str, Any] = json.load(response)
    except urllib.error.HTTPError as err:
        return {"outcome": f"status {err.code}", "reason": err.read().decode(errors="replace")[:500]}
    return answer


def _figures(sent: Sent, exchanges: list[Exchange], rss_mib: float, bench: SwapBench) -> dict[str, Any]:
    swaps, damaged = exchanges[:-1], exchanges[-1]
    scheduled_s = sent.started_s + sent.scheduled_s
    is_afterwards = scheduled_s > damaged.answered_s
    stretches = {
        "control": (scheduled_s < swaps[0].put_s) | (scheduled_s > damaged.answered_s + AFTERMATH_S),
        "swapping": _while_told(scheduled_s, swaps),
        "refusing": _while_told(scheduled_s, [damaged]),
    }
    answered = np.flatnonzero(sent.status == 200)
    versions = [msgspec.json.decode(sent.answers[i], type=_Answer).model.version for i in answered.tolist()]
    return {
        "n_requests": len(sent.status),
        "n_failed": len(sent.status) - len(answered),
        "statuses": _statuses(sent.status),
        "n_swapped": sum(swap.reload["outcome"] == "swapped" for swap in swaps),
        "n_drained": sum(bool(swap.reload.get("is_drained")) for swap in swaps),
        "answers_by_version": dict(Counter(versions)),
        "n_from_a_version_not_served": count_misplaced(
            versions,
            sent_s=(scheduled_s + sent.late_s)[answered],
            ended_s=(scheduled_s + sent.latency_s)[answered],
            exchanges=exchanges,
        ),
        "stretches": {name: _latencies(sent, chosen) for name, chosen in stretches.items()},
        "sender_late_ms": percentiles((sent.late_s * 1e3).tolist()),
        "median_answered_in_s": round(float(np.median([s.answered_s - s.told_s for s in swaps])), 3),
        "median_seconds_by_phase": _median_seconds(swaps),
        "rss_mib": {
            "before": round(rss_mib, 1),
            "after": round(damaged.rss_mib, 1),
            "after_each": [round(each.rss_mib, 1) for each in exchanges],
        },
        "swaps": [_describe(swap) for swap in swaps],
        "damaged": _describe(damaged)
        | {
            "statuses_afterwards": _statuses(sent.status[is_afterwards]),
            "versions_afterwards": sorted(
                {version for version, i in zip(versions, answered, strict=True) if is_afterwards[i]}
            ),
        },
    }


def count_misplaced(
    versions: Sequence[str],
    *,
    sent_s: NDArray[np.float64],
    ended_s: NDArray[np.float64],
    exchanges: Sequence[Exchange],
) -> int:
    """Answers by a version that was not served at any time between the request and its answer.

    A version may answer from the moment that its directory is in place, and the one before until the app
    has said that it swapped.

    Args:
        versions: of each answer.
        sent_s: when each request left.
        ended_s: when each answer was complete.
        exchanges: all of them, in order.
    """
    spans = list(spans_served(exchanges))
    return sum(
        not any(
            served == version and since_s <= ended and sent <= until_s for served, since_s, until_s in spans
        )
        for version, sent, ended in zip(versions, sent_s.tolist(), ended_s.tolist(), strict=True)
    )


def spans_served(exchanges: Sequence[Exchange]) -> Iterator[tuple[str, float, float]]:
    """Each version with the first and the last instant at which it may have answered."""
    since_s, version = -np.inf, exchanges[0].reload["from_version"]
    for exchange in exchanges:
        if exchange.reload["outcome"] == "swapped":
            yield version, since_s, exchange.answered_s
            since_s, version = exchange.put_s, exchange.reload["to_version"]
    yield version, since_s, np.inf


def _while_told(scheduled_s: NDArray[np.float64], exchanges: Sequence[Exchange]) -> NDArray[np.bool_]:
    """Which requests came while the app was exchanging its models."""
    chosen = np.zeros(len(scheduled_s), bool)
    for exchange in exchanges:
        chosen |= (scheduled_s >= exchange.put_s) & (scheduled_s <= exchange.answered_s)
    return chosen


def _latencies(sent: Sent, chosen: NDArray[np.bool_]) -> dict[str, Any]:
    latencies_ms = sent.latency_s[chosen & (sent.status == 200)] * 1e3
    return (percentiles(latencies_ms.tolist()) if len(latencies_ms) else {"n": 0}) | {
        "statuses": _statuses(sent.status[chosen])
    }


def _statuses(status: NDArray[np.int64]) -> dict[str, int]:
    counts = Counter("no answer" if each == NO_ANSWER else str(each) for each in status.tolist())
    return dict(sorted(counts.items()))


def _median_seconds(swaps: Sequence[Exchange]) -> dict[str, float]:
    phases = swaps[0].reload.get("seconds", {})
    return {
        phase: round(float(np.median([swap.reload["seconds"].get(phase, 0.0) for swap in swaps])), 4)
        for phase in phases
    }


def _describe(exchange: Exchange) -> dict[str, Any]:
    seconds = {phase: round(took_s, 4) for phase, took_s in exchange.reload.get("seconds", {}).items()}
    return exchange.reload | {
        "seconds": seconds,
        "answered_in_s": round(exchange.answered_s - exchange.told_s, 3),
    }


def format_table(figures: dict[str, Any]) -> str:
    """What became of requests, swaps and the damaged version."""
    rss, damaged = figures["rss_mib"], figures["damaged"]
    lines = [
        f"{figures['n_requests']} requests: {figures['statuses']}, failed {figures['n_failed']} (target: 0); "
        f"sender late p99 {figures['sender_late_ms']['p99_ms']:.2f} ms",
        f"{figures['n_swapped']} of {len(figures['swaps'])} exchanges swapped, {figures['n_drained']} drained; "
        f"median {figures['median_answered_in_s']:.2f} s: {figures['median_seconds_by_phase']}",
        f"answers by version {figures['answers_by_version']}, "
        f"from a version not served {figures['n_from_a_version_not_served']} (target: 0)",
    ]
    for name, of_stretch in figures["stretches"].items():
        if of_stretch["n"]:
            lines.append(
                f"  {name:9} p50 {of_stretch['p50_ms']:.2f}  p99 {of_stretch['p99_ms']:.2f} ms  "
                f"{of_stretch['statuses']}"
            )
    lines += [
        f"RSS {rss['before']} MiB before, {rss['after']} MiB after, at most {max(rss['after_each'])} MiB",
        f"damaged version {damaged['outcome']}: {damaged['reason']}; afterwards "
        f"{damaged['statuses_afterwards']} by {damaged['versions_afterwards']}",
    ]
    return "\n".join(lines)
