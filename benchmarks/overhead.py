"""What the service adds to the bare model run: `service.recommend` against `session.run`, interleaved.

Both sides score the same history with the same loaded session, in one process and one event loop, in
turns, so that a noisy machine is noisy for both.
"""

import asyncio
import tempfile
from pathlib import Path
from time import perf_counter
from typing import Any

from benchmarks.results import percentiles
from recserve.bootstrap import build_service
from recserve.inference.batcher import pad
from recserve.schemas import RecommendRequest
from recserve.settings import read_settings
from recserve.telemetry import names
from recserve.telemetry.cold_start import ColdStart
from recserve.telemetry.timeline import Timeline

HISTORY_LENGTH = 50
"As long as the models read: the longest run, and the usual one of an active user."
N_BURN_IN = 200


async def measure_overhead(n: int) -> dict[str, Any]:
    """Latencies of both sides in ms, and the median of their pairwise differences."""
    with tempfile.TemporaryDirectory() as state_dir:
        state_path = str(Path(state_dir) / "state.db")
        service = build_service(read_settings({"RECSERVE_STATE_PATH": state_path}), ColdStart())
        history = service.models.catalogue.columns.ids[:HISTORY_LENGTH]
        request = RecommendRequest(history=history, k=10)
        session = next(iter(service.models.sessions.values()))
        array = pad([service.models.catalogue.known_numbers(history)])
        bare_ms, service_ms = [], []
        for i in range(N_BURN_IN + n):
            started_s = perf_counter()
            session.score(array)
            between_s = perf_counter()
            await service.recommend(request, Timeline(names.RECOMMEND))
            ended_s = perf_counter()
            if i >= N_BURN_IN:
                bare_ms.append((between_s - started_s) * 1e3)
                service_ms.append((ended_s - between_s) * 1e3)
        await service.users.close()
    differences_ms = [service - bare for service, bare in zip(service_ms, bare_ms, strict=True)]
    return {
        "session_run": percentiles(bare_ms),
        "service_recommend": percentiles(service_ms),
        "overhead": percentiles(differences_ms),
        "variant": session.name,
    }


def run(n: int) -> dict[str, Any]:
    try:
        import uvloop
    except ImportError:
        return asyncio.run(measure_overhead(n))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(measure_overhead(n))
