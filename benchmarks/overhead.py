"""What the service adds to the bare model run: `service.recommend` against `session.run`, interleaved.

All sides score the same history with the same loaded session, in one process and one event loop, in
turns, so that a noisy machine is noisy for all.
"""

import asyncio
import tempfile
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from time import perf_counter
from typing import Any

from benchmarks.results import percentiles
from recserve.bootstrap import build_service
from recserve.inference.batcher import MicroBatcher, pad
from recserve.schemas import RecommendRequest
from recserve.settings import read_settings
from recserve.telemetry import names
from recserve.telemetry.timeline import Timeline

HISTORY_LENGTH = 50
"As long as the models read: the longest run, and the usual one of an active user."
N_BURN_IN = 200


async def measure_overhead(n: int) -> dict[str, Any]:
    """Latencies in ms of the bare run, the service, and the service with every run on a thread."""
    with tempfile.TemporaryDirectory() as state_dir:
        service = build_service(
            read_settings({"RECSERVE_STATE_PATH": f"{state_dir}/state.db"}), Timeline("start")
        )
        history = service.models.catalogue.columns.ids[:HISTORY_LENGTH]
        request = RecommendRequest(history=history, k=10)
        session = next(iter(service.models.sessions.values()))
        numbers = pad([service.models.catalogue.known_numbers(history)])
        inline = service.batchers
        with ThreadPoolExecutor(1) as executor:
            threaded = {
                name: MicroBatcher(s.recommend, executor, max_size=32, max_inline_s=0.0)
                for name, s in service.models.sessions.items()
            }
            sides: dict[str, list[float]] = {"session_run": [], "service_recommend": [], "on_a_thread": []}
            for i in range(N_BURN_IN + n):
                stamps_s = [perf_counter()]
                session.recommend(numbers, numbers, request.k)
                stamps_s.append(perf_counter())
                for batchers in (inline, threaded):
                    service.batchers = batchers
                    await service.recommend(request, Timeline(names.RECOMMEND))
                    stamps_s.append(perf_counter())
                if i >= N_BURN_IN:
                    for latencies_ms, (start_s, end_s) in zip(
                        sides.values(), pairwise(stamps_s), strict=True
                    ):
                        latencies_ms.append((end_s - start_s) * 1e3)
        await service.users.close()
    bare_ms = sides["session_run"]
    return {
        **{side: percentiles(latencies_ms) for side, latencies_ms in sides.items()},
        "overhead": percentiles(
            [ours - bare for ours, bare in zip(sides["service_recommend"], bare_ms, strict=True)]
        ),
        "overhead_on_a_thread": percentiles(
            [ours - bare for ours, bare in zip(sides["on_a_thread"], bare_ms, strict=True)]
        ),
        "variant": session.name,
    }


def run(n: int) -> dict[str, Any]:
    try:
        import uvloop
    except ImportError:
        return asyncio.run(measure_overhead(n))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(measure_overhead(n))
