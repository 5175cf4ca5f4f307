"""`python -m benchmarks.stalling_server STALL_S PERIOD_S SERVICE_S`: answers soon, except when it stalls.

Every `PERIOD_S` the whole process sleeps for `STALL_S`, as in a long garbage collection. Otherwise every request is
answered `SERVICE_S` after it was read, however many there are. Prints its port.
"""

import asyncio
import sys
import time

ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"


class _Connection(asyncio.Protocol):
    def __init__(self, service_s: float) -> None:
        self._service_s = service_s

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        asyncio.get_running_loop().call_later(self._service_s, self._answer)

    def _answer(self) -> None:
        assert isinstance(self._transport, asyncio.Transport)
        self._transport.write(ANSWER)


async def serve(*, stall_s: float, period_s: float, service_s: float) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Connection(service_s), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    stalls_s = loop.time()
    while True:
        stalls_s += period_s
        await asyncio.sleep(stalls_s - loop.time())
        time.sleep(stall_s)  # noqa: ASYNC251 - the stall


if __name__ == "__main__":
    stall_s, period_s, service_s = map(float, sys.argv[1:])
    asyncio.run(serve(stall_s=stall_s, period_s=period_s, service_s=service_s))
