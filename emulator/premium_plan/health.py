"""What the platform sees of an instance from outside: when it can serve, and when it no longer does."""

import asyncio
import time
from contextlib import suppress

from emulator.premium_plan.errors import InstanceFailed
from emulator.premium_plan.isolation import GIB, resident_bytes
from emulator.premium_plan.probes import NoAnswer, accepts, ask, detail_of
from emulator.premium_plan.settings import PlanSettings

POLL_S = 0.02
PING = "/admin/host/ping"
WARMUP = "/admin/warmup"
FAILED_FOR_GOOD = "Start-up failed"
"Title of the problem with which an app says that it will never be ready."
NEVER_READY = "will never be ready: "
"Begins the reason of an instance whose app says so, and why."


async def until_ready(port: int, settings: PlanSettings, *, fires_warmup: bool) -> None:
    """Return when an instance can serve.

    Args:
        fires_warmup: scaling has added it, so the platform fires the warmup trigger before anything else.

    Raises:
        InstanceFailed: it is not ready in time, or says that it never will be.
    """
    deadline_s = time.monotonic() + settings.start_timeout_s
    said = "nothing listens on its port"
    try:
        async with asyncio.timeout(settings.start_timeout_s):
            while not await accepts(port):  # noqa: ASYNC110 - only the other process knows
                await asyncio.sleep(POLL_S)
            if fires_warmup:
                said = f"{WARMUP} does not answer"
                with suppress(NoAnswer):
                    await ask(port, WARMUP, method="POST", timeout_s=deadline_s - time.monotonic())
            while True:
                said = f"{settings.ready_path} does not answer"
                with suppress(NoAnswer):
                    status, body = await ask(port, settings.ready_path, timeout_s=settings.probe_timeout_s)
                    if status in (200, 404):  # an app without the check is ready once its host is
                        return
                    title, detail = detail_of(body)
                    if title == FAILED_FOR_GOOD:
                        raise InstanceFailed(f"{NEVER_READY}{detail}")
                    said = f"{settings.ready_path} answers {status} {detail or title}".rstrip()
                await asyncio.sleep(POLL_S)
    except TimeoutError as err:
        raise InstanceFailed(f"is not ready after {settings.start_timeout_s:g} s: {said}") from err


async def until_unhealthy(port: int, pid: int, settings: PlanSettings, *, memory_limit_bytes: int) -> str:
    """Return when a ready instance has to be replaced, with what is wrong with it."""
    n_failed = 0
    while n_failed < settings.n_failed_probes:
        await asyncio.sleep(settings.probe_every_s)
        held_bytes = resident_bytes(pid)
        if held_bytes > memory_limit_bytes:
            return (
                f"holds {held_bytes / GIB:.2f} GiB of memory and may hold {memory_limit_bytes / GIB:.2f} GiB"
            )
        try:
            await ask(port, PING, timeout_s=settings.probe_timeout_s)
            n_failed = 0
        except NoAnswer:
            n_failed += 1
    return f"does not answer: {n_failed} probes failed in a row"
