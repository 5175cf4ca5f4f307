"""The front end against real sockets: clients that write raw bytes, instances that answer, stall and die."""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from itertools import pairwise

import pytest
import uvloop

from emulator.premium_plan.front_end import FrontEnd

LIMIT_S = 10.0
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
GET = b"GET /a?b=1 HTTP/1.1\r\nhost: h\r\n\r\n"

Answer = Callable[["Received", asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Received:
    """A request as an instance saw it."""

    def __init__(self, head: bytes, body: bytes) -> None:
        self.line, *lines = head.decode("latin-1").split("\r\n")
        self.headers = {}
        for line in lines:
            name, _, value = line.partition(": ")
            self.headers.setdefault(name.lower(), value)
        self.head = head
        self.body = body


async def answer_ok(request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(OK)


class FakeApp:
    """A server on a port of its own that answers as it is told to."""

    def __init__(self, answer: Answer = answer_ok, *, reads_body: bool = True) -> None:
        self.answer = answer
        self.reads_body = reads_body
        self.received: list[Received] = []
        self.writers: set[asyncio.StreamWriter] = set()
        self.n_connections = 0
        self.port = 0

    async def start(self, port: int = 0) -> "FakeApp":
        self.server = await asyncio.start_server(self.serve, "127.0.0.1", port)
        self.port = self.server.sockets[0].getsockname()[1]
        return self

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.add(writer)
        self.n_connections += 1
        with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while not writer.is_closing():
                head = (await reader.readuntil(b"\r\n\r\n"))[:-4]
                request = Received(head, b"")
                if self.reads_body:
                    request.body = await read_body(reader, request.headers)
                self.received.append(request)
                await self.answer(request, reader, writer)
                await writer.drain()
        writer.close()
        self.writers.discard(writer)

    async def stop(self) -> None:
        self.server.close()
        for writer in list(self.writers):
            writer.transport.abort()
        await asyncio.sleep(0)


async def read_body(reader: asyncio.StreamReader, headers: dict[str, str]) -> bytes:
    if headers.get("transfer-encoding") == "chunked":
        body = b""
        while size := int(await reader.readuntil(), 16):
            body += await reader.readexactly(size)
            await reader.readline()
        await reader.readline()
        return body
    return await reader.readexactly(int(headers.get("content-length", 0)))


class Answered:
    """An answer as a client saw it."""

    def __init__(self, head: bytes, body: bytes) -> None:
        status_line, *lines = head.decode("latin-1").split("\r\n")
        self.status = int(status_line.split()[1])
        self.headers = dict(line.lower().split(": ", 1) for line in lines)
        self.body = body


class Client:
    """One connection to the front end."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def read(self, *, is_head: bool = False) -> Answered:
        async with asyncio.timeout(LIMIT_S):
            answered = Answered((await self.reader.readuntil(b"\r\n\r\n"))[:-4], b"")
            if not is_head and answered.status not in (100, 204, 304):
                if "content-length" in answered.headers or "transfer-encoding" in answered.headers:
                    answered.body = await read_body(self.reader, answered.headers)
                else:
                    answered.body = await self.reader.read()
        return answered

    async def ask(self, request: bytes = GET, *, is_head: bool = False) -> Answered:
        self.writer.write(request)
        return await self.read(is_head=is_head)

    async def is_closed(self) -> bool:
        async with asyncio.timeout(LIMIT_S):
            return await self.reader.read() == b""


class Stage:
    """A front end and what is around it."""

    def __init__(self, front_end: FrontEnd, port: int) -> None:
        self.front_end, self.port = front_end, port
        self.apps: list[FakeApp] = []
        self.clients: list[Client] = []

    async def app(
        self, name: str, answer: Answer = answer_ok, *, is_ready: bool = True, reads_body: bool = True
    ) -> FakeApp:
        app = await FakeApp(answer, reads_body=reads_body).start()
        self.apps.append(app)
        self.front_end.add(name, port=app.port, is_ready=is_ready)
        return app

    async def client(self) -> Client:
        client = Client(*await asyncio.open_connection("127.0.0.1", self.port, limit=2**24))
        self.clients.append(client)
        return client

    async def wait_for(self, is_so: Callable[[], bool]) -> None:
        async with asyncio.timeout(LIMIT_S):
            while not is_so():  # noqa: ASYNC110 - what is waited for has no event
                await asyncio.sleep(0.002)

    async def is_quiet(self) -> None:
        """Wait until nothing is on its way, and everything that arrived is accounted for."""

        def has_ended() -> bool:
            load = self.front_end.load()
            is_counted = load.n_arrived == load.n_answered + load.n_failed
            return is_counted and not load.n_held and not any(load.in_flight.values())

        await self.wait_for(has_ended)


@asynccontextmanager
async def staged(**options: float) -> AsyncIterator[Stage]:
    front_end = FrontEnd(**options)  # type: ignore[arg-type]
    stage = Stage(front_end, await front_end.start("127.0.0.1", 0))
    try:
        yield stage
    finally:
        for client in stage.clients:
            client.writer.close()
        await front_end.close()
        for app in stage.apps:
            await app.stop()


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    async with staged() as stage:
        yield stage


def answering(raw: bytes, *, closes: bool = False) -> Answer:
    async def answer(_: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(raw)
        if closes:
            await writer.drain()
            writer.close()

    return answer


def waiting_for(event: asyncio.Event) -> Answer:
    async def answer(_: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await event.wait()
        writer.write(OK)

    return answer


async def test_an_answer_names_its_instance_and_connections_are_kept(stage: Stage) -> None:
    app = await stage.app("i-1")
    client = await stage.client()

    answers = [await client.ask() for _ in range(3)]

    assert {(a.status, a.body, a.headers["x-recserve-instance"]) for a in answers} == {(200, b"ok", "i-1")}
    assert "x-recserve-held-ms" not in answers[0].headers
    assert app.n_connections == 1
    assert app.received[0].line == "GET /a?b=1 HTTP/1.1"
    assert app.received[0].headers["host"] == "h"
    load = stage.front_end.load()
    assert (load.n_arrived, load.n_answered, load.n_failed, load.n_cold) == (3, 3, 0, 0)
    assert load.in_flight == {"i-1": 0}


async def test_headers_of_one_hop_are_dropped_and_the_front_end_s_own_cannot_be_forged(stage: Stage) -> None:
    app = await stage.app(
        "i-1",
        answering(
            b"HTTP/1.1 200 OK\r\nx-recserve-instance: forged\r\nx-recserve-held-ms: 9\r\n"
            b"keep-alive: timeout=5\r\nconnection: x-inner\r\nx-inner: 1\r\nx-outer: 2\r\ncontent-length: 0\r\n\r\n"
        ),
    )
    client = await stage.client()

    answer = await client.ask(
        b"GET / HTTP/1.1\r\nhost: h\r\nx-ms-coldstart: 1\r\nX-Recserve-Held-Ms: 5\r\nx-arr-log-id: mine\r\n"
        b"x-forwarded-for: 10.0.0.1\r\nx-forwarded-proto: https\r\nconnection: keep-alive, x-secret\r\n"
        b"x-secret: 1\r\nte: trailers\r\nx-kept: 2\r\n\r\n"
    )

    headers = app.received[0].headers
    assert not {"x-ms-coldstart", "x-recserve-held-ms", "connection", "x-secret", "te"} & headers.keys()
    own = client.writer.get_extra_info("sockname")
    assert headers["x-forwarded-for"] == f"10.0.0.1, 127.0.0.1:{own[1]}"
    assert headers["x-forwarded-proto"] == "http"
    assert len(headers["x-arr-log-id"]) == 36
    assert headers["x-kept"] == "2"
    assert answer.headers == {"x-outer": "2", "content-length": "0", "x-recserve-instance": "i-1"}


async def test_requests_go_where_fewest_are_outstanding_and_ties_take_turns(stage: Stage) -> None:
    release = asyncio.Event()
    slow = await stage.app("slow", waiting_for(release))
    first, second = await stage.app("first"), await stage.app("second")
    blocked = [await stage.client() for _ in range(3)]
    for client in blocked:
        client.writer.write(GET)
        await stage.wait_for(lambda: True)
    await stage.wait_for(lambda: len(slow.received) == 1)
    client = await stage.client()

    n_before = [len(app.received) for app in (first, second)]
    names = [(await client.ask()).headers["x-recserve-instance"] for _ in range(6)]

    assert n_before == [1, 1]
    assert sorted(names) == ["first"] * 3 + ["second"] * 3
    assert all(one != other for one, other in pairwise(names))
    release.set()


async def test_what_is_assigned_to_a_starting_instance_waits_for_it_and_the_first_is_cold(
    stage: Stage,
) -> None:
    app = await stage.app("i-1", is_ready=False)
    clients = [await stage.client() for _ in range(3)]
    for client in clients:
        client.writer.write(GET)
    await stage.wait_for(lambda: stage.front_end.load().n_held == 3)
    in_flight = dict(stage.front_end.load().in_flight)
    await asyncio.sleep(0.03)

    stage.front_end.ready("i-1")
    answers = [await client.read() for client in clients]
    warm = await clients[0].ask()

    assert in_flight == {"i-1": 3}
    assert all(int(answer.headers["x-recserve-held-ms"]) >= 20 for answer in answers)
    assert "x-recserve-held-ms" not in warm.headers
    assert sum("x-ms-coldstart" in request.headers for request in app.received) == 1
    assert [int(request.headers.get("x-recserve-held-ms", 0)) >= 20 for request in app.received] == [
        True,
        True,
        True,
        False,
    ]
    load = stage.front_end.load()
    assert load.n_cold == 3
    assert load.held_s >= 0.06
    assert load.n_held == 0


async def test_without_an_instance_requests_wait_and_one_is_demanded(stage: Stage) -> None:
    demands = []
    stage.front_end.on_demand = lambda: demands.append(1)
    client = await stage.client()
    client.writer.write(GET)
    await stage.wait_for(lambda: bool(demands))

    app = await stage.app("i-1")
    answer = await client.read()

    assert answer.status == 200
    assert "x-recserve-held-ms" in answer.headers
    assert "x-ms-coldstart" not in app.received[0].headers
    assert len(demands) == 1


async def test_more_than_may_wait_are_told_to_come_again() -> None:
    async with staged(max_held=1) as stage:
        held, refused = await stage.client(), await stage.client()
        held.writer.write(GET)
        await stage.wait_for(lambda: stage.front_end.load().n_held == 1)

        answer = await refused.ask()
        await stage.app("i-1")

        assert answer.status == 503
        assert answer.headers["retry-after"] == "1"
        assert (await held.read()).status == 200
        assert (await refused.ask()).status == 200


async def test_what_waits_too_long_for_an_instance_or_an_answer_gets_504() -> None:
    async with staged(hold_timeout_s=0.1) as stage:
        client = await stage.client()

        unheld = await client.ask()
        await stage.app("i-1", waiting_for(asyncio.Event()))
        unanswered = await client.ask()

        assert (unheld.status, unanswered.status) == (504, 504)
        assert "no instance" in json.loads(unheld.body)["detail"]
        assert json.loads(unanswered.body)["instance_id"] == "i-1"
        await stage.is_quiet()


async def test_an_instance_that_refuses_connections_costs_no_request(stage: Stage) -> None:
    dead = await stage.app("dead")
    await dead.stop()
    client = await stage.client()
    client.writer.write(GET)
    await stage.wait_for(lambda: stage.front_end.load().n_held == 1)

    await stage.app("alive")
    answers = [await client.read(), *[await client.ask() for _ in range(5)]]

    assert {answer.status for answer in answers} == {200}
    assert {answer.headers["x-recserve-instance"] for answer in answers} == {"alive"}


async def test_a_refusing_instance_is_tried_again(stage: Stage) -> None:
    app = await stage.app("i-1")
    await app.stop()
    client = await stage.client()
    client.writer.write(GET)
    await stage.wait_for(lambda: stage.front_end.load().n_held == 1)

    again = await FakeApp().start(app.port)
    stage.apps.append(again)

    assert (await client.read()).status == 200


async def test_a_kept_connection_that_the_instance_closed_is_not_used(stage: Stage) -> None:
    app = await stage.app("i-1")
    client = await stage.client()
    await client.ask()
    for writer in list(app.writers):
        writer.close()
    # The kernel knows that the connection is closed; the front end's event loop has had no turn yet.
    await asyncio.sleep(0)

    answers = [await client.ask() for _ in range(3)]

    assert {answer.status for answer in answers} == {200}
    assert len(app.received) == 4


async def test_a_request_that_was_sent_is_never_sent_again(stage: Stage) -> None:
    async def die(_: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()

    dying = await stage.app("dying", die)
    client = await stage.client()
    client.writer.write(GET)
    await stage.app("other")

    answer = await client.read()

    assert answer.status == 502
    assert answer.headers["content-type"] == "application/problem+json"
    assert json.loads(answer.body)["instance_id"] == answer.headers["x-recserve-instance"] == "dying"
    assert len(dying.received) == 1
    assert not stage.apps[1].received
    await stage.is_quiet()


async def test_a_removed_instance_fails_what_was_sent_and_passes_on_what_waited(stage: Stage) -> None:
    busy = await stage.app("busy", waiting_for(asyncio.Event()))
    sent, waiting = await stage.client(), await stage.client()
    sent.writer.write(GET)
    await stage.wait_for(lambda: len(busy.received) == 1)
    await stage.app("starting", is_ready=False)
    waiting.writer.write(GET)
    await stage.wait_for(lambda: stage.front_end.load().n_held == 1)

    stage.front_end.remove("busy", "killed by a test")
    stage.front_end.remove("starting", "killed by a test")
    await stage.app("other")

    lost = await sent.read()
    assert lost.status == 502
    assert "busy was lost before it answered: killed by a test" in json.loads(lost.body)["detail"]
    assert (await waiting.read()).headers["x-recserve-instance"] == "other"
    assert (await sent.ask()).status == 200
    assert stage.front_end.load().in_flight == {"other": 0}


async def test_an_answer_that_breaks_off_closes_the_client_s_connection(stage: Stage) -> None:
    await stage.app("i-1", answering(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf", closes=True))
    client = await stage.client()

    client.writer.write(GET)
    received = await asyncio.wait_for(client.reader.read(), LIMIT_S)

    assert received.endswith(b"\r\n\r\nhalf")
    await stage.is_quiet()
    assert stage.front_end.load().n_failed == 1


async def test_draining_waits_for_what_is_in_flight_and_sends_nothing_more(stage: Stage) -> None:
    release = asyncio.Event()
    old = await stage.app("old", waiting_for(release))
    first, second = await stage.client(), await stage.client()
    first.writer.write(GET)
    await stage.wait_for(lambda: len(old.received) == 1)

    draining = asyncio.create_task(stage.front_end.drain("old"))
    await asyncio.sleep(0)
    second.writer.write(GET)
    await stage.wait_for(lambda: stage.front_end.load().n_held == 1)
    is_done_early = draining.done()
    await stage.app("next")
    moved = await second.read()
    release.set()
    await asyncio.wait_for(draining, LIMIT_S)

    assert not is_done_early
    assert moved.headers["x-recserve-instance"] == "next"
    assert (await first.read()).status == 200
    assert len(old.received) == 1
    stage.front_end.remove("old", "drained")
    await stage.front_end.drain("old")


async def test_pipelined_requests_are_answered_in_order(stage: Stage) -> None:
    async def echo(request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        target = request.line.split()[1].encode()
        if target.endswith(b"0"):
            await asyncio.sleep(0.002)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(target), target))

    for name in ("i-1", "i-2"):
        await stage.app(name, echo)
    client = await stage.client()
    client.writer.write(b"".join(b"GET /%d HTTP/1.1\r\nhost: h\r\n\r\n" % i for i in range(50)))

    bodies = [(await client.read()).body for _ in range(50)]

    assert bodies == [b"/%d" % i for i in range(50)]


async def test_large_bodies_stream_both_ways_chunked_and_counted(stage: Stage) -> None:
    async def echo(request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        body = request.body
        if "chunked" in request.headers.get("transfer-encoding", ""):
            writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
            for at in range(0, len(body), 70_000):
                piece = body[at : at + 70_000]
                writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            writer.write(b"0\r\nx-trailer: 1\r\n\r\n")
        else:
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body))
            writer.write(body)

    await stage.app("i-1", echo)
    client = await stage.client()
    body = random.Random(0).randbytes(4_000_000)
    pieces = [body[at : at + 50_000] for at in range(0, len(body), 50_000)]
    chunks = (
        b"".join(b"%x;ext=1\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\nx-t: 1\r\n\r\n"
    )

    chunked = await client.ask(b"POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n" + chunks)
    counted = await client.ask(b"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: %d\r\n\r\n" % len(body) + body)

    assert chunked.body == body
    assert counted.body == body
    assert "transfer-encoding" in chunked.headers


async def test_an_instance_that_does_not_read_stops_the_client_and_a_slow_client_stops_the_instance(
    stage: Stage,
) -> None:
    total = 64_000_000
    written = 0

    async def flood(_: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal written
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % total)
        while written < total:
            writer.write(b"x" * 100_000)
            written += 100_000
            await writer.drain()

    await stage.app("i-1", flood)
    client = await stage.client()
    client.reader._limit = 2**16  # type: ignore[attr-defined]
    client.writer.write(GET)
    await client.reader.readuntil(b"\r\n\r\n")
    await _until_still(lambda: written)
    n_down = written
    client.writer.close()
    await stage.is_quiet()

    stage.front_end.remove("i-1", "next part")
    stalled = asyncio.Event()

    async def stall(_: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await stalled.wait()

    await stage.app("i-2", stall, reads_body=False)
    uploader = await stage.client()
    uploader.writer.write(b"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: %d\r\n\r\n" % total)
    n_up = 0

    async def upload() -> None:
        nonlocal n_up
        while n_up < total:
            uploader.writer.write(b"x" * 100_000)
            n_up += 100_000
            await uploader.writer.drain()

    uploading = asyncio.create_task(upload())
    await _until_still(lambda: n_up)

    assert n_down < total / 2
    assert n_up < total / 2
    uploading.cancel()


async def _until_still(count: Callable[[], int]) -> None:
    last = -1
    while count() != last:
        last = count()
        await asyncio.sleep(0.1)


async def test_100_continue_comes_from_the_instance(stage: Stage) -> None:
    async def invite(request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.body = await reader.readexactly(int(request.headers["content-length"]))
        writer.write(OK)

    app = await stage.app("i-1", invite, reads_body=False)
    client = await stage.client()

    invited = await client.ask(
        b"POST / HTTP/1.1\r\nhost: h\r\nexpect: 100-continue\r\ncontent-length: 3\r\n\r\n"
    )
    answer = await client.ask(b"abc")

    assert (invited.status, answer.status) == (100, 200)
    assert app.received[0].body == b"abc"


@pytest.mark.parametrize(
    ("request_line", "raw"),
    [
        (b"HEAD", b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n"),
        (b"HEAD", b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"),
        (b"GET", b"HTTP/1.1 204 No Content\r\n\r\n"),
        (b"GET", b"HTTP/1.1 304 Not Modified\r\ncontent-length: 500\r\n\r\n"),
    ],
)
async def test_answers_without_a_body_end_with_their_head(
    stage: Stage, request_line: bytes, raw: bytes
) -> None:
    app = await stage.app("i-1", answering(raw))
    client = await stage.client()
    request = request_line + b" / HTTP/1.1\r\nhost: h\r\n\r\n"

    answers = [await client.ask(request, is_head=True) for _ in range(3)]

    assert {answer.status for answer in answers} == {int(raw.split()[1])}
    assert app.n_connections == 1


async def test_a_body_that_ends_with_the_connection_is_chunked_for_the_client(stage: Stage) -> None:
    await stage.app("i-1", answering(b"HTTP/1.1 200 OK\r\n\r\nto the end", closes=True))
    client = await stage.client()

    answers = [await client.ask() for _ in range(2)]

    assert [answer.body for answer in answers] == [b"to the end"] * 2


async def test_http_1_0_gets_no_chunks_and_a_close(stage: Stage) -> None:
    await stage.app(
        "i-1", answering(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n")
    )
    client = await stage.client()

    answer = await client.ask(b"GET / HTTP/1.0\r\n\r\n")

    assert answer.body == b"ok"
    assert answer.headers["connection"] == "close"
    assert "transfer-encoding" not in answer.headers


async def test_an_offer_of_http_2_is_declined_and_the_request_answered(stage: Stage) -> None:
    app = await stage.app("i-1")
    client = await stage.client()

    answer = await client.ask(
        b"POST / HTTP/1.1\r\nhost: h\r\nupgrade: h2c\r\nconnection: upgrade, http2-settings\r\n"
        b"http2-settings: AAMAAABk\r\ncontent-length: 3\r\n\r\nabc"
    )
    again = await client.ask()

    assert (answer.status, again.status) == (200, 200)
    assert app.received[0].body == b"abc"
    assert not {"upgrade", "connection", "http2-settings"} & app.received[0].headers.keys()


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"\x16\x03\x01\x02\x00garbage\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nhost: h\r\nx: a\rb\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nhost: h\r\nx: a\r\n folded\r\n\r\n", 400),
        (b"GET / HTTP/1.1\nhost: h\n\n", 400),
        (b"GET ftp://x/ HTTP/1.1\r\nhost: h\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\nabc", 400),
        (b"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n", 400),
        (b"POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: gzip, chunked\r\n\r\n", 501),
        (b"GET / HTTP/1.1\r\nhost: h\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n", 501),
        (b"CONNECT a:1 HTTP/1.1\r\nhost: h\r\n\r\n", 501),
        (b"GET / HTTP/2.0\r\nhost: h\r\n\r\n", 505),
        (b"POST / HTTP/1.1\r\nhost: h\r\nexpect: wonders\r\ncontent-length: 0\r\n\r\n", 417),
        (b"GET / HTTP/1.1\r\nhost: h\r\nx: " + b"a" * 70_000 + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\nhost: h\r\nx: " + b"a" * 300_000, 431),
    ],
)
async def test_what_is_no_request_is_refused_and_the_connection_closed(
    stage: Stage, raw: bytes, status: int
) -> None:
    await stage.app("i-1")
    client = await stage.client()

    answer = await client.ask(raw)

    assert answer.status == status
    assert json.loads(answer.body)["status"] == status
    assert await client.is_closed()
    await stage.is_quiet()


async def test_requests_before_a_malformed_one_are_answered_first(stage: Stage) -> None:
    await stage.app("i-1")
    client = await stage.client()

    first = await client.ask(GET + b"nonsense\r\n\r\n")
    second = await client.read()

    assert (first.status, second.status) == (200, 400)
    assert await client.is_closed()


@pytest.mark.parametrize(
    "raw",
    [
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 101 Switching\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx: " + b"a" * 70_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx: " + b"a" * 300_000,
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nabc",
    ],
)
async def test_what_is_no_answer_becomes_502(stage: Stage, raw: bytes) -> None:
    await stage.app("i-1", answering(raw))
    client = await stage.client()

    answer = await client.ask()

    assert answer.status == 502
    assert "i-1 sent no valid HTTP" in json.loads(answer.body)["detail"]
    await stage.is_quiet()


async def test_a_client_that_leaves_ends_its_request_at_the_instance(stage: Stage) -> None:
    has_ended = asyncio.Event()

    async def wait_for_end(_: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            await reader.read()
        has_ended.set()

    app = await stage.app("i-1", wait_for_end)
    client = await stage.client()
    client.writer.write(GET)
    await stage.wait_for(lambda: len(app.received) == 1)

    client.writer.close()

    await asyncio.wait_for(has_ended.wait(), LIMIT_S)
    await stage.is_quiet()
    assert stage.front_end.load().n_failed == 1


async def test_a_client_that_leaves_while_it_waits_is_forgotten(stage: Stage) -> None:
    client = await stage.client()
    client.writer.write(GET)
    await stage.wait_for(lambda: stage.front_end.load().n_held == 1)

    client.writer.close()
    await stage.is_quiet()
    app = await stage.app("i-1")

    assert (await (await stage.client()).ask()).status == 200
    assert len(app.received) == 1


async def test_a_client_that_leaves_while_it_is_not_read_is_noticed(stage: Stage) -> None:
    client = await stage.client()
    client.writer.write(b"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 900000\r\n\r\n" + b"x" * 100_000)
    await client.writer.drain()
    await stage.wait_for(lambda: stage.front_end.load().n_held == 1)

    client.writer.close()

    await stage.is_quiet()
    assert stage.front_end.load().n_cold == 1


async def test_an_answer_before_the_end_of_the_request_is_passed_on(stage: Stage) -> None:
    await stage.app(
        "i-1", answering(b"HTTP/1.1 413 Too Large\r\ncontent-length: 0\r\n\r\n"), reads_body=False
    )
    client = await stage.client()

    answer = await client.ask(
        b"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 900000\r\n\r\n" + b"x" * 400_000
    )

    assert answer.status == 413
    assert answer.headers["connection"] == "close"
    await stage.is_quiet()


async def test_an_occupied_port_is_an_os_error(stage: Stage) -> None:
    with pytest.raises(OSError, match="address already in use"):
        await FrontEnd().start("127.0.0.1", stage.port)


async def test_a_name_is_taken_once_and_must_be_known(stage: Stage) -> None:
    await stage.app("i-1")

    with pytest.raises(ValueError, match="'i-1' is there already"):
        stage.front_end.add("i-1", port=1, is_ready=True)
    with pytest.raises(ValueError, match="no instance 'i-2'; there are"):
        stage.front_end.ready("i-2")


async def test_closing_answers_what_waits_and_leaves_no_connection() -> None:
    async with staged() as stage:
        client = await stage.client()
        client.writer.write(GET)
        await stage.wait_for(lambda: stage.front_end.load().n_held == 1)

        await stage.front_end.close()

        assert (await client.read()).status == 503
        assert await client.is_closed()


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def test_whatever_fails_every_request_is_accounted_for_and_none_is_sent_twice(
    run: Callable[[Awaitable[None]], None],
) -> None:
    run(_meddle_with_everything(random.Random(7)))


async def _meddle_with_everything(rng: random.Random) -> None:

    async def misbehave(
        request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await asyncio.sleep(rng.choice((0, 0, 0.001, 0.01)))
        match rng.randrange(10):
            case 0:
                writer.transport.abort()
            case 1:
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf")
                await writer.drain()
                writer.close()
            case 2:
                writer.write(b"garbage")
            case 3:
                writer.write(OK)
                await writer.drain()
                writer.close()
            case 4:
                writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n")
                await writer.drain()
                await asyncio.sleep(0.002)
                writer.write(b"0\r\n\r\n")
            case _:
                writer.write(OK)

    async with staged(hold_timeout_s=5.0) as stage:
        deadline = asyncio.get_running_loop().time() + 2.0

        async def call(number: int) -> None:
            n = 0
            while asyncio.get_running_loop().time() < deadline:
                client = await stage.client()
                with suppress(OSError, EOFError, TimeoutError, RuntimeError):  # uvloop's: closed already
                    for _ in range(rng.randrange(1, 6)):
                        n += 1
                        body = b"x" * rng.choice((0, 1, 100, 200_000))
                        head = b"POST /%d-%d HTTP/1.1\r\nhost: h\r\ncontent-length: %d\r\n\r\n"
                        client.writer.write(head % (number, n, len(body)) + body[: rng.choice((50, 10**6))])
                        await asyncio.wait_for(client.read(), rng.choice((0.005, 0.2)))
                client.writer.close()

        async def meddle() -> None:
            names: list[str] = []
            for n in range(10**6):
                if asyncio.get_running_loop().time() > deadline:
                    return
                if len(names) < 4 and rng.random() < 0.6:
                    names.append(f"i-{n}")
                    await stage.app(names[-1], misbehave, is_ready=rng.random() < 0.5)
                elif names:
                    name = rng.choice(names)
                    match rng.randrange(4):
                        case 0:
                            stage.front_end.ready(name)
                        case 1:
                            names.remove(name)
                            stage.front_end.remove(name, "meddled with")
                        case 2:
                            with suppress(TimeoutError):
                                await asyncio.wait_for(stage.front_end.drain(name), 0.05)
                            names.remove(name)
                            stage.front_end.remove(name, "drained")
                        case 3:
                            await rng.choice(stage.apps).stop()
                await asyncio.sleep(0.01)

        await asyncio.gather(meddle(), *(call(number) for number in range(12)))
        await stage.is_quiet()

        lines = [request.line for app in stage.apps for request in app.received]
        assert len(lines) == len(set(lines))
        load = stage.front_end.load()
        assert load.n_answered > 50
        assert load.n_failed > 50
        await stage.wait_for(lambda: not stage.front_end._clients)
