"""What the service adds to the bare model run: `service.recommend` against `session.run`, interleaved.

All sides score the same history with the same loaded session, in one process and one event loop, in
turns, so that a noisy machine is noisy for all.
"""

import asyncio
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from time import perf_counter
from typing import Any

from benchmarks.results import percentiles
from recserve.admission.terms import Terms
from recserve.bootstrap import build_service
from recserve.experiments import CURRENT
from recserve.inference.batcher import MicroBatcher, pad
from recserve.inference.registry import ServedModels
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
        models = service.models
        session = next(iter(models.sessions.values()))
        numbers = pad([service.models.catalogue.known_numbers(history)])
        with ThreadPoolExecutor(1) as executor:
            threaded = {
                name: MicroBatcher(s.recommend, executor, max_size=32, max_inline_s=0.0)
                for name, s in service.models.sessions.items()
            }

            async def bare() -> None:
                session.recommend(numbers, numbers, request.k)

            async def serve(batchers: Mapping[str, MicroBatcher]) -> None:
                registry.current = ServedModels.of(models, batchers)
                await service.recommend(request, Terms(), Timeline(names.RECOMMEND))

            sides: dict[str, Callable[[], Awaitable[None]]] = {
                "session_run": bare,
                "service_recommend": partial(serve, models.batchers),
                "on_a_thread": partial(serve, threaded),
            }
            registry = service.lines[CURRENT]
            order = list(sides)
            latencies_ms: dict[str, list[float]] = {side: [] for side in sides}
            for i in range(N_BURN_IN + n):
                order.append(order.pop(0))  # no side always follows the same other
                for side in order:
                    started_s = perf_counter()
                    await sides[side]()
                    if i >= N_BURN_IN:
                        latencies_ms[side].append((perf_counter() - started_s) * 1e3)
        await service.users.store.close()
    return {
        **{side: percentiles(of_side) for side, of_side in latencies_ms.items()},
        "overhead": percentiles(_differences(latencies_ms, "service_recommend")),
        "overhead_on_a_thread": percentiles(_differences(latencies_ms, "on_a_thread")),
        "variant": session.name,
    }


def _differences(latencies_ms: Mapping[str, list[float]], side: str) -> list[float]:
    """What a side took more than the bare run of the same round."""
    return [ours - bare for ours, bare in zip(latencies_ms[side], latencies_ms["session_run"], strict=True)]


def run(n: int) -> dict[str, Any]:
    try:
        import uvloop
    except ImportError:
        return asyncio.run(measure_overhead(n))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(measure_overhead(n))
