import socket
import threading
from collections.abc import Iterator

import pytest

from benchmarks.delaying_proxy import DelayingProxy, delaying_proxy


@pytest.fixture
def echo() -> Iterator[int]:
    """Port of a server that says what it hears back, on any number of connections."""

    def answer(connection: socket.socket) -> None:
        with connection:
            while heard := connection.recv(65_536):
                connection.sendall(heard)

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=answer, args=(connection,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()[1]


@pytest.fixture
def proxy(echo: int) -> Iterator[DelayingProxy]:
    with delaying_proxy(echo, delay_ms=1) as proxy:
        yield proxy


def test_network_passes_on_until_it_is_cut_and_after_it_is_joined(proxy: DelayingProxy) -> None:
    def connect() -> socket.socket:
        return socket.create_connection(("127.0.0.1", proxy.port), timeout=10)

    def ask(connection: socket.socket) -> bytes:
        try:
            connection.sendall(b"hello")
            return connection.recv(100)
        except ConnectionError:
            return b""

    with connect() as before:
        assert ask(before) == b"hello"
        proxy.cut()
        assert ask(before) == b""
    with connect() as meanwhile:
        assert ask(meanwhile) == b""
    proxy.join()
    with connect() as after:
        assert ask(after) == b"hello"


def test_command_that_nobody_knows_is_told(proxy: DelayingProxy) -> None:
    with pytest.raises(RuntimeError, match="unknown command 'delay'; known: delay MS, cut, join"):
        proxy._command("delay")
