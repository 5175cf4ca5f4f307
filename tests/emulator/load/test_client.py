"""The sender against real sockets: it never waits, never hides, never loses a request."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import numpy as np
import pytest

from emulator.load.client import NO_ANSWER, OpenLoop, Outcome, Sent, http_request, send

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
Serve = Callable[[Handler], Awaitable[int]]
REQUEST = http_request("POST", "/x", host="127.0.0.1", body=b'{"k":1}')


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    servers: list[asyncio.Server] = []

    async def serve(handler: Handler) -> int:
        servers.append(await asyncio.start_server(handler, "127.0.0.1", 0))
        port: int = servers[-1].sockets[0].getsockname()[1]
        return port

    yield serve
    for server in servers:
        server.close()


def answering(
    status: int = 200, body: bytes = b"{}", *, delay_s: float = 0.0, headers: bytes = b""
) -> Handler:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while not reader.at_eof():
            try:
                await reader.readuntil(b"\r\n\r\n")
                await reader.readexactly(7)
            except asyncio.IncompleteReadError:
                break
            await asyncio.sleep(delay_s)
            head = f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n".encode() + headers
            for piece in (head, b"\r\n" + body[:1], body[1:]):
                writer.write(piece)
                await writer.drain()
        writer.close()

    return handle


async def drive(port: int, arrivals_s: list[float], *, patience_s: float = 5.0) -> Sent:
    return await send(
        "127.0.0.1", port, arrivals_s=np.array(arrivals_s), requests=[REQUEST], patience_s=patience_s
    )


async def test_every_request_is_answered_once_and_in_its_place(serve: Serve) -> None:
    port = await serve(answering(body=b'{"a":1}'))
    sent = await drive(port, [i / 500 for i in range(200)])

    assert (sent.status == 200).all()
    assert sent.answers == [b'{"a":1}'] * 200
    assert (sent.latency_s > 0).all()


async def test_slow_server_does_not_slow_the_schedule(serve: Serve) -> None:
    port = await serve(answering(delay_s=0.2))
    sent = await drive(port, [i / 100 for i in range(30)])

    assert sent.n_connections > 10
    assert (sent.latency_s >= 0.2).all()


async def test_idle_connections_are_used_again(serve: Serve) -> None:
    port = await serve(answering())
    sent = await drive(port, [i / 20 for i in range(10)])

    assert sent.n_connections < 10


async def test_connection_that_the_server_closes_is_not_used_again(serve: Serve) -> None:
    port = await serve(answering(headers=b"Connection: close\r\n"))
    sent = await drive(port, [i / 20 for i in range(5)])

    assert sent.n_connections == 5
    assert (sent.status == 200).all()


async def test_server_that_hangs_up_counts_as_no_answer(serve: Serve) -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.close()

    sent = await drive(await serve(hang_up), [0.0, 0.05])

    assert sent.status.tolist() == [NO_ANSWER, NO_ANSWER]


async def test_server_that_never_answers_is_given_up(serve: Serve) -> None:
    sent = await drive(await serve(answering(delay_s=60)), [0.0, 0.01], patience_s=0.3)

    assert sent.status.tolist() == [NO_ANSWER, NO_ANSWER]
    assert np.isinf(sent.latency_s).all()


async def test_nobody_listening_is_no_answer(serve: Serve) -> None:
    sent = await drive(1, [0.0, 0.01])

    assert sent.status.tolist() == [NO_ANSWER, NO_ANSWER]


async def test_no_arrivals_are_no_work(serve: Serve) -> None:
    sent = await drive(await serve(answering()), [])

    assert len(sent.status) == 0


async def test_chunked_answer_and_answer_ended_by_closing_are_whole(serve: Serve) -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b'\r\n\r\n{"k":1}')
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n")
        await writer.drain()
        writer.write(b"0\r\n\r\n")
        await reader.readuntil(b'\r\n\r\n{"k":1}')
        writer.write(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n[1]")
        writer.close()

    sent = await drive(await serve(handle), [0.0, 0.2])

    assert sent.answers == [b"{}", b"[1]"]
    assert sent.n_connections == 1


class Asking:
    """Sends one request over and over, and keeps the outcomes."""

    def __init__(self) -> None:
        self.outcomes: list[Outcome] = []
        self.known_when_composed: list[int] = []
        self.received = asyncio.Event()

    def compose(self, number: int) -> bytes:
        self.known_when_composed.append(len(self.outcomes))
        return REQUEST

    def receive(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)
        self.received.set()


async def test_requests_are_composed_with_what_came_back_until_then(serve: Serve) -> None:
    asking = Asking()
    port = await serve(answering())
    await OpenLoop("127.0.0.1", port, arrivals_s=np.array([0.0, 0.3, 0.6]), workload=asking).run()

    assert asking.known_when_composed == [0, 1, 2]


async def test_one_answer_too_long_in_coming_is_given_up_while_others_go_on(serve: Serve) -> None:
    asking = Asking()
    load = OpenLoop(
        "127.0.0.1",
        await serve(answering(delay_s=60)),
        arrivals_s=np.array([0.0, 1.2]),
        workload=asking,
        patience_s=0.1,
        timeout_s=0.3,
    )
    await load.run()

    assert asking.known_when_composed == [0, 1]
    assert [outcome.error for outcome in asking.outcomes] == ["no answer within 0.3 s", "no answer in time"]


async def test_stopped_load_sends_nothing_more_and_ends(serve: Serve) -> None:
    asking = Asking()
    load = OpenLoop(
        "127.0.0.1", await serve(answering()), arrivals_s=np.array([0.0, 3600.0]), workload=asking
    )
    running = asyncio.ensure_future(load.run())
    await asking.received.wait()
    load.stop(patience_s=1)
    await running

    assert load.n_sent == 1


async def test_headers_of_the_answer_are_told_in_lower_case(serve: Serve) -> None:
    asking = Asking()
    port = await serve(answering(headers=b"X-Recserve-Instance: i-1\r\n"))
    await OpenLoop("127.0.0.1", port, arrivals_s=np.array([0.0]), workload=asking).run()

    assert asking.outcomes[0].headers[b"x-recserve-instance"] == b"i-1"
