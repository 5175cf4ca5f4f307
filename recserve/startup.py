"""The start of a process.

The models, and ONNX Runtime with them, load on a thread of their own while the worker still indexes the
functions: the worker's start-up limit of 10 s covers imports, and a model that fails to load must show up
as a readiness answer, not as an app without functions.
"""

import asyncio
import logging
import os
import threading
from collections.abc import Mapping
from concurrent.futures import Future
from typing import TYPE_CHECKING

from recserve.bootstrap import build_service
from recserve.errors import NotReady, RecserveError, StartupFailed
from recserve.settings import read_settings
from recserve.telemetry.cold_start import ColdStart
from recserve.telemetry.export import Telemetry
from recserve.telemetry.timeline import Timeline

if TYPE_CHECKING:
    from recserve.service import RecommendationService

STARTUP_WAIT_S = 30.0
"Longest a request waits for a process that is still starting."

log = logging.getLogger(__name__)


class Startup:
    """A process that is starting, then ready or failed for good.

    Args:
        environ: where the settings are read from.
    """

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        self._environ = environ
        self._cold_start = ColdStart()
        self._cold_start.timeline.mark("interpreter")
        self._telemetry: Telemetry | None = None
        self._service: RecommendationService | None = None
        self._failure: BaseException | None = None
        self._ended: Future[None] = Future()
        threading.Thread(target=self._run, name="startup", daemon=True).start()

    def _run(self) -> None:
        try:
            settings = read_settings(self._environ)
            self._service = build_service(settings, self._cold_start.timeline, record=self.record)
            self._cold_start.is_ready = True
            self._telemetry = Telemetry(settings)
            self.record(self._cold_start.timeline)
        except BaseException as err:
            self._failure = err
            log.error("start-up failed: %s", err, exc_info=not isinstance(err, RecserveError))
        finally:
            self._ended.set_result(None)
        if self._telemetry is not None:
            self._telemetry.attach()
        if self._service is not None:
            self._service.attach()

    def meet(self) -> bool:
        """An invocation came in. True when it met a process that is not warm."""
        return self._cold_start.meet()

    async def service(self, *, wait_s: float = STARTUP_WAIT_S) -> "RecommendationService":
        """The service, once it is ready.

        Args:
            wait_s: how long to wait for a start that has not ended yet.

        Raises:
            NotReady: it did not get ready in time.
            StartupFailed: it never will; the message says why.
        """
        if not self._ended.done():
            await asyncio.wait([asyncio.wrap_future(self._ended)], timeout=wait_s)
        if self._failure is not None:
            raise StartupFailed(f"the process cannot serve: {self._failure}") from self._failure
        if self._service is None:
            raise NotReady("the process is still starting; try again shortly")
        return self._service

    async def warm_up(self) -> None:
        """Make the process warm before the first user comes; for the warmup trigger."""
        await (await self.service()).warm_up()
        self.meet()

    async def reload_models(self) -> None:
        """Look for another version of the models; for the timer trigger."""
        for registry in (await self.service()).lines.values():
            await registry.reload()

    def record(self, timeline: Timeline) -> None:
        """Hand a finished timeline to telemetry."""
        if self._telemetry is not None:
            self._telemetry.record(timeline)

    def close(self) -> None:
        """Send the telemetry that is still queued."""
        if self._telemetry is not None:
            self._telemetry.close()
