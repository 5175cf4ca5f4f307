"""Where a running plan takes commands: its terminal, and a loopback port that `python -m emulator plan-command` finds.

The port and a token for it stand in `control.json` below the plan's data, readable by its owner alone.

    POST /admin/plan   the body is a command; 200 with {"outcome": ...}, or 400 with {"error": ...}
    GET  /admin/plan   what `status` says
"""

import asyncio
import json
import os
import secrets
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

from emulator.premium_plan.errors import CommandError, PlanError

CONTROL_FILE = "control.json"
ADDRESS = "/admin/plan"
MOST_BYTES = 4096
READ_TIMEOUT_S = 5.0

Execute = Callable[[str], Awaitable[str]]


class ControlEndpoint:
    """Listens for commands on a loopback port of its own.

    Args:
        data: the plan's folder.
    """

    def __init__(self, data: Path, execute: Execute) -> None:
        self._file = data / CONTROL_FILE
        self._execute = execute
        self._token = secrets.token_urlsafe(24)
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._answer, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        self._file.unlink(missing_ok=True)
        self._file.touch(mode=0o600)
        url = f"http://127.0.0.1:{port}{ADDRESS}"
        self._file.write_text(json.dumps({"url": url, "token": self._token, "pid": os.getpid()}))

    def close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._file.unlink(missing_ok=True)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(OSError, ValueError, EOFError, TimeoutError, asyncio.LimitOverrunError):
                async with asyncio.timeout(READ_TIMEOUT_S):
                    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                    request, *lines = head.split("\r\n")
                    fields = (line.partition(":") for line in lines)
                    headers = {name.lower(): value.strip() for name, _, value in fields}
                    n_bytes = min(int(headers.get("content-length", "0")), MOST_BYTES)
                    body = (await reader.readexactly(n_bytes)).decode()
                status, answer = await self._respond(request, headers.get("x-token", ""), body)
                content = json.dumps(answer).encode()
                writer.write(
                    f"HTTP/1.1 {status} -\r\ncontent-type: application/json\r\n"
                    f"content-length: {len(content)}\r\nconnection: close\r\n\r\n".encode()
                    + content
                )
                await writer.drain()
        finally:
            writer.close()

    async def _respond(self, request: str, token: str, body: str) -> tuple[int, dict[str, str]]:
        method, path, _ = (*request.split(" "), "", "", "")[:3]
        if not secrets.compare_digest(token, self._token):
            return 401, {"error": f"send the token of {CONTROL_FILE} as x-token"}
        if path != ADDRESS or method not in ("GET", "POST"):
            return 404, {"error": f"there is only GET and POST {ADDRESS}"}
        try:
            return 200, {"outcome": await self._execute("status" if method == "GET" else body.strip())}
        except CommandError as err:
            return 400, {"error": str(err)}


def send_command(data: Path, line: str) -> str:
    """Say a command to the plan that runs on a folder; gives what came of it.

    Raises:
        PlanError: none runs there, or it cannot do that.
    """
    try:
        control = json.loads((data / CONTROL_FILE).read_text())
        request = urllib.request.Request(
            control["url"], data=line.encode(), headers={"x-token": control["token"]}, method="POST"
        )
        with urllib.request.urlopen(request) as answer:
            outcome: str = json.load(answer)["outcome"]
            return outcome
    except urllib.error.HTTPError as err:
        raise PlanError(json.load(err)["error"]) from err
    except (OSError, ValueError, KeyError) as err:
        raise PlanError(
            f"no plan runs on {data}; start one with `python -m emulator plan`, or name its folder with --data"
        ) from err


def listen_to_terminal(loop: asyncio.AbstractEventLoop, execute: Callable[[str], None]) -> None:
    """Hand every line of standard input over, until it ends; not where reading would stop the process."""
    try:
        number = sys.stdin.fileno()
        if os.isatty(number) and os.tcgetpgrp(number) != os.getpgrp():  # in the background of a shell
            return
    except (OSError, ValueError, AttributeError):
        return

    def read() -> None:
        # `os.read`, because a thread that waits in `sys.stdin` would hold up the end of the process.
        rest = b""
        with suppress(OSError, RuntimeError):
            while chunk := os.read(number, MOST_BYTES):
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    if line.strip():
                        loop.call_soon_threadsafe(execute, line.decode(errors="replace").strip())

    threading.Thread(target=read, name="terminal", daemon=True).start()
