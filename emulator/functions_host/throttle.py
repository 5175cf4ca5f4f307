"""host.json's limits on HTTP: how many requests run, and how many may wait.

The host's `HttpRequestQueue` is a bounded block: outstanding requests are those that run and those that
wait, and one more is refused with 429. Both limits are off by default on the Premium plan.
"""

import asyncio
from types import TracebackType

from emulator.functions_host.settings import UNLIMITED, HttpOptions


class RequestQueue:
    """Admits requests; `async with` holds the place of an admitted one while it waits and runs."""

    def __init__(self, options: HttpOptions) -> None:
        self.is_enabled = (options.max_outstanding_requests, options.max_concurrent_requests) != (
            UNLIMITED,
            UNLIMITED,
        )
        self._max_outstanding = options.max_outstanding_requests
        self._n_outstanding = 0
        n_concurrent = options.max_concurrent_requests
        self._slots = None if n_concurrent == UNLIMITED else asyncio.Semaphore(n_concurrent)

    @property
    def is_full(self) -> bool:
        return self._n_outstanding == self._max_outstanding

    async def __aenter__(self) -> None:
        self._n_outstanding += 1
        if self._slots is not None:
            try:
                await self._slots.acquire()
            except BaseException:
                self._n_outstanding -= 1
                raise

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._slots is not None:
            self._slots.release()
        self._n_outstanding -= 1
