"""Connections of clients: requests in, answers out, one at a time and in order."""

import asyncio
import select
from collections import deque
from typing import cast

import httptools

from emulator.premium_plan.exchange import Exchange, Router
from emulator.premium_plan.http_wire import MAX_HEAD_BYTES, BadRequest, Header, problem, read_request

HEAD_LIMIT_S = 30.0
"Longest that a head may take from its first byte, as with Kestrel."
IDLE_LIMIT_S = 130.0
"When an idle connection is closed, as with Kestrel."
STALL_LIMIT_S = 230.0
"How long a client may leave an answer unread; after that Azure's load balancer drops a connection."
LINGER_S = 2.0
"How long a connection that is to be closed is still read, so that its client gets to see the answer."

_HANG_UP = select.POLLHUP | select.POLLERR | getattr(select, "POLLRDHUP", 0)


class ClientConnection(asyncio.Protocol):
    """A client's connection.

    Requests that come before the last one is answered are parsed and wait, and reading stops: no more than
    what one read brought lies here.
    """

    def __init__(self, router: Router) -> None:
        self.address = b""
        self.is_full = False
        self._router = router
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpRequestParser(self)
        self._exchanges: deque[Exchange] = deque()
        "The one that is being answered, and those behind it."
        self._submitted: Exchange | None = None
        self._refusal: BadRequest | None = None
        "What is answered once all before it is, and the last thing that is."
        self._since_s = self._loop.time()
        "When it became idle, began a head or to linger, or when the client stopped reading."
        self._url = b""
        self._headers: list[Header] = []
        self._n_head = 0
        self._n_silent = 0
        self._in_head = False
        self._is_upgrade = False
        self._is_replaying = False
        self._is_paused = False
        self._is_submitting = False
        self._is_lingering = False

    def write(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def close(self) -> None:
        """Close once what was written has gone out."""
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def end(self, exchange: Exchange, *, is_truncated: bool = False) -> None:
        """Go on with the next request, or close.

        Args:
            exchange: which is over.
            is_truncated: its answer is not whole, and only the end of the connection can tell.
        """
        assert self._transport is not None
        if self._transport.is_closing():
            return
        assert self._exchanges[0] is exchange
        self._exchanges.popleft()
        self._submitted = None
        self._since_s = self._loop.time()
        if is_truncated:
            self.abort() if exchange.head.is_http_10 else self._transport.close()
        elif not exchange.keeps_client:
            self._linger()
        else:
            self._submit()
            self.update_reading()

    def check(self, now_s: float) -> None:
        """Close what has taken too long."""
        took_s = now_s - self._since_s
        if self._transport is None or self._transport.is_closing():
            if took_s > STALL_LIMIT_S:
                self.abort()
        elif self._is_paused and self._has_left():
            self.abort()
        elif self._is_lingering:
            is_written = not self._transport.get_write_buffer_size()
            if took_s > (LINGER_S if is_written else STALL_LIMIT_S):
                self.abort()
        elif self._exchanges:
            if self.is_full and took_s > STALL_LIMIT_S:
                self.abort()
        elif self._in_head:
            if took_s > HEAD_LIMIT_S:
                self._refuse(BadRequest(408, f"no whole head within {HEAD_LIMIT_S:.0f} s"))
        elif took_s > IDLE_LIMIT_S:
            self.abort()

    def update_reading(self) -> None:
        """Read as long as what comes has somewhere to go."""
        if self._transport is None or self._transport.is_closing():
            return
        is_blocked = not self._is_lingering and (
            len(self._exchanges) > 1 or (len(self._exchanges) == 1 and self._exchanges[0].is_blocked)
        )
        if is_blocked and not self._is_paused:
            self._transport.pause_reading()
        elif self._is_paused and not is_blocked:
            self._transport.resume_reading()
        self._is_paused = is_blocked

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        peer = transport.get_extra_info("peername")
        if peer:
            self.address = (f"[{peer[0]}]:{peer[1]}" if ":" in peer[0] else f"{peer[0]}:{peer[1]}").encode()
        self._router.connected(self)

    def connection_lost(self, error: Exception | None) -> None:
        self._router.disconnected(self)
        if self._submitted is not None:
            self._router.fail(self._submitted, 502, "the client went away")

    def pause_writing(self) -> None:
        self.is_full = True
        self._since_s = self._loop.time()
        if self._submitted is not None and self._submitted.upstream is not None:
            self._submitted.upstream.pause_answer()

    def resume_writing(self) -> None:
        self.is_full = False
        self._since_s = self._loop.time()
        if self._submitted is not None and self._submitted.upstream is not None:
            self._submitted.upstream.resume_answer()
        self._submit()

    def data_received(self, data: bytes) -> None:
        if self._is_lingering or self._refusal is not None:
            return
        if self._exchanges and self._exchanges[-1].is_received and not self._exchanges[-1].keeps_client:
            return
        self._n_silent += len(data)
        try:
            self._feed(data)
            if self._n_silent > MAX_HEAD_BYTES:
                raise BadRequest(
                    431 if self._in_head else 400, f"more than {MAX_HEAD_BYTES} bytes of headers"
                )
        except httptools.HttpParserError as err:
            if isinstance(err.__context__, BadRequest):
                self._refuse(err.__context__)
            elif not (self._exchanges and self._exchanges[-1].is_received and self._is_last()):
                self._refuse(BadRequest(400, f"not valid HTTP: {err}"))
        except BadRequest as err:
            self._refuse(err)
        self._submit()
        if self._exchanges:
            self.update_reading()

    def on_message_begin(self) -> None:
        if self._is_replaying:
            return
        self._url, self._headers, self._n_head, self._in_head = b"", [], 0, True
        if not self._exchanges:
            self._since_s = self._loop.time()

    def on_url(self, url: bytes) -> None:
        if not self._is_replaying:
            self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_head:
            self._n_head += len(name) + len(value)
            self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        if self._is_replaying:
            return
        if self._n_head + len(self._url) > MAX_HEAD_BYTES:
            raise BadRequest(431, f"more than {MAX_HEAD_BYTES} bytes of headers")
        parser = self._parser
        self._is_upgrade = parser.should_upgrade()
        method = parser.get_method()
        if method == b"CONNECT" or (self._is_upgrade and not self._offers_http_2()):
            raise BadRequest(501, "connections cannot be upgraded; send plain HTTP/1.1")
        head = read_request(method, self._url, parser.get_http_version(), self._headers)
        self._in_head, self._n_silent = False, 0
        self._exchanges.append(Exchange(head, self, self._loop.time()))

    def on_body(self, body: bytes) -> None:
        self._n_silent = 0
        self._exchanges[-1].receive(body, self._loop.time())

    def on_message_complete(self) -> None:
        self._n_silent = 0
        if not self._is_upgrade:
            self._exchanges[-1].end_of_request()

    def _feed(self, data: bytes) -> None:
        while True:
            try:
                self._parser.feed_data(data)
                return
            except httptools.HttpParserUpgrade as err:
                data = data[err.args[0] :]
                self._decline_upgrade()

    def _decline_upgrade(self) -> None:
        """Go on in HTTP/1.1 with a client that offered HTTP/2, as RFC 9110 (7.8) allows.

        The parser takes all that follows the head for the other protocol. Another one is told no more of the
        head than how the body is framed.
        """
        framing = [
            header
            for header in self._headers
            if header[0].lower() in (b"content-length", b"transfer-encoding")
        ]
        self._is_upgrade, self._is_replaying = False, True
        self._parser = httptools.HttpRequestParser(self)
        self._parser.feed_data(
            b"POST / HTTP/1.1\r\n" + b"".join(b"%b: %b\r\n" % h for h in framing) + b"\r\n"
        )
        self._is_replaying = False

    def _has_left(self) -> bool:
        """Whether the client closed its end, which a connection that is not read does not tell.

        Behind more data than the kernel takes, not even this does; then the time limit of the request ends it.
        """
        assert self._transport is not None
        poll = select.poll()
        poll.register(self._transport.get_extra_info("socket").fileno(), _HANG_UP)
        return bool(poll.poll(0))

    def _offers_http_2(self) -> bool:
        return [value.lower() for name, value in self._headers if name.lower() == b"upgrade"] == [b"h2c"]

    def _is_last(self) -> bool:
        """Whether the client said that nothing would follow."""
        return not self._exchanges[-1].head.keeps_alive

    def _submit(self) -> None:
        """Give the front end the next request, and the one after it if that was answered at once."""
        if self._is_submitting:
            return
        self._is_submitting = True
        while self._exchanges and self._submitted is None and not (self._is_lingering or self.is_full):
            self._submitted = self._exchanges[0]
            self._router.arrived(self._submitted)
        self._is_submitting = False
        if self._refusal is not None and not self._exchanges and not self._is_lingering:
            self.write(problem(self._refusal.status, self._refusal.detail))
            self._linger()

    def _refuse(self, refusal: BadRequest) -> None:
        """Answer what cannot be understood, after all that could be."""
        self._refusal = refusal
        if self._exchanges and not self._exchanges[-1].is_received:
            broken = self._exchanges[-1]
            broken.keeps_client = False
            if broken is self._submitted:
                self._router.fail(broken, refusal.status, refusal.detail)
                return
            self._exchanges.pop()
        self._submit()

    def _linger(self) -> None:
        """Close, but let the client read first: what it still sends would else reset the connection."""
        assert self._transport is not None
        self._is_lingering = True
        self._exchanges.clear()
        self._since_s = self._loop.time()
        self.update_reading()
        if self._transport.can_write_eof() and not self._transport.is_closing():
            self._transport.write_eof()
