import gc
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress

import pytest

from benchmarks.slow_link import SlowLink, slow_link


@pytest.fixture
def echo() -> Iterator[int]:
    """Port of a server that says everything back, one connection after the other."""

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                while heard := connection.recv(65_536):
                    connection.sendall(heard)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]


def ask(link: SlowLink, text: bytes, *, patience_s: float = 10) -> bytes:
    with socket.create_connection(("127.0.0.1", link.port), timeout=patience_s) as connection:
        connection.sendall(text)
        with suppress(OSError):  # the other side may have ended already
            connection.shutdown(socket.SHUT_WR)
        answer = b""
        while heard := connection.recv(65_536):
            answer += heard
        return answer


def test_link_passes_everything_on_in_order(echo: int) -> None:
    text = bytes(range(256)) * 4000

    with slow_link(echo) as link:
        link.delay_s = 0.01
        answer = ask(link, text)

    assert answer == text


def test_slow_link_holds_answers_back(echo: int) -> None:
    with slow_link(echo) as link:
        link.delay_s = 3600.0

        with pytest.raises(TimeoutError):
            ask(link, b"hello", patience_s=0.05)


def test_connection_ends_where_no_server_is() -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]

    with slow_link(port) as link:
        assert ask(link, b"hello") == b""


def test_link_closes_under_open_connections(echo: int, capfd: pytest.CaptureFixture[str]) -> None:
    with slow_link(echo) as link:
        link.delay_s = 3600.0
        with pytest.raises(TimeoutError):
            ask(link, b"hello", patience_s=0.05)
        late = socket.create_connection(("127.0.0.1", link.port))
    late.close()
    gc.collect()

    assert "was destroyed" not in capfd.readouterr().err
