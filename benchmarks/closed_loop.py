"""A closed loop: callers that ask again as soon as they are answered. It finds capacity, and no latency."""

import asyncio
from collections.abc import Sequence
from itertools import count
from typing import NamedTuple


class Throughput(NamedTuple):
    per_s: float
    "Answers with status 200, a second."
    n_failed: int
    "Answers with another status."


async def closed_loop(
    port: int, requests: Sequence[bytes], *, n_callers: int, duration_s: float, burn_in_s: float = 0.0
) -> Throughput:
    """Ask a server of this machine as fast as it answers.

    Args:
        port: its TCP port.
        requests: whole HTTP/1.1 requests, taken in turn by whichever caller is free.
        n_callers: connections, each with one request on its way.
        duration_s: for which answers count.
        burn_in_s: before which they do not.
    """
    loop = asyncio.get_running_loop()
    begins_s = loop.time() + burn_in_s
    ends_s, numbers = begins_s + duration_s, count()
    n_answers = n_failed = 0

    async def caller() -> None:
        nonlocal n_answers, n_failed
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            while loop.time() < ends_s:
                writer.write(requests[next(numbers) % len(requests)])
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
                await reader.readexactly(length)
                if begins_s <= loop.time() < ends_s:
                    is_answer = head[9:12] == b"200"
                    n_answers += is_answer
                    n_failed += not is_answer
        finally:
            writer.close()

    await asyncio.gather(*(caller() for _ in range(n_callers)))
    return Throughput(n_answers / duration_s, n_failed)
