"""The load generator against real sockets: it never waits, never hides, never loses a request."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import numpy as np
import pytest

from emulator.load.arrivals import Phase, poisson
from emulator.load.client import NO_ANSWER, Sent, http_request, send

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


def test_poisson_arrivals_keep_the_rate_of_each_phase() -> None:
    arrivals_s = poisson([Phase(1000, 10), Phase(3000, 10)], np.random.default_rng(0))
    counts = np.histogram(arrivals_s, [0, 10, 20])[0]

    assert counts == pytest.approx([10_000, 30_000], rel=0.05)
    assert (np.diff(arrivals_s) >= 0).all()


def test_gaps_of_poisson_arrivals_are_exponential() -> None:
    gaps_s = np.diff(poisson([Phase(1000, 50)], np.random.default_rng(1)))

    assert gaps_s.std() / gaps_s.mean() == pytest.approx(1, abs=0.03)


@pytest.mark.parametrize("phase", [Phase(-1, 1), Phase(1, float("inf")), Phase(float("nan"), 1)])
def test_impossible_phase_is_refused(phase: Phase) -> None:
    with pytest.raises(ValueError, match="finite and not negative"):
        poisson([phase], np.random.default_rng(0))


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
