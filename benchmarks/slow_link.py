"""A TCP link to a server of this machine that can be slowed down: what comes back is held for a time.

What a slow store looks like from an instance: it is reached, it answers, it is late.
"""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

CHUNK_BYTES = 65_536
LINGER_S = 5.0


class SlowLink:
    """Forwards connections, on a thread of its own.

    Args:
        port: of the server.

    Attributes:
        port: where the link listens.
        delay_s: how long answers are held; may be changed at any time, by any thread.
    """

    def __init__(self, port: int) -> None:
        self.delay_s = 0.0
        self.port = 0
        self._target = port
        self._loop = asyncio.new_event_loop()
        self._is_up = threading.Event()
        self._thread = threading.Thread(target=self._run, name="slow link", daemon=True)
        self._thread.start()
        self._is_up.wait()

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(LINGER_S)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self.port = server.sockets[0].getsockname()[1]
        self._is_up.set()
        self._loop.run_forever()
        server.close()
        # A connection that was just accepted becomes a task only while the others end.
        while tasks := asyncio.all_tasks(self._loop):
            for task in tasks:
                task.cancel()
            self._loop.run_until_complete(asyncio.wait(tasks))
        self._loop.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            server_reader, server_writer = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.close()
            return
        await asyncio.gather(_pump(reader, server_writer), self._pump_late(server_reader, writer))
        server_writer.close()

    async def _pump_late(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Hold each piece for the delay, in their order, without holding up those behind it."""
        held: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

        async def write() -> None:
            while True:
                due_s, piece = await held.get()
                await asyncio.sleep(due_s - self._loop.time())
                if not piece:
                    return writer.close()
                writer.write(piece)

        writing = asyncio.create_task(write())
        piece = b""
        with suppress(OSError):
            while piece := await reader.read(CHUNK_BYTES):
                held.put_nowait((self._loop.time() + self.delay_s, piece))
        held.put_nowait((self._loop.time(), b""))
        await writing


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while piece := await reader.read(CHUNK_BYTES):
            writer.write(piece)
        writer.write_eof()


@contextmanager
def slow_link(port: int) -> Iterator[SlowLink]:
    """A link for the length of the block."""
    link = SlowLink(port)
    try:
        yield link
    finally:
        link.close()
