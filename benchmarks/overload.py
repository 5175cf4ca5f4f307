"""One instance from half its capacity to three times and back, with and without what protects it.

Arrivals are Poisson and open-loop, from a process and a core of their own; latency counts from the
scheduled instant. The control is the same app with `RECSERVE_ADMISSION=off`: every request is let in and
answered by the best variant, however long that takes. Both sides see the same arrivals and requests.

    goodput     answers with status 200 within the SLO, per second
    admitted    answers with status 200, whatever their latency
    recovery    time from the end of the overload until goodput, over half a second, is back at 95 % of
                what arrives; the part of the queue that overload left behind counts
"""

import os
import tempfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import uvloop
from numpy.typing import NDArray

from benchmarks.closed_loop import closed_loop
from benchmarks.server import Server, serving
from benchmarks.traffic import Traffic, ask, real_traffic
from emulator.load.client import Sent, send
from planner.arrivals import Phase, poisson

SLO_S = 0.025
SERVER_CORE, SENDER_CORE = 0, 1
N_CLOSED = 32
"Connections that find the capacity: each asks again as soon as it is answered."
RECOVERED = 0.95
NO_TARGET = ""
WINDOW_S = 0.5
MAX_HISTORY = 50

SIDES: Mapping[str, Mapping[str, str]] = {
    "protected": {},
    "unlimited": {"RECSERVE_ADMISSION": "off"},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadBench:
    models_dir: str = "models"
    "Models directory that is served."
    source: str = "../shared/data/ml-latest-small"
    "Dataset whose test users ask."
    synthetic_items: int = 0
    "Serve a synthetic catalogue of this size instead; what it recommends has no quality."
    phases: tuple[float, ...] = (0.5, 1.0, 3.0, 0.5)
    "Load in shares of the capacity."
    phase_s: float = 10.0
    rounds: int = 2
    "How often both sides go through all phases, in turns."
    seed: int = 0


class _Item(msgspec.Struct):
    id: int | str


class _Model(msgspec.Struct):
    variant: str


class _Answer(msgspec.Struct):
    items: list[_Item]
    model: _Model


class _Refusal(msgspec.Struct):
    reason: str = "other"


def run(bench: LoadBench) -> dict[str, Any]:
    """Find the capacity, then drive both sides through the phases; figures of each phase and side."""
    os.sched_setaffinity(0, {SENDER_CORE})
    rng = np.random.default_rng(bench.seed)
    if not bench.synthetic_items:
        return _drive(bench, real_traffic(bench.source, max_history=MAX_HISTORY, rng=rng), rng)
    from benchmarks.synthetic_models import SyntheticModels, write_synthetic_models

    with tempfile.TemporaryDirectory() as folder:
        models_dir = Path(folder) / "models"
        size = SyntheticModels(n_items=bench.synthetic_items, seed=bench.seed)
        requests = [ask(history.tolist()) for history in write_synthetic_models(models_dir, size)]
        return _drive(
            replace(bench, models_dir=str(models_dir)), Traffic(requests, [NO_TARGET] * len(requests)), rng
        )


def _drive(bench: LoadBench, traffic: Traffic, rng: np.random.Generator) -> dict[str, Any]:
    capacity_per_s = _capacity(bench, traffic)
    phases = [Phase(share * capacity_per_s, bench.phase_s) for share in bench.phases]
    runs: dict[str, list[list[dict[str, Any]]]] = {side: [] for side in SIDES}
    recoveries: dict[str, list[float | None]] = {side: [] for side in SIDES}
    for _ in range(bench.rounds):
        arrivals_s = poisson(phases, rng)
        for side, settings in SIDES.items():
            with _server(bench, settings) as server:
                uvloop.run(_warm(server, traffic))
                sent = uvloop.run(
                    send("127.0.0.1", server.port, arrivals_s=arrivals_s, requests=traffic.requests)
                )
            runs[side].append(_by_phase(sent, traffic, bench))
            recoveries[side].append(_recovery_s(sent, bench))
    return {
        "capacity_per_s": round(capacity_per_s, 1),
        "sides": {
            side: {"phases": _merge(of_side), "recovery_s": recoveries[side]}
            for side, of_side in runs.items()
        },
        "goodput_at_overload_over_peak": {
            side: _over_peak(_merge(of_side), bench) for side, of_side in runs.items()
        },
    }


def _server(bench: LoadBench, settings: Mapping[str, str]) -> Any:
    state = tempfile.mkdtemp(prefix="recserve-load-")
    return serving(
        {
            "RECSERVE_MODELS_DIR": str(Path(bench.models_dir).resolve()),
            "RECSERVE_STATE_PATH": f"{state}/state.db",
            **settings,
        },
        core=SERVER_CORE,
        log=Path(state) / "server.log",
    )


def _capacity(bench: LoadBench, traffic: Traffic) -> float:
    """Answers a second of the best variant when `N_CLOSED` callers never rest; the median of three."""
    with _server(bench, SIDES["unlimited"]) as server:
        uvloop.run(_warm(server, traffic))
        return float(np.median([uvloop.run(_closed_loop(server, traffic, 3.0)) for _ in range(3)]))


async def _warm(server: Server, traffic: Traffic) -> None:
    await _closed_loop(server, traffic, 1.0)


async def _closed_loop(server: Server, traffic: Traffic, duration_s: float) -> float:
    """Answers a second."""
    found = await closed_loop(server.port, traffic.requests, n_callers=N_CLOSED, duration_s=duration_s)
    return found.per_s


def _by_phase(sent: Sent, traffic: Traffic, bench: LoadBench) -> list[dict[str, Any]]:
    phase_of = np.minimum(sent.scheduled_s // bench.phase_s, len(bench.phases) - 1)
    return [_figures(sent, traffic, np.flatnonzero(phase_of == i)) for i in range(len(bench.phases))]


def _figures(sent: Sent, traffic: Traffic, chosen: NDArray[np.int64]) -> dict[str, Any]:
    """Counts and latencies of the requests chosen."""
    admitted = chosen[sent.status[chosen] == 200]
    latency_s = sent.latency_s[admitted]
    variants: Counter[str] = Counter()
    gains = []
    for number in admitted.tolist():
        answer = msgspec.json.decode(sent.answers[number], type=_Answer)
        variants[answer.model.variant] += 1
        if (target := traffic.targets[number % len(traffic.targets)]) != NO_TARGET:
            gains.append(_ndcg(answer, target))
    refusals = Counter(
        msgspec.json.decode(answer, type=_Refusal).reason if (answer := sent.answers[number]) else "host"
        for number in chosen[sent.status[chosen] == 429].tolist()
    )
    return {
        "n": len(chosen),
        "n_admitted": len(admitted),
        "n_good": int((latency_s <= SLO_S).sum()),
        "n_refused": dict(refusals),
        "n_failed": int(np.isin(sent.status[chosen], (200, 429), invert=True).sum()),
        "variants": dict(variants),
        "latencies_ms": latency_s * 1e3,
        "late_ms": sent.late_s[chosen] * 1e3,
        "gains": gains,
    }


def _ndcg(answer: _Answer, target: str) -> float:
    """NDCG@10 with one relevant item: 1 / log2(1 + its place), 0 off the list."""
    for place, item in enumerate(answer.items, start=1):
        if str(item.id) == target:
            return float(1 / np.log2(1 + place))
    return 0.0


def _merge(rounds: list[list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """The rounds of a side as one: counts summed, latencies pooled."""
    return [_summary([of_round[i] for of_round in rounds]) for i in range(len(rounds[0]))]


def _summary(parts: list[dict[str, Any]]) -> dict[str, Any]:
    latencies_ms = np.concatenate([part["latencies_ms"] for part in parts])
    late_ms = np.concatenate([part["late_ms"] for part in parts])
    gains = [gain for part in parts for gain in part["gains"]]
    return {
        **{name: sum(part[name] for part in parts) for name in ("n", "n_admitted", "n_good", "n_failed")},
        "n_refused": dict(sum((Counter(part["n_refused"]) for part in parts), Counter[str]())),
        "variants": dict(sum((Counter(part["variants"]) for part in parts), Counter[str]())),
        "good_of_each_round": [part["n_good"] for part in parts],
        "admitted_ms": _quantiles(latencies_ms),
        "sender_late_ms": _quantiles(late_ms),
        "ndcg_10_of_answers": round(float(np.mean(gains)), 4) if gains else None,
    }


def _quantiles(values_ms: NDArray[np.float64]) -> dict[str, float | None]:
    values_ms = values_ms[np.isfinite(values_ms)]  # what never left has no lateness
    if not len(values_ms):
        return {"p50": None, "p99": None}
    p50, p99 = np.percentile(values_ms, [50, 99])
    return {"p50": round(float(p50), 3), "p99": round(float(p99), 3)}


def _over_peak(phases: list[dict[str, Any]], bench: LoadBench) -> float:
    """Goodput of the heaviest phase over the best of any phase."""
    good = [phase["n_good"] for phase in phases]
    return float(round(good[int(np.argmax(bench.phases))] / max(good), 4))


def _recovery_s(sent: Sent, bench: LoadBench) -> float | None:
    """Seconds from the end of the heaviest phase until goodput is back; None if it never is."""
    ended_s = (int(np.argmax(bench.phases)) + 1) * bench.phase_s
    is_good = (sent.status == 200) & (sent.latency_s <= SLO_S)
    for start_s in np.arange(ended_s, sent.scheduled_s[-1] - WINDOW_S, 0.05).tolist():
        inside = (sent.scheduled_s >= start_s) & (sent.scheduled_s < start_s + WINDOW_S)
        if is_good[inside].mean() >= RECOVERED:
            return float(round(start_s - ended_s, 2))
    return None


def format_table(figures: dict[str, Any], bench: LoadBench) -> str:
    """The figures of both sides, a line for each phase."""
    lines = [f"capacity {figures['capacity_per_s']:.0f} answers a second"]
    for side, of_side in figures["sides"].items():
        over_peak = figures["goodput_at_overload_over_peak"][side]
        lines.append(
            f"{side}: goodput at overload {over_peak:.1%} of peak, recovery {of_side['recovery_s']} s"
        )
        for share, phase in zip(bench.phases, of_side["phases"], strict=True):
            seconds = bench.phase_s * bench.rounds
            lines.append(
                f"  {share:>4} x  offered {phase['n'] / seconds:7.0f}/s  good {phase['n_good'] / seconds:7.0f}/s  "
                f"admitted p50 {phase['admitted_ms']['p50']} p99 {phase['admitted_ms']['p99']} ms  "
                f"{phase['variants']}  refused {phase['n_refused']}  failed {phase['n_failed']}  "
                f"NDCG@10 {phase['ndcg_10_of_answers']}  sender late p99 {phase['sender_late_ms']['p99']} ms"
            )
    return "\n".join(lines)
