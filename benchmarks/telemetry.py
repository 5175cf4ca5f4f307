"""What telemetry costs a request: on, sampled and unsampled apart, against off; in turns, in one process.

A request is what the host calls: `http_io.respond` with a body to read, the way through the service, the
answer encoded and the timeline handed over. Exporters run beside it against a server on this machine, as
they do in production against a distant one. A sampled request has its timeline made into spans, an
unsampled one into metrics alone; what that costs is paid on another thread, and the hot path sees it only
as competition for the interpreter.
"""

import asyncio
import json
import statistics
import tempfile
import time
from pathlib import Path
from random import Random
from time import perf_counter
from typing import Any

import azure.functions as func

from benchmarks.ingestion import Ingestion, ingesting
from benchmarks.results import percentiles
from recserve.admission.terms import Terms
from recserve.http_io import read_json, respond
from recserve.schemas import RecommendRequest
from recserve.settings import read_settings
from recserve.startup import Startup
from recserve.telemetry.contention import ContentionSampler, cgroup_sources, process_sources
from recserve.telemetry.export import Telemetry
from recserve.telemetry.timeline import Timeline

N_BURN_IN = 300
PACE_S = 2e-3
"Between rounds: a process that is never idle would measure the queue for the interpreter alone."

SIDES = {"off": "", "unsampled": "0", "sampled": "1"}
"Trace rate of each side."


def run(n: int) -> dict[str, Any]:
    """Latencies of each side, and what a second of the contention sampler costs."""
    with tempfile.TemporaryDirectory(prefix="recserve-telemetry-") as folder, ingesting() as ingestion:
        figures = asyncio.run(_measure(n, Path(folder), ingestion))
    return figures | {"sampler": _sampler_cost()}


async def _measure(n: int, folder: Path, ingestion: Ingestion) -> dict[str, Any]:
    startup = Startup({"RECSERVE_STATE_PATH": str(folder / "state.db")})
    telemetries = {side: _telemetry(folder, ingestion, rate) for side, rate in SIDES.items() if rate}
    await startup.service()
    body = json.dumps({"history": [260, 1196, 1210], "k": 10}).encode()
    request = func.HttpRequest(
        method="POST", url="http://localhost/api", headers={"content-type": "application/json"}, body=body
    )

    async def ask(side: str) -> float:
        # The same service on all sides: two would differ by more than what is measured.
        vars(startup)["record"] = telemetries[side].record if side in telemetries else _forget
        started_s = perf_counter()
        response = await respond(
            startup,
            "recommend",
            lambda s, timeline: s.recommend(read_json(request, RecommendRequest), Terms(), timeline),
            request,
        )
        took_s = perf_counter() - started_s
        if response.status_code != 200:
            raise RuntimeError(f"answered {response.status_code}")
        return took_s

    latencies_ms: dict[str, list[float]] = {side: [] for side in SIDES}
    order = list(SIDES)
    rng = Random(0)
    for i in range(N_BURN_IN + n):
        rng.shuffle(order)  # whoever comes first in a round meets cold caches
        for side in order:
            took_s = await ask(side)
            if i >= N_BURN_IN:
                latencies_ms[side].append(took_s * 1e3)
        await asyncio.sleep(PACE_S)
    for telemetry in telemetries.values():
        await asyncio.to_thread(telemetry.close)
    median_ms = {side: statistics.median(of_side) for side, of_side in latencies_ms.items()}
    extra = {
        f"{side}_over_off_us": round((median_ms[side] - median_ms["off"]) * 1e3, 2)
        for side in ("unsampled", "sampled")
    }
    n_spans = len(ingestion.spans("request"))
    return {
        **{side: percentiles(of_side) for side, of_side in latencies_ms.items()},
        **extra,
        "n_spans": n_spans,
    }


def _telemetry(folder: Path, ingestion: Ingestion, rate: str) -> Telemetry:
    """What exports with this trace rate. OpenTelemetry's providers are those of the first."""
    settings = {
        "APPLICATIONINSIGHTS_CONNECTION_STRING": ingestion.connection_string,
        "RECSERVE_TRACE_RATE": rate,
        "RECSERVE_SPOOL_DIR": str(folder / "spool"),
    }
    telemetry = Telemetry(read_settings(settings))
    telemetry.attach()
    return telemetry


def _forget(_: Timeline) -> None:
    """Telemetry that is off."""


def _sampler_cost(n: int = 200) -> dict[str, float]:
    """Processor time of one sample, and the share of a core that one a second takes."""
    sampler = ContentionSampler(iter([*process_sources(), *cgroup_sources()]), perf_counter())
    began_s = time.thread_time()
    for _ in range(n):
        sampler.sample(perf_counter())
    cpu_s = (time.thread_time() - began_s) / n
    return {
        "n_sources": len(sampler.names),
        "cpu_us": round(cpu_s * 1e6, 1),
        "share_of_a_core": round(cpu_s, 6),
    }
