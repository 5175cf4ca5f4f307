"""Addresses that do not answer, each in its own way."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

Deadness = Literal["silent", "full", "closed"]
"""silent: takes connections and never says a word; full: takes no more connections and does not say so, as
where a firewall drops packets; closed: refuses."""


@contextmanager
def dead_address(kind: Deadness) -> Iterator[str]:
    """Host and port of a server on this machine that is as good as none."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        address: tuple[str, int] = listener.getsockname()
        waiting: list[socket.socket] = []
        if kind == "silent":
            listener.listen(64)
        elif kind == "full":
            listener.listen(0)
            waiting = _fill(address)
        try:
            yield f"127.0.0.1:{address[1]}"
        finally:
            for connection in waiting:
                connection.close()


def _fill(address: tuple[str, int]) -> list[socket.socket]:
    """Connect until the next connection would wait."""
    waiting = []
    for _ in range(64):
        connection = socket.socket()
        waiting.append(connection)
        connection.settimeout(0.2)
        try:
            connection.connect(address)
        except TimeoutError:
            return waiting
    raise AssertionError("the listener takes more connections than it was told to")
