"""What the servers of this package listen with: a socket that is bound early, and uvicorn's server on it.

Nothing that takes long to import is imported before it is needed: the start of the Functions host is measured.
"""

import errno
import importlib.util
import signal
import socket
import sys
import threading
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from typing import TypeAlias

GRACEFUL_STOP_S = 5
"How long running requests may take to finish once a server is told to stop."
Failure: TypeAlias = Callable[[str], Exception]
"Makes the exception of a server that cannot start, from its message."


@contextmanager
def bound_socket(host: str, port: int, *, failure: Failure) -> Generator[socket.socket, None, None]:
    """Take an address before anything else is done: a port in use shows at once.

    Args:
        port: 0 takes a free one.
        failure: what is raised where the address cannot be had.
    """
    try:
        # Python loads its tables of Unicode for a name in text, and for bytes it does not.
        name = host.encode() if host.isascii() else host
        family, *_, address = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)[0]
    except socket.gaierror as err:
        raise failure(f"cannot listen on {host!r}: {err.strerror}; give an address of this machine") from err
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        if sys.platform != "win32":
            # Lets a restarted server have the port that its predecessor's last connections still name.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(address)
        except OSError as err:
            raise failure(_why_not(err, host, port)) from err
        yield listener


def run_server(
    application: Callable[..., Awaitable[None]],
    listener: socket.socket,
    *,
    failure: Failure,
    keep_alive_s: int,
    on_start: Callable[[], None],
    on_stop: Callable[[], Awaitable[None]] | None = None,
) -> None:
    """Serve an ASGI application until SIGINT or SIGTERM; a second one does not wait for running requests.

    Args:
        failure: what is raised where another process listens on the address by now.
        keep_alive_s: how long an idle connection stays open.
        on_start: called once requests are accepted, on the event loop.
        on_stop: awaited before the last requests are.
    """
    import uvicorn

    class Server(uvicorn.Server):
        """uvicorn's server, telling when it is ready, and ending quietly on a signal."""

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            try:
                await super().startup(sockets)
            except OSError as err:
                # Another process may listen on an address that ours had only bound.
                raise failure(_why_not(err, *listener.getsockname()[:2])) from err
            on_start()

        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            if on_stop is not None:
                await on_stop()
            await super().shutdown(sockets)

        @contextmanager
        def capture_signals(self) -> Generator[None, None, None]:
            # uvicorn raises the signal again once it has stopped, which would end in a traceback.
            if threading.current_thread() is not threading.main_thread():
                yield
                return
            signals = (signal.SIGINT, signal.SIGTERM)
            previous = {number: signal.signal(number, self.handle_exit) for number in signals}
            try:
                yield
            finally:
                for number, handler in previous.items():
                    signal.signal(number, handler)

    config = uvicorn.Config(
        application,
        loop="uvloop" if importlib.util.find_spec("uvloop") else "asyncio",
        http="httptools" if importlib.util.find_spec("httptools") else "h11",
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=keep_alive_s,
        timeout_graceful_shutdown=GRACEFUL_STOP_S,
    )
    Server(config).run([listener])


def _why_not(err: OSError, host: str, port: int) -> str:
    if err.errno == errno.EADDRINUSE:
        return (
            f"Port {port} is unavailable. Close the process using that port, "
            "or specify another port using --port [-p]."
        )
    return f"cannot listen on {host}:{port}: {err.strerror}; choose another --host or --port"
