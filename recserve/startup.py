"""The start of a process.

The models, and ONNX Runtime with them, load on a thread of their own while the worker still indexes the
functions: the worker's start-up limit of 10 s covers imports, and a model that fails to load must show up
as a readiness answer, not as an app without functions.
"""

import asyncio
import gc
import logging
import os
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import TYPE_CHECKING

from recserve.errors import NotReady, RecserveError, StartupFailed
from recserve.telemetry import names
from recserve.telemetry.cold_start import ColdStart, import_packages
from recserve.telemetry.timeline import Timeline

if TYPE_CHECKING:
    from recserve.service import RecommendationService
    from recserve.settings import Settings
    from recserve.telemetry.export import Telemetry

STARTUP_WAIT_S = 30.0
"Longest a request waits for a process that is still starting."

IMPORT_WAIT_S = 2.0
"Longest the import of the app waits for that of what the models need."

PACKAGES = (
    "numpy",
    "onnxruntime",
    "recserve.service",
    "recserve.inference.loading",
    "recserve.state.sqlite",
    "recserve.state.cache",
)
"What a service is built from, in this order."

log = logging.getLogger(__name__)


class Startup:
    """A process that is starting, then ready or failed for good.

    Args:
        environ: where the settings are read from.
        cold_start: what is known of the start so far.

    Attributes:
        imported: what the models need is imported, or the start has failed.
    """

    def __init__(
        self, environ: Mapping[str, str] = os.environ, *, cold_start: ColdStart | None = None
    ) -> None:
        self._environ = environ
        self._cold_start = cold_start or ColdStart()
        self._telemetry: Telemetry | None = None
        self._service: RecommendationService | None = None
        self._failure: BaseException | None = None
        self._ended: Future[None] = Future()
        self.imported = threading.Event()
        threading.Thread(target=self._run, name="startup", daemon=True).start()

    def _run(self) -> None:
        readings: Mapping[str, Callable[[], float]] = {}
        try:
            settings = self._read_settings()
            self._service = service = self._build(settings)
            readings = _readings(service, settings)
            self._cold_start.models_version = service.models.manifest.version
            self._cold_start.become_ready()
        except BaseException as err:
            self._failure = err
            self._cold_start.fail()
            log.error("start-up failed: %s", err, exc_info=not isinstance(err, RecserveError))
        finally:
            self.imported.set()
            self._ended.set_result(None)
            gc.enable()
        if self._telemetry is not None:
            self._telemetry.attach(readings)
        if self._service is not None:
            self._service.attach()
        gc.freeze()  # what is here now stays: later collections need not look at it

    def _read_settings(self) -> "Settings":
        self._cold_start.begin_building()
        import_packages(self._cold_start.building, "msgspec")
        from recserve.settings import read_settings
        from recserve.telemetry.export import Telemetry

        settings = read_settings(self._environ)
        self._telemetry = Telemetry(settings, self._cold_start)
        self._cold_start.building.mark("settings")
        return settings

    def _build(self, settings: "Settings") -> "RecommendationService":
        import_packages(self._cold_start.building, *PACKAGES)
        self.imported.set()
        from recserve.bootstrap import build_service

        return build_service(
            settings, self._cold_start.building, self._cold_start.loading, record=self.record
        )

    def meet(self, timeline: Timeline) -> None:
        """A request came in: is the process warm, and does the request have to wait for it?"""
        timeline.is_impacted = self._cold_start.is_under_way
        timeline.is_cold = self._cold_start.meet()

    async def service(self, *, wait_s: float = STARTUP_WAIT_S) -> "RecommendationService":
        """The service, once it is ready.

        Args:
            wait_s: how long to wait for a start that has not ended yet.

        Raises:
            NotReady: it did not get ready in time.
            StartupFailed: it never will; the message says why.
        """
        if self._telemetry is not None:
            self._telemetry.watch(asyncio.get_running_loop())
        if not self._ended.done():
            await asyncio.wait([asyncio.wrap_future(self._ended)], timeout=wait_s)
        if self._failure is not None:
            raise StartupFailed(f"the process cannot serve: {self._failure}") from self._failure
        if self._service is None:
            raise NotReady("the process is still starting; try again shortly")
        return self._service

    async def warm_up(self) -> None:
        """Make the process warm before the first user comes; for the warmup trigger."""
        self._cold_start.meet("warmup")
        await (await self.service()).warm_up()
        self._cold_start.become_warm()

    async def reload_models(self) -> None:
        """Look for another version of the models; for the timer trigger."""
        self._cold_start.meet("timer")
        for registry in (await self.service()).lines.values():
            await registry.reload()

    def record(self, timeline: Timeline) -> None:
        """Hand a finished timeline to telemetry."""
        if self._telemetry is not None:
            self._telemetry.record(timeline)

    def close(self, *, wait_s: float = 10.0) -> None:
        """Send the telemetry that is still queued; wait so long at most."""
        if self._telemetry is not None:
            self._telemetry.close(wait_s=wait_s)


def _readings(service: "RecommendationService", settings: "Settings") -> dict[str, Callable[[], float]]:
    """What the contention sampler asks of the service: numbers that any thread may read."""

    def queue_length() -> float:
        batchers = [batcher for line in service.lines.values() for batcher in line.current.batchers.values()]
        return sum(batcher.n_waiting for batcher in batchers)

    return {
        names.IN_FLIGHT_NOW: lambda: service.limiter.in_flight,
        names.LIMIT_NOW: lambda: service.limiter.limit.value,
        names.QUEUE_LENGTH: queue_length,
        names.SHED_SHARE: lambda: service.limiter.shed_share,
        names.INFERENCE_THREADS: lambda: settings.recserve_inference_threads,
    }
