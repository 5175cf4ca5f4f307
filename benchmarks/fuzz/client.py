"""One case on one connection: what is sent, what comes back, and by when."""

import asyncio
import socket
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import httptools

from benchmarks.fuzz.cases import Case

LIMIT_S = 10.0
"By then there is an answer, or the connection is closed."
GRACE_S = 0.15
"How long a sender waits who may have sent too little, before it ends its side."
RESET = struct.pack("ii", 1, 0)
"SO_LINGER: closing drops what was not sent and says so."

Outcome: TypeAlias = Literal["answered", "closed", "left", "hung", "unreadable"]


@dataclass(slots=True)
class Answer:
    status: int
    headers: dict[str, str] = field(default_factory=dict)
    "By lower-case name."
    body: bytes = b""

    @property
    def layer(self) -> str:
        """Who answered: the app, the host before it, or the HTTP server before that."""
        if "server-timing" in self.headers or self.headers.get("content-type", "").startswith("application/"):
            return "app"
        return "HTTP server" if self.body.startswith((b"Invalid HTTP", b"Internal Server")) else "host"


@dataclass(frozen=True, slots=True)
class Exchange:
    """How a case ended."""

    case: Case
    outcome: Outcome
    answers: Sequence[Answer]


class Answers:
    """Reads answers off a connection; informational ones are none.

    Args:
        has_bodies: False after HEAD, whose answer names a length and has no body.
    """

    def __init__(self, *, has_bodies: bool) -> None:
        self.complete: list[Answer] = []
        self._has_bodies = has_bodies
        self._answer = Answer(0)
        self._parser = httptools.HttpResponseParser(self)

    def feed(self, data: bytes) -> None:
        """Take bytes.

        Raises:
            httptools.HttpParserError: they are no answer.
        """
        self._parser.feed_data(data)

    def on_message_begin(self) -> None:
        self._answer = Answer(0)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._answer.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        self._answer.status = self._parser.get_status_code()
        if not self._has_bodies:
            self.complete.append(self._answer)

    def on_body(self, body: bytes) -> None:
        self._answer.body += body

    def on_message_complete(self) -> None:
        if self._has_bodies and self._answer.status >= 200:
            self.complete.append(self._answer)


async def exchange(case: Case, *, port: int) -> Exchange:
    """Send a case and wait for what comes, `LIMIT_S` at most."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    answers = Answers(has_bodies=case.has_body)
    try:
        async with asyncio.timeout(LIMIT_S):
            outcome = await _exchange(case, reader, writer, answers)
    except TimeoutError:
        outcome = "hung"
    except (ConnectionError, BrokenPipeError):
        outcome = "answered" if answers.complete else "closed"
    except httptools.HttpParserError:
        outcome = "unreadable"
    finally:
        writer.transport.abort()
    return Exchange(case, outcome, answers.complete)


async def _exchange(
    case: Case, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answers: Answers
) -> Outcome:
    reading = asyncio.create_task(_read(reader, answers, n_wanted=case.n_requests))
    try:
        await _send(case, writer)
        if case.ending in ("leave", "reset"):
            if case.ending == "reset":
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            return "left"
        if case.ending == "maybe":
            done, _ = await asyncio.wait([reading], timeout=GRACE_S)
            if not done:
                writer.write_eof()
        await reading
    finally:
        reading.cancel()
    return "answered" if answers.complete else "closed"


async def _send(case: Case, writer: asyncio.StreamWriter) -> None:
    for part in case.parts:
        writer.write(part)
        await writer.drain()
        if case.pause_s:
            await asyncio.sleep(case.pause_s)


async def _read(reader: asyncio.StreamReader, answers: Answers, *, n_wanted: int) -> None:
    """Read until all answers are there or the connection ends."""
    while len(answers.complete) < n_wanted and (data := await reader.read(1 << 16)):
        answers.feed(data)
