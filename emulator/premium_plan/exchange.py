"""One request and its answer on their way through the front end."""

from typing import TYPE_CHECKING, Protocol

from emulator.premium_plan.http_wire import LAST_CHUNK, RequestHead, chunk

if TYPE_CHECKING:
    from emulator.premium_plan.downstream import ClientConnection
    from emulator.premium_plan.upstream import Instance, InstanceConnection

UNSENT_BYTES = 64 * 1024
"How much of a body waits in the front end until its client is no longer read."


class Router(Protocol):
    """What connections tell the front end."""

    def connected(self, client: "ClientConnection") -> None:
        """A client came."""

    def disconnected(self, client: "ClientConnection") -> None:
        """A client went, whatever it was waiting for."""

    def arrived(self, exchange: "Exchange") -> None:
        """A request wants to be sent."""

    def answered(self, exchange: "Exchange") -> None:
        """Its answer has gone out whole."""

    def fail(self, exchange: "Exchange", status: int, detail: str, *, instance_id: str | None = None) -> None:
        """It will not be answered by an instance."""


class Exchange:
    """A request from its head to the end of its answer.

    Either it waits (`is_held`) or has been given to a connection (`upstream`), after which no byte of it is
    sent to anybody else.
    """

    __slots__ = (
        "active_s",
        "client",
        "has_begun",
        "head",
        "held_s",
        "held_since_s",
        "instance",
        "is_cold",
        "is_held",
        "is_over",
        "is_received",
        "keeps_client",
        "n_unsent",
        "unsent",
        "upstream",
        "was_held",
    )

    def __init__(self, head: RequestHead, client: "ClientConnection", now_s: float) -> None:
        self.head = head
        self.client = client
        self.active_s = now_s
        "When the caller last sent something of it, or the instance something of the answer."
        self.unsent: list[bytes] = []
        self.n_unsent = 0
        self.is_received = False
        self.instance: Instance | None = None
        self.is_cold = False
        "Its instance was not ready when it was assigned."
        self.is_held = False
        self.was_held = False
        self.held_since_s = 0.0
        self.held_s = 0.0
        self.upstream: InstanceConnection | None = None
        self.has_begun = False
        "Bytes of its answer have gone out."
        self.keeps_client = head.keeps_alive
        self.is_over = False

    @property
    def held_ms(self) -> int | None:
        return round(self.held_s * 1e3) if self.was_held else None

    @property
    def is_blocked(self) -> bool:
        """Whether more of its body would have nowhere to go."""
        if self.upstream is not None:
            return self.upstream.is_full
        return self.n_unsent > UNSENT_BYTES

    def receive(self, data: bytes, now_s: float) -> None:
        """A piece of its body came."""
        self.active_s = now_s
        if self.is_over:
            return
        if self.upstream is not None:
            self.upstream.write(chunk(data) if self.head.is_chunked else data)
        else:
            self.unsent.append(data)
            self.n_unsent += len(data)

    def end_of_request(self) -> None:
        self.is_received = True
        if self.upstream is not None and self.head.is_chunked:
            self.upstream.write(LAST_CHUNK)

    def take_unsent(self) -> bytes:
        """What of its body has come so far, framed for the instance."""
        pieces, self.unsent, self.n_unsent = self.unsent, [], 0
        if self.head.is_chunked:
            pieces = [chunk(piece) for piece in pieces]
            if self.is_received:
                pieces.append(LAST_CHUNK)
        return b"".join(pieces)
