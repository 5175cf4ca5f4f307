"""A proxy that breaks what passes, as a process: the networks that devices live in.

    python -m tests.edge.breaking_proxy PORT      prints its port; then reads commands, a line each

    break PART HOW      requests whose path holds PART are broken (any: `/`):
                        portal, redirect, status-CODE, hang, huge, cut, tamper, half, half-gzip, lose, drip
    mend                nothing is broken any more
    count PART          how many requests held PART since the last `mend`

`lose` lets the request through and loses the answer; `cut` ends the body in the middle; `half` and `half-gzip`
send half of it as if it were all; `tamper` changes one byte of it; `huge` does not end.
"""

import gzip
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

ROOT = Path(__file__).parents[2]
PORTAL = b"<!doctype html><title>Welcome</title><p>Log in to use this network.</p>" * 20
HANG_S = 5.0
HOPS = ("transfer-encoding", "connection", "content-length", "server", "date")


class _Faults:
    def __init__(self) -> None:
        self.how: dict[str, str] = {}
        self.paths: list[str] = []

    def of(self, path: str) -> str:
        return next((how for part, how in self.how.items() if part in path), "")


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    faults: _Faults
    target: int

    def do_GET(self) -> None:
        with suppress(ConnectionError):
            self._pass_on()

    do_POST = do_GET  # noqa: N815 - the name that http.server looks for

    def log_message(self, *_: object) -> None:
        pass

    def _pass_on(self) -> None:
        sent = self.rfile.read(int(self.headers.get("content-length", 0)))
        self.faults.paths.append(self.path)
        fault = self.faults.of(self.path)
        match fault.split("-"):
            case ["portal"]:
                return self._answer(200, [("content-type", "text/html")], PORTAL)
            case ["redirect"]:
                return self._answer(302, [("location", "http://192.0.2.1/login")], b"")
            case ["status", code]:
                return self._answer(int(code), [("content-type", "text/plain"), ("retry-after", "7")], b"no")
            case ["hang"]:
                return time.sleep(HANG_S)
            case ["huge"]:
                return self._send_without_end()
        status, headers, body = self._ask(sent)
        if fault == "lose":
            self.close_connection = True
            return None
        if fault == "tamper" and body:
            packed = ("content-encoding", "gzip") in headers
            content = bytearray(gzip.decompress(body) if packed else body)
            content[len(content) // 2] ^= 1
            body = gzip.compress(bytes(content)) if packed else bytes(content)
        if fault in ("half", "half-gzip"):
            body = body[: len(body) // 2]
        if fault == "half":
            headers = [(name, value) for name, value in headers if name != "content-encoding"]
        if fault == "drip":
            return self._drip(status, headers, body)
        return self._answer(status, headers, body, n_sent=len(body) // 2 if fault == "cut" else None)

    def _ask(self, sent: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        upstream = HTTPConnection("127.0.0.1", self.target, timeout=30)
        try:
            upstream.request(self.command, self.path, sent or None, dict(self.headers.items()))
            response = upstream.getresponse()
            headers = [(name.lower(), value) for name, value in response.getheaders()]
            kept = [(name, value) for name, value in headers if name not in HOPS]
            return response.status, kept, response.read()
        except (OSError, HTTPException):
            return 502, [], b""
        finally:
            upstream.close()

    def _answer(
        self, status: int, headers: list[tuple[str, str]], body: bytes, n_sent: int | None = None
    ) -> None:
        self._begin(status, headers, len(body))
        self.wfile.write(body if n_sent is None else body[:n_sent])
        self.close_connection = n_sent is not None

    def _begin(self, status: int, headers: list[tuple[str, str]], n_bytes: int | None) -> None:
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        if n_bytes is not None and status != 304:
            self.send_header("content-length", str(n_bytes))
        self.end_headers()

    def _drip(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        self._begin(status, headers, len(body))
        for byte in body:
            self.wfile.write(bytes([byte]))
            time.sleep(0.05)

    def _send_without_end(self) -> None:
        self.close_connection = True
        self._begin(200, [("content-type", "application/json")], None)
        while True:
            self.wfile.write(b" " * 65_536)


class BreakingProxy:
    """The proxy, from outside.

    Attributes:
        url: where devices find the service.
    """

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        assert process.stdin
        assert process.stdout
        self._stdin, self._stdout = process.stdin, process.stdout
        self.url = f"http://127.0.0.1:{int(self._stdout.readline())}"

    def break_(self, part: str, how: str) -> None:
        self._command(f"break {part} {how}")

    def mend(self) -> None:
        self._command("mend")

    def count(self, part: str) -> int:
        return int(self._command(f"count {part}"))

    def _command(self, line: str) -> str:
        print(line, file=self._stdin, flush=True)
        return self._stdout.readline().strip()


@contextmanager
def breaking_proxy(port: int) -> Iterator[BreakingProxy]:
    """A proxy in front of a port of this machine, which breaks nothing at first."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.edge.breaking_proxy", str(port)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield BreakingProxy(process)
    finally:
        process.terminate()
        process.communicate(timeout=10)


def main(port: int) -> None:
    faults = _Faults()
    handler = type("Handler", (_Handler,), {"faults": faults, "target": port})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_address[1], flush=True)
    for line in sys.stdin:
        match line.split():
            case ["break", part, how]:
                faults.how[part] = how
            case ["mend"]:
                faults.how, faults.paths = {}, []
            case ["count", part]:
                print(sum(part in path for path in faults.paths), flush=True)
                continue
        print("ok", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]))
