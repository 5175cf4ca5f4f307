"""A network between a device and the service, as a process: round trips of a given length, or none at all.

What comes back from the service is held for the delay, so that a request on an open connection takes one round
trip more; opening a connection takes none. A process of its own, so that neither the device's nor the service's
interpreter pays for it.

    python -m benchmarks.delaying_proxy PORT      prints the port it listens on; then reads commands, a line each

    delay 20    hold answers for 20 ms
    cut         break all connections, accept none
    join        accept connections again
"""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.slow_link import SlowLink

ROOT = Path(__file__).parent.parent
PATIENCE_S = 10.0


class CuttableLink(SlowLink):
    """A slow link that can also be down: whoever connects is turned away, whoever was connected is cut off."""

    def __init__(self, port: int) -> None:
        self._is_cut = False
        self._open: set[asyncio.StreamWriter] = set()
        super().__init__(port)

    def cut(self) -> None:
        asyncio.run_coroutine_threadsafe(self._cut(), self._loop).result()

    def join(self) -> None:
        self._is_cut = False

    async def _cut(self) -> None:
        self._is_cut = True
        for writer in self._open:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._is_cut:
            writer.transport.abort()
            return
        self._open.add(writer)
        try:
            await super()._serve(reader, writer)
        finally:
            self._open.discard(writer)


class DelayingProxy:
    """A proxy in a process, from outside.

    Attributes:
        port: where it listens.
    """

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        assert process.stdin
        assert process.stdout
        self._stdin, self._stdout = process.stdin, process.stdout
        self.port = int(self._stdout.readline())

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def delay(self, delay_ms: float) -> None:
        """Hold answers for so long from here on."""
        self._command(f"delay {delay_ms}")

    def cut(self) -> None:
        """Be down from here on."""
        self._command("cut")

    def join(self) -> None:
        """Be up again."""
        self._command("join")

    def _command(self, line: str) -> None:
        print(line, file=self._stdin, flush=True)
        answer = self._stdout.readline().strip()
        if answer != "ok":
            raise RuntimeError(f"the proxy answered {answer!r} to {line!r}; it may have ended")


@contextmanager
def delaying_proxy(port: int, *, delay_ms: float = 0.0) -> Iterator[DelayingProxy]:
    """A proxy in front of a port of this machine, for the length of the block.

    Args:
        port: of the service.
        delay_ms: how long answers are held at first.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.delaying_proxy", str(port)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        proxy = DelayingProxy(process)
        proxy.delay(delay_ms)
        yield proxy
    finally:
        process.terminate()
        process.communicate(timeout=PATIENCE_S)


def main(port: int) -> None:
    link = CuttableLink(port)
    print(link.port, flush=True)
    for line in sys.stdin:
        match line.split():
            case ["delay", delay_ms]:
                link.delay_s = float(delay_ms) / 1e3
            case ["cut"]:
                link.cut()
            case ["join"]:
                link.join()
            case _:
                print(f"unknown command {line.strip()!r}; known: delay MS, cut, join", flush=True)
                continue
        print("ok", flush=True)
    link.close()


if __name__ == "__main__":
    main(int(sys.argv[1]))
