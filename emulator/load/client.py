"""The sender: one process, many kept-alive HTTP/1.1 connections, nothing between socket and stamp.

A closed loop waits for an answer before it asks again, and so is kindest to a server when that is
slowest ("coordinated omission"). This one never waits: a request whose time has come takes an idle
connection or opens one, and its latency counts from the scheduled instant, so time that a late sender
lost is not hidden either; how late it was is part of the result.
"""

import asyncio
import contextlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import cast

import numpy as np
from numpy.typing import NDArray

NO_ANSWER = 0
"Status of a request whose connection failed or that was given up."


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """What became of every request, in the order of the schedule. All arrays are (n_requests,)."""

    started_s: float
    "The start of the load, on the clock of `perf_counter`."
    scheduled_s: NDArray[np.float64]
    "From the start of the load."
    late_s: NDArray[np.float64]
    "How much later than scheduled the request was written; the sender's own fault."
    latency_s: NDArray[np.float64]
    "From the scheduled instant to the last byte of the answer; inf without one."
    status: NDArray[np.int64]
    "HTTP status, or `NO_ANSWER`."
    answers: list[bytes]
    "Bodies, empty where none came."
    n_connections: int


@dataclass(slots=True)
class _Load:
    """The state that connections share while a load runs."""

    host: str
    port: int
    started_s: float
    sent_s: list[float]
    "From the start; inf until it is."
    ended_s: list[float]
    status: list[int]
    answers: list[bytes]
    n_open: int = 0
    "Requests without an outcome yet."
    all_ended: asyncio.Event = field(default_factory=asyncio.Event)
    n_connections: int = 0
    idle: list["_Connection"] = field(default_factory=list)

    def end(self, number: int, status: int, answer: bytes) -> None:
        if self.ended_s[number] < math.inf:
            return
        self.ended_s[number] = perf_counter() - self.started_s
        self.status[number] = status
        self.answers[number] = answer
        self.n_open -= 1
        if not self.n_open:
            self.all_ended.set()


class _Connection(asyncio.Protocol):
    """One kept-alive connection with at most one request on its way."""

    def __init__(self, load: _Load) -> None:
        self._load = load
        self._transport: asyncio.Transport | None = None
        self._received = bytearray()
        self._number = -1
        "The request on its way; -1 when idle."

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def send(self, number: int, request: bytes) -> None:
        assert self._transport is not None
        self._number = number
        self._load.sent_s[number] = perf_counter() - self._load.started_s
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._received += data
        head_end = self._received.find(b"\r\n\r\n")
        if head_end < 0 or self._number < 0:
            return
        head = bytes(self._received[:head_end]).lower()
        _, found, length = head.partition(b"\r\ncontent-length:")
        end = head_end + 4 + (int(length.split(b"\r\n", 1)[0]) if found else 0)
        if len(self._received) < end:
            return
        answer = bytes(self._received[head_end + 4 : end])
        del self._received[:end]
        number, self._number = self._number, -1
        self._load.end(number, int(head[9:12]), answer)
        if b"\r\nconnection: close" not in head:
            self._load.idle.append(self)

    def connection_lost(self, error: Exception | None) -> None:
        if self in self._load.idle:
            self._load.idle.remove(self)
        if self._number >= 0:
            self._load.end(self._number, NO_ANSWER, b"")

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()


async def send(
    host: str,
    port: int,
    *,
    arrivals_s: NDArray[np.float64],
    requests: Sequence[bytes],
    patience_s: float = 5.0,
) -> Sent:
    """Send every request at its instant and wait for the answers.

    The loop spins between arrivals: timers of event loops tick in milliseconds, which is longer than
    many answers take. It needs a core of its own.

    Args:
        host: whom to ask.
        port: its TCP port.
        arrivals_s: seconds from the start, ascending, (n_requests,).
        requests: whole HTTP/1.1 requests, taken in turn and from the beginning again when they run out.
        patience_s: how long to wait for answers after the last request has left.
    """
    n = len(arrivals_s)
    load = _Load(host, port, perf_counter() + 0.1, [math.inf] * n, [math.inf] * n, [NO_ANSWER] * n, [b""] * n)
    load.n_open = n
    opening: set[asyncio.Task[None]] = set()
    for number, at_s in enumerate(arrivals_s.tolist()):
        while (wait_s := at_s - (perf_counter() - load.started_s)) > 0:  # noqa: ASYNC110 - see above
            await asyncio.sleep(wait_s - 0.003 if wait_s > 0.005 else 0)
        request = requests[number % len(requests)]
        if load.idle:
            load.idle.pop().send(number, request)
        else:
            task = asyncio.ensure_future(_send_on_new(load, number, request))
            opening.add(task)
            task.add_done_callback(opening.discard)
        if number % 16 == 15:
            await asyncio.sleep(0)
    with contextlib.suppress(TimeoutError):
        if load.n_open:
            await asyncio.wait_for(load.all_ended.wait(), patience_s)
    for task in opening:
        task.cancel()
    for connection in load.idle:
        connection.close()
    return Sent(
        started_s=load.started_s,
        scheduled_s=arrivals_s,
        late_s=np.array(load.sent_s) - arrivals_s,
        latency_s=np.array(load.ended_s) - arrivals_s,
        status=np.array(load.status),
        answers=load.answers,
        n_connections=load.n_connections,
    )


async def _send_on_new(load: _Load, number: int, request: bytes) -> None:
    load.n_connections += 1
    try:
        _, connection = await asyncio.get_running_loop().create_connection(
            lambda: _Connection(load), load.host, load.port
        )
    except OSError:
        load.end(number, NO_ANSWER, b"")
        return
    connection.send(number, request)


def http_request(
    method: str, path: str, *, host: str, body: bytes = b"", headers: Mapping[str, str] | None = None
) -> bytes:
    """A whole HTTP/1.1 request, ready for the wire."""
    lines = [f"{method} {path} HTTP/1.1", f"host: {host}", f"content-length: {len(body)}"]
    if body:
        lines.append("content-type: application/json")
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body
