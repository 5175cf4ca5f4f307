"""The sender: one process, many kept-alive HTTP/1.1 connections, nothing between socket and stamp.

A closed loop waits for an answer before it asks again, and so is kindest to a server when that is
slowest ("coordinated omission"). This one never waits: a request whose time has come takes an idle
connection or opens one, and its latency counts from the scheduled instant, so time that a late sender
lost is not hidden either; how late it was is part of the result.

The schedule says when requests leave. What is in them is asked of the workload at that very instant, and
so may depend on the answers that came until then.
"""

import asyncio
import contextlib
import errno
import math
import resource
import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import NamedTuple, Protocol, cast

import httptools
import numpy as np
from numpy.typing import NDArray

from emulator.load.alarm import Alarm, make_alarm

NO_ANSWER = 0
"Status of a request whose connection failed or that was given up."
HEAD_START_S = 0.1
IDLE_LIMIT_S = 2.0
"A connection idle for longer is not used again: servers close such, some in the moment of the next request."
SENT_AT_ONCE = 16
"So many late requests leave before the loop looks at answers again."
OUT_OF_SOCKETS = frozenset({errno.EMFILE, errno.ENFILE, errno.EADDRNOTAVAIL, errno.ENOBUFS})


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """What became of every request, in the order of the schedule. All arrays are (n_requests,)."""

    started_s: float
    "The start of the load, on the clock of `perf_counter`."
    scheduled_s: NDArray[np.float64]
    "From the start of the load."
    late_s: NDArray[np.float64]
    "How much later than scheduled the sender took the request up, its own fault; inf for one it never did."
    latency_s: NDArray[np.float64]
    "From the scheduled instant to the last byte of the answer; inf without one."
    status: NDArray[np.int64]
    "HTTP status, or `NO_ANSWER`."
    answers: list[bytes]
    "Bodies, empty where none came."
    n_connections: int


class Outcome(NamedTuple):
    """What became of one request."""

    number: int
    "Its place in the schedule."
    status: int
    "HTTP status, or `NO_ANSWER`."
    latency_s: float
    "From the scheduled instant to the last byte of the answer, or until the request was lost or given up."
    headers: Mapping[bytes, bytes]
    "Names in lower case."
    body: bytes
    error: str = ""
    "Why there is no answer."


class Workload(Protocol):
    """What is asked, and who wants to know the answer."""

    def compose(self, number: int) -> bytes:
        """The whole HTTP/1.1 request that leaves in this instant as number `number` of the schedule."""

    def receive(self, outcome: Outcome) -> None:
        """What became of a request; called once for each that left."""


class OpenLoop:
    """Sends the requests of a workload at their instants. Needs a core of its own to be on time.

    Args:
        host: whom to ask; an address rather than a name, which would be resolved for each connection.
        port: its TCP port.
        arrivals_s: seconds from the start, ascending, (n_requests,).
        workload: composes requests and receives outcomes, on the event loop: both must be quick.
        patience_s: how long to wait for answers after the last request has left.
        timeout_s: how long to wait for any one answer.
        tls: speak HTTPS, with this server name.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        arrivals_s: NDArray[np.float64],
        workload: Workload,
        patience_s: float = 5.0,
        timeout_s: float = math.inf,
        tls: str | None = None,
    ) -> None:
        self._host, self._port, self._tls = host, port, tls
        self._context = ssl.create_default_context() if tls else None
        self._arrivals_s: list[float] = arrivals_s.tolist()
        self._workload = workload
        self._patience_s, self._timeout_s = patience_s, timeout_s
        self._in_flight: dict[int, _Connection | asyncio.Task[None]] = {}
        self._idle: list[_Connection] = []
        self._alarm: Alarm | None = None
        self._all_left = asyncio.Event()
        self._all_ended = asyncio.Event()
        self.started_s = math.inf
        "On the clock of `perf_counter`."
        self.late_s = [math.inf] * len(self._arrivals_s)
        "How much later than scheduled each request was taken up."
        self.n_sent = 0
        "Requests that were taken up; they are the first of the schedule."
        self.n_connections = 0
        self.n_out_of_sockets = 0
        "Requests that this machine, not the server, had no connection for."

    @property
    def n_in_flight(self) -> int:
        return len(self._in_flight)

    async def run(self) -> None:
        """Send all, and wait until each has an outcome."""
        _allow_many_files()
        self._alarm = make_alarm(self._send_due)
        self.started_s = perf_counter() + HEAD_START_S
        watch = asyncio.ensure_future(self._watch_timeouts())
        try:
            if self._arrivals_s:
                self._alarm.set(self.started_s + self._arrivals_s[0])
                await self._all_left.wait()
            if self._in_flight:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._all_ended.wait(), self._patience_s)
            for number in list(self._in_flight):
                self._give_up(number, "no answer in time")
        finally:
            watch.cancel()
            self._alarm.close()
            for connection in self._idle:
                connection.close()

    def stop(self, *, patience_s: float) -> None:
        """Send nothing more, and wait this long for what is on its way."""
        self._arrivals_s = self._arrivals_s[: self.n_sent]
        self._all_left.set()
        asyncio.get_running_loop().call_later(patience_s if self._in_flight else 0, self._all_ended.set)

    def _send_due(self) -> None:
        """Send what is due, and set the alarm for the next."""
        assert self._alarm is not None
        for _ in range(SENT_AT_ONCE):
            if self.n_sent == len(self._arrivals_s):
                self._all_left.set()
                return
            due_s = self.started_s + self._arrivals_s[self.n_sent]
            late_s = perf_counter() - due_s
            if late_s < 0:
                break
            self.late_s[self.n_sent] = late_s
            self.n_sent += 1
            self._send(self.n_sent - 1)
        if self.n_sent < len(self._arrivals_s):
            self._alarm.set(self.started_s + self._arrivals_s[self.n_sent])
        else:
            self._all_left.set()

    def _send(self, number: int) -> None:
        request = self._workload.compose(number)
        if connection := self._take_idle():
            self._in_flight[number] = connection
            connection.send(number, request)
        else:
            self._in_flight[number] = asyncio.ensure_future(self._send_on_new(number, request))

    def _take_idle(self) -> "_Connection | None":
        """The connection that became idle last; if that was long ago, all others may go."""
        if self._idle and perf_counter() - self._idle[-1].idle_since_s < IDLE_LIMIT_S:
            return self._idle.pop()
        for connection in self._idle:
            connection.close()
        self._idle.clear()
        return None

    async def _send_on_new(self, number: int, request: bytes) -> None:
        self.n_connections += 1
        try:
            _, connection = await asyncio.get_running_loop().create_connection(
                lambda: _Connection(self._end, self._rest, self._forget),
                self._host,
                self._port,
                ssl=self._context,
                server_hostname=self._tls,
            )
        except OSError as err:
            self.n_out_of_sockets += err.errno in OUT_OF_SOCKETS
            self._end(number, NO_ANSWER, {}, b"", f"cannot connect: {_name(err)}")
            return
        self._in_flight[number] = connection
        connection.send(number, request)

    def _end(self, number: int, status: int, headers: Mapping[bytes, bytes], body: bytes, error: str) -> None:
        if self._in_flight.pop(number, None) is None:
            return
        latency_s = perf_counter() - self.started_s - self._arrivals_s[number]
        self._workload.receive(Outcome(number, status, latency_s, headers, body, error))
        if not self._in_flight and self._all_left.is_set():
            self._all_ended.set()

    def _rest(self, connection: "_Connection") -> None:
        self._idle.append(connection)

    def _forget(self, connection: "_Connection") -> None:
        if connection in self._idle:
            self._idle.remove(connection)

    def _give_up(self, number: int, error: str) -> None:
        held_by = self._in_flight[number]
        self._end(number, NO_ANSWER, {}, b"", error)
        if isinstance(held_by, asyncio.Task):
            held_by.cancel()
        else:
            held_by.close()

    async def _watch_timeouts(self) -> None:
        """Give up what is older than `timeout_s`; requests are in flight in the order of the schedule."""
        while True:
            await asyncio.sleep(min(self._timeout_s / 4, 0.5))
            given_up_s = perf_counter() - self.started_s - self._timeout_s
            for number in list(self._in_flight):
                if self._arrivals_s[number] > given_up_s:
                    break
                self._give_up(number, f"no answer within {self._timeout_s:g} s")


class _Connection(asyncio.Protocol):
    """One kept-alive connection with at most one request on its way."""

    def __init__(
        self,
        end: Callable[[int, int, Mapping[bytes, bytes], bytes, str], None],
        rest: Callable[["_Connection"], None],
        forget: Callable[["_Connection"], None],
    ) -> None:
        self._end, self._rest, self._forget = end, rest, forget
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._number = -1
        "The request on its way; -1 when idle."
        self._headers: dict[bytes, bytes] = {}
        self._pieces: list[bytes] = []
        self._has_head = False
        self.idle_since_s = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def send(self, number: int, request: bytes) -> None:
        assert self._transport is not None
        self._number = number
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as err:
            self._fail(f"no HTTP answer: {err}")
            self.close()

    def on_message_begin(self) -> None:
        self._headers, self._pieces, self._has_head = {}, [], False

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.lower()] = value

    def on_headers_complete(self) -> None:
        self._has_head = True

    def on_body(self, body: bytes) -> None:
        self._pieces.append(body)

    def on_message_complete(self) -> None:
        number, self._number = self._number, -1
        if number < 0:
            return
        self._has_head = False
        if self._parser.should_keep_alive():
            self.idle_since_s = perf_counter()
            self._rest(self)
        else:
            self.close()
        self._end(number, self._parser.get_status_code(), self._headers, b"".join(self._pieces), "")

    def connection_lost(self, error: Exception | None) -> None:
        self._forget(self)
        if self._number >= 0 and error is None and self._is_ended_by_closing():
            self.on_message_complete()
        self._fail(f"connection lost: {_name(error)}" if error else "the server hung up")

    def _is_ended_by_closing(self) -> bool:
        return self._has_head and not {b"content-length", b"transfer-encoding"} & self._headers.keys()

    def _fail(self, error: str) -> None:
        number, self._number = self._number, -1
        if number >= 0:
            self._end(number, NO_ANSWER, {}, b"", error)

    def close(self) -> None:
        self._number = -1
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

    Args:
        host: whom to ask.
        port: its TCP port.
        arrivals_s: seconds from the start, ascending, (n_requests,).
        requests: whole HTTP/1.1 requests, taken in turn and from the beginning again when they run out.
        patience_s: how long to wait for answers after the last request has left.
    """
    kept = _Kept(requests, len(arrivals_s))
    loop = OpenLoop(host, port, arrivals_s=arrivals_s, workload=kept, patience_s=patience_s)
    await loop.run()
    return Sent(
        started_s=loop.started_s,
        scheduled_s=arrivals_s,
        late_s=np.array(loop.late_s),
        latency_s=np.array(kept.latency_s),
        status=np.array(kept.status, np.int64),
        answers=kept.answers,
        n_connections=loop.n_connections,
    )


class _Kept:
    """The workload that is known before, and keeps every answer."""

    def __init__(self, requests: Sequence[bytes], n: int) -> None:
        self._requests = requests
        self.latency_s = [math.inf] * n
        self.status = [NO_ANSWER] * n
        self.answers = [b""] * n

    def compose(self, number: int) -> bytes:
        return self._requests[number % len(self._requests)]

    def receive(self, outcome: Outcome) -> None:
        if outcome.status == NO_ANSWER:
            return
        self.latency_s[outcome.number] = outcome.latency_s
        self.status[outcome.number] = outcome.status
        self.answers[outcome.number] = outcome.body


def http_request(
    method: str, path: str, *, host: str, body: bytes = b"", headers: Mapping[str, str] | None = None
) -> bytes:
    """A whole HTTP/1.1 request, ready for the wire."""
    lines = [f"{method} {path} HTTP/1.1", f"host: {host}", f"content-length: {len(body)}"]
    if body:
        lines.append("content-type: application/json")
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def _allow_many_files() -> None:
    """An open loop against a slow server needs as many sockets as requests wait."""
    allowed, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(allowed, min(most, 65_536)), most))


def _name(err: Exception) -> str:
    """Short and the same for every occurrence, so that it can be counted."""
    code = err.errno if isinstance(err, OSError) else None
    return errno.errorcode.get(code, type(err).__name__) if code else type(err).__name__
