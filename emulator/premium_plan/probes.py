"""What the platform asks an instance: one request, one answer, a connection of its own."""

import asyncio
import json

HEAD_BYTES = 65_536


class NoAnswer(Exception):
    """Nothing that speaks HTTP answered in time."""


async def ask(port: int, path: str, *, method: str = "GET", timeout_s: float) -> tuple[int, bytes]:
    """Status and body of an answer from a port of this machine.

    Raises:
        NoAnswer: there was none in time.
    """
    try:
        async with asyncio.timeout(timeout_s):
            return await _exchange(port, path, method)
    except (OSError, TimeoutError, ValueError, IndexError, EOFError, asyncio.LimitOverrunError) as err:
        raise NoAnswer(f"{method} {path} on port {port}: {type(err).__name__}") from err


async def accepts(port: int) -> bool:
    """Whether something listens on a port of this machine."""
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


def detail_of(body: bytes) -> tuple[str, str]:
    """Title and detail of a problem (RFC 9457); empty where it is none."""
    try:
        problem = json.loads(body)
        return str(problem["title"]), str(problem["detail"])
    except (ValueError, KeyError, TypeError):
        return "", ""


async def _exchange(port: int, path: str, method: str) -> tuple[int, bytes]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=HEAD_BYTES)
    try:
        writer.write(
            f"{method} {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nconnection: close\r\n"
            "content-length: 0\r\n\r\n".encode()
        )
        head = await reader.readuntil(b"\r\n\r\n")
        body = await reader.read()
    finally:
        writer.close()
    return int(head.split(b" ", 2)[1]), body
