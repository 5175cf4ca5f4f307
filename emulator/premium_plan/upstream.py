"""Instances as the front end knows them, and the connections to them."""

import asyncio
import select
from collections import deque
from typing import cast

import httptools

from emulator.premium_plan.exchange import Exchange, Router
from emulator.premium_plan.http_wire import (
    CONTINUE,
    LAST_CHUNK,
    MAX_HEAD_BYTES,
    AnswerHead,
    BadAnswer,
    Header,
    chunk,
    read_answer,
    request_head,
)

INSTANCE_HOST = "127.0.0.1"
CONNECT_LIMIT_S = 5.0
IDLE_S = 60.0
"When an idle connection is closed; well before the Functions host does it, after 130 s."


class Instance:
    """An instance: what it has been given, and the connections to it that are kept alive."""

    def __init__(self, instance_id: str, port: int, *, is_ready: bool) -> None:
        self.id = instance_id
        self.port = port
        self.is_ready = is_ready
        self.is_draining = False
        self.is_refusing = False
        "It refused a connection a moment ago."
        self.is_gone = False
        self.has_had_cold = False
        "The first of the requests that waited for its start was sent."
        self.chosen_at = 0
        self.exchanges: dict[Exchange, None] = {}
        "Assigned or sent, and not over, oldest first."
        self.drained: list[asyncio.Future[None]] = []
        self._idle: deque[InstanceConnection] = deque()
        self._connections: set[InstanceConnection] = set()

    @property
    def may_be_chosen(self) -> bool:
        return not (self.is_draining or self.is_refusing)

    def take_idle(self) -> "InstanceConnection | None":
        """The connection that was used last, of those that the instance has not closed meanwhile."""
        while self._idle:
            connection = self._idle.pop()
            if connection.is_sound():
                return connection
            connection.abort()
        return None

    def give_back(self, connection: "InstanceConnection", now_s: float) -> None:
        if self.is_gone or self.is_draining:
            connection.abort()
        else:
            connection.idle_since_s = now_s
            self._idle.append(connection)

    def opened(self, connection: "InstanceConnection") -> None:
        self._connections.add(connection)

    def closed(self, connection: "InstanceConnection") -> None:
        self._connections.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)

    def close_idle(self, before_s: float) -> None:
        while self._idle and self._idle[0].idle_since_s <= before_s:
            self._idle.popleft().abort()

    def close(self) -> None:
        for connection in list(self._connections):
            connection.abort()

    async def connect(self, router: Router) -> "InstanceConnection":
        """Open a connection.

        Raises:
            OSError: nobody accepts it.
        """
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(CONNECT_LIMIT_S):
            _, connection = await loop.create_connection(
                lambda: InstanceConnection(self, router), INSTANCE_HOST, self.port
            )
        return connection


class InstanceConnection(asyncio.Protocol):
    """A connection to an instance, with at most one request on it at a time."""

    def __init__(self, instance: Instance, router: Router) -> None:
        self.idle_since_s = 0.0
        self.is_full = False
        self._instance = instance
        self._router = router
        self._transport: asyncio.Transport | None = None
        self._poll: select.poll | None = None
        self._exchange: Exchange | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._reason = b""
        self._headers: list[Header] = []
        self._n_head = 0
        self._n_silent = 0
        "Bytes since the last that were of use: a head without end, or trailers."
        self._in_head = False
        self._is_paused = False
        self._is_interim = False
        self._answer: AnswerHead | None = None
        self._is_answered = False
        self._out: list[bytes] = []
        self._error = ""

    def is_sound(self) -> bool:
        """Whether an idle connection is still open: neither closed by the instance nor spoken on.

        The event loop has not necessarily seen yet what the kernel knows.
        """
        if self._transport is None or self._transport.is_closing():
            return False
        if self._poll is None:
            self._poll = select.poll()
            self._poll.register(self._transport.get_extra_info("socket").fileno(), select.POLLIN)
        return not self._poll.poll(0)

    def send(self, exchange: Exchange, *, is_cold: bool) -> None:
        """Write a request; from here on it is nobody else's."""
        self._exchange, exchange.upstream = exchange, self
        self._answer, self._is_answered, self._error = None, False, ""
        head = request_head(exchange.head, exchange.client.address, is_cold=is_cold, held_ms=exchange.held_ms)
        self.write(head + exchange.take_unsent())
        exchange.client.update_reading()

    def write(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def abort(self) -> None:
        self._exchange = None
        if self._transport is not None:
            self._transport.abort()

    def let_go(self, exchange: Exchange) -> None:
        """Nobody waits for the answer any more; an unread one makes the connection useless."""
        if self._exchange is exchange:
            self.abort()

    def pause_answer(self) -> None:
        """The client does not keep up."""
        if self._transport is not None and not (self._is_paused or self._transport.is_closing()):
            self._transport.pause_reading()
            self._is_paused = True

    def resume_answer(self) -> None:
        if self._transport is not None and self._is_paused and not self._transport.is_closing():
            self._transport.resume_reading()
            self._is_paused = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._instance.opened(self)

    def pause_writing(self) -> None:
        self.is_full = True
        if self._exchange is not None:
            self._exchange.client.update_reading()

    def resume_writing(self) -> None:
        self.is_full = False
        if self._exchange is not None:
            self._exchange.client.update_reading()

    def data_received(self, data: bytes) -> None:
        exchange = self._exchange
        if exchange is None:
            self.abort()
            return
        self._n_silent += len(data)
        try:
            self._parser.feed_data(data)
            if self._n_silent > MAX_HEAD_BYTES:
                self._error = f"more than {MAX_HEAD_BYTES} bytes of headers"
        except httptools.HttpParserUpgrade:
            self._error = "a change of protocol that nobody asked for"
        except httptools.HttpParserError as err:
            # What follows a whole answer costs the connection, and not the answer.
            if not self._is_answered:
                self._error = str(err.__context__ or err)
            elif self._answer is not None:
                self._answer.keeps_alive = False
        if self._out:
            exchange.has_begun = self._answer is not None
            exchange.active_s = asyncio.get_running_loop().time()
            exchange.client.write(b"".join(self._out))
            self._out.clear()
        if self._error and not self._is_answered:
            self._lose(f"sent no valid HTTP: {self._error}")
        elif self._is_answered:
            self._finish(exchange)

    def connection_lost(self, error: Exception | None) -> None:
        self._instance.closed(self)
        exchange = self._exchange
        if exchange is None:
            return
        if self._answer is not None and self._answer.ends_with_connection and error is None:
            if self._answer.is_chunked:
                exchange.client.write(LAST_CHUNK)
            self._finish(exchange)
        else:
            self._lose("closed the connection before its answer was complete")

    def on_message_begin(self) -> None:
        if self._is_answered:
            raise BadAnswer("an answer without a question")
        self._headers, self._reason, self._n_head, self._in_head = [], b"", 0, True

    def on_status(self, status: bytes) -> None:
        self._reason += status

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_head:
            self._n_head += len(name) + len(value)
            self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        exchange = self._exchange
        assert exchange is not None
        self._in_head, self._n_silent = False, 0
        status = self._parser.get_status_code()
        self._is_interim = 100 <= status < 200
        if self._is_interim:
            if status == 100 and not exchange.head.is_http_10:
                self._out.append(CONTINUE)
            return
        if not 200 <= status <= 999 or self._n_head > MAX_HEAD_BYTES:
            raise BadAnswer(f"status {status}, {self._n_head} bytes of headers")
        exchange.keeps_client = exchange.keeps_client and exchange.is_received
        self._answer = answer = read_answer(
            status,
            self._reason,
            self._parser.get_http_version(),
            self._headers,
            request=exchange.head,
            instance_id=self._instance.id.encode(),
            held_ms=exchange.held_ms,
            keeps_client=exchange.keeps_client,
        )
        exchange.keeps_client = answer.keeps_client
        self._out.append(answer.data)
        self._is_answered = not answer.has_body

    def on_body(self, body: bytes) -> None:
        self._n_silent = 0
        if self._answer is None or self._is_answered:
            raise BadAnswer("a body where none belongs")
        self._out.append(chunk(body) if self._answer.is_chunked else body)

    def on_message_complete(self) -> None:
        self._n_silent = 0
        if self._is_interim:
            return
        if self._answer is not None and self._answer.is_chunked and not self._is_answered:
            self._out.append(LAST_CHUNK)
        self._is_answered = True

    def _finish(self, exchange: Exchange) -> None:
        self._exchange = None
        assert self._answer is not None
        if self._answer.keeps_alive and exchange.is_received and not self.is_full:
            if not self._answer.has_body:
                # The parser does not know what a HEAD is answered with, and would wait for a body.
                self._parser = httptools.HttpResponseParser(self)
            self.resume_answer()
            self._instance.give_back(self, asyncio.get_running_loop().time())
        else:
            self.abort()
        self._router.answered(exchange)

    def _lose(self, how: str) -> None:
        exchange, self._exchange = self._exchange, None
        self.abort()
        if exchange is not None:
            detail = f"instance {self._instance.id} {how}; the request may have been processed"
            self._router.fail(exchange, 502, detail, instance_id=self._instance.id)
