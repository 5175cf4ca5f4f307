"""What the platform sees of an instance, asked of servers on real sockets."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from emulator.premium_plan.errors import InstanceFailed
from emulator.premium_plan.health import until_ready, until_unhealthy
from emulator.premium_plan.instances import free_port
from emulator.premium_plan.settings import PlanSettings
from planner.plans import SKUS, PremiumPlan

Answer = Callable[[str], tuple[int, object] | None]


def settings(**values: float) -> PlanSettings:
    times = {"start_timeout_s": 0.5, "probe_timeout_s": 0.2, "probe_every_s": 0.01} | values
    return PlanSettings(
        plan=PremiumPlan(sku=SKUS["EP1"]),
        script_root=Path(),
        data=Path(),
        **times,  # type: ignore[arg-type]
    )


@asynccontextmanager
async def server(answer: Answer) -> AsyncIterator[tuple[int, list[str]]]:
    """Port of a server, and what it was asked; None leaves a request without an answer."""
    asked: list[str] = []

    async def respond(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            asked.append(" ".join(head.split(" ", 2)[:2]))
            if answered := answer(asked[-1]):
                body = json.dumps(answered[1]).encode()
                writer.write(f"HTTP/1.1 {answered[0]} -\r\n\r\n".encode() + body)
            else:
                await reader.read()
        except EOFError:
            pass  # a look whether anything listens
        finally:
            writer.close()

    listening = await asyncio.start_server(respond, "127.0.0.1", 0)
    async with listening:
        yield listening.sockets[0].getsockname()[1], asked


async def test_scaling_fires_warmup_before_anything_else() -> None:
    async with server(lambda _: (200, {})) as (port, asked):
        await until_ready(port, settings(), fires_warmup=True)

    assert asked == ["POST /admin/warmup", "GET /api/health/ready"]


async def test_restart_fires_no_warmup() -> None:
    async with server(lambda _: (200, {})) as (port, asked):
        await until_ready(port, settings(), fires_warmup=False)

    assert asked == ["GET /api/health/ready"]


async def test_readiness_is_awaited() -> None:
    answers = iter([(503, {"title": "Not ready", "detail": "loading"})] * 3 + [(200, {})])
    async with server(lambda _: next(answers)) as (port, asked):
        await until_ready(port, settings(start_timeout_s=10), fires_warmup=False)

    assert len(asked) == 4


async def test_start_that_takes_too_long_says_what_it_was_waiting_for() -> None:
    problem = {"title": "Not ready", "detail": "still loading"}
    async with server(lambda _: (503, problem)) as (port, _):
        with pytest.raises(
            InstanceFailed, match=r"not ready after 0.5 s: /api/health/ready answers 503 still"
        ):
            await until_ready(port, settings(), fires_warmup=False)
    with pytest.raises(InstanceFailed, match="nothing listens on its port"):
        await until_ready(free_port(), settings(), fires_warmup=False)


async def test_failure_for_good_is_not_waited_for() -> None:
    problem = {"title": "Start-up failed", "detail": "no models"}
    async with server(lambda _: (503, problem)) as (port, asked):
        with pytest.raises(InstanceFailed, match="will never be ready: no models"):
            await until_ready(port, settings(start_timeout_s=60), fires_warmup=False)

    assert len(asked) == 1


async def test_instance_is_unhealthy_after_probes_without_an_answer_in_a_row() -> None:
    silent = {2, 3, 5, 6, 7}
    n_asked = 0

    def answer(_: str) -> tuple[int, object] | None:
        nonlocal n_asked
        n_asked += 1
        return None if n_asked in silent else (200, {})

    async with server(answer) as (port, asked):
        problem = await until_unhealthy(port, os.getpid(), settings(), memory_limit_bytes=2**50)

    assert problem == "does not answer: 3 probes failed in a row"
    assert asked == ["GET /admin/host/ping"] * 7


async def test_instance_with_too_much_memory_is_unhealthy() -> None:
    problem = await until_unhealthy(free_port(), os.getpid(), settings(), memory_limit_bytes=2**20)

    assert problem.startswith("holds ")
    assert problem.endswith("GiB of memory and may hold 0.00 GiB")
