"""HTTP with the service, by the standard library, and with nothing that a bad network says taken for an answer.

Redirects are not followed: the service sends none, and a captive portal does. Bodies are bounded before and after
they are unpacked. Every question ends by its deadline: it runs on a thread that may be left behind, since looking a
name up without a network takes longer than anybody waits.
"""

import http.client
import io
import socket
import ssl
import threading
import zlib
from collections.abc import Mapping
from concurrent.futures import Future
from time import monotonic
from typing import Any, Literal, NamedTuple, TypeAlias
from urllib.parse import urlsplit

from recserve_edge.errors import CloudFailed, InvalidRequest

MAX_IDLE = 4
"Connections that are kept open."
MAX_UNDERWAY = 8
"Questions at a time, those included that nobody waits for any more."
CHUNK_BYTES = 65_536


class Reply(NamedTuple):
    status: int
    headers: Mapping[str, str]
    "By name in lower case."
    body: bytes
    "Unpacked."

    def is_json(self) -> bool:
        media_type = self.headers.get("content-type", "").partition(";")[0].strip().lower()
        return media_type == "application/json" or media_type.endswith("+json")


class Service:
    """The service, reached over connections that are kept open; any thread may ask.

    Args:
        url: of the function app, such as `https://films.azurewebsites.net`; `/api` follows where no path does.
        key: function key; empty: none.
        user_agent: how the client names itself.

    Raises:
        InvalidRequest: the URL cannot be used.

    Attributes:
        is_reached: whether the last question was answered, by whomever; None before the first.
    """

    def __init__(self, url: str, *, key: str = "", user_agent: str) -> None:
        self._is_secure, self._host, self._port, self.base_path = _read_url(url)
        self.url = url
        self.is_reached: bool | None = None
        self._headers = {"user-agent": user_agent, "accept-encoding": "gzip"}
        if key:
            self._headers["x-functions-key"] = key
        self._tls = ssl.create_default_context() if self._is_secure else None
        self._idle: list[_Connection] = []
        self._lock = threading.Lock()
        self._places = threading.BoundedSemaphore(MAX_UNDERWAY)

    def ask(
        self,
        method: str,
        path: str,
        *,
        timeout_s: float,
        max_bytes: int,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """One exchange; any status is a reply.

        Args:
            path: below the API, such as `recommend`.
            timeout_s: for all of it.
            max_bytes: largest body, packed and unpacked.

        Raises:
            CloudFailed: not reached, not in time, or not an answer in HTTP.
        """
        if not self._places.acquire(blocking=False):
            raise CloudFailed(
                "cloud_timeout", f"{MAX_UNDERWAY} questions still wait for {self.url}; ask later"
            )
        sent = {**self._headers, **(headers or {})}
        deadline_s = monotonic() + timeout_s
        question = _Question(method, f"{self.base_path}/{path}", body, sent, deadline_s, max_bytes)
        answer: Future[Reply] = Future()

        def work() -> None:
            try:
                answer.set_result(self._exchange(question))
            except BaseException as err:
                answer.set_exception(err)
            finally:
                self._places.release()

        threading.Thread(target=work, name="recserve-edge question", daemon=True).start()
        try:
            reply = answer.result(timeout_s)
        except TimeoutError as err:
            self.is_reached = False
            raise CloudFailed("cloud_timeout", f"{self.url} did not answer within {timeout_s:g} s") from err
        except (
            OSError,
            http.client.IncompleteRead,
        ) as err:  # some of OSError are ValueErrors or HTTPExceptions too
            self.is_reached = False
            why = getattr(err, "strerror", None) or str(err)
            raise CloudFailed("offline", f"{self.url} cannot be reached: {why}") from err
        except (zlib.error, http.client.HTTPException, ValueError) as err:
            self.is_reached = True
            raise CloudFailed("cloud_error", f"{self.url} does not answer in HTTP: {err}") from err
        self.is_reached = True
        return reply

    def close(self) -> None:
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _exchange(self, question: "_Question") -> Reply:
        with self._lock:
            connection = self._idle.pop() if self._idle else None
        if connection is not None:
            try:
                return self._converse(connection, question)
            except (ConnectionError, http.client.BadStatusLine):
                pass  # the service closed it meanwhile; whatever is asked may be asked twice
        return self._converse(self._connect(question.deadline_s), question)

    def _connect(self, deadline_s: float) -> "_Connection":
        timeout_s = _left_s(deadline_s)
        if self._tls is not None:
            return _TimedHttps(self._host, self._port, timeout=timeout_s, context=self._tls)
        return _TimedHttp(self._host, self._port, timeout=timeout_s)

    def _converse(self, connection: "_Connection", question: "_Question") -> Reply:
        """One exchange on one connection, which is kept where the service leaves it open."""
        try:
            if connection.sock is None:
                connection.connect()
            connection.sock.deadline_s = question.deadline_s
            connection.request(question.method, question.path, question.body, dict(question.headers))
            response = connection.getresponse()
            packed = _read(response, question.max_bytes)
            headers = {name.lower(): value for name, value in response.getheaders()}
            body = _unpack(packed, headers.get("content-encoding", ""), question.max_bytes)
        except BaseException:
            connection.close()
            raise
        is_kept = False
        if connection.sock is not None:  # else the service wants it closed
            with self._lock:
                if is_kept := len(self._idle) < MAX_IDLE:
                    self._idle.append(connection)
        if not is_kept:
            connection.close()
        return Reply(response.status, headers, body)


class _Question(NamedTuple):
    method: str
    path: str
    body: bytes | None
    headers: Mapping[str, str]
    deadline_s: float
    "On the monotonic clock."
    max_bytes: int


class _TimedSocket:
    """A connected socket on which every wait ends at a deadline; a socket's own timeout begins anew with each byte."""

    def __init__(self, sock: socket.socket) -> None:
        self.deadline_s = 0.0
        self._socket = sock

    def sendall(self, data: Any) -> None:
        self.limit()
        self._socket.sendall(data)

    def makefile(self, mode: Literal["rb"]) -> io.BufferedReader:
        return io.BufferedReader(_TimedReader(self, self._socket.makefile(mode, buffering=0)))

    def limit(self) -> None:
        self._socket.settimeout(_left_s(self.deadline_s))

    def close(self) -> None:
        self._socket.close()


class _TimedReader(io.RawIOBase):
    def __init__(self, sock: _TimedSocket, raw: Any) -> None:
        self._sock, self._raw = sock, raw

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._sock.limit()
        n_read: int | None = self._raw.readinto(buffer)
        return n_read

    def close(self) -> None:
        self._raw.close()
        super().close()


class _TimedHttp(http.client.HTTPConnection):
    sock: Any

    def connect(self) -> None:
        super().connect()
        self.sock = _TimedSocket(self.sock)


class _TimedHttps(http.client.HTTPSConnection):
    sock: Any

    def connect(self) -> None:
        super().connect()
        self.sock = _TimedSocket(self.sock)


_Connection: TypeAlias = _TimedHttp | _TimedHttps


def _left_s(deadline_s: float) -> float:
    left_s = deadline_s - monotonic()
    if left_s <= 0:
        raise TimeoutError
    return left_s


def _read(response: http.client.HTTPResponse, max_bytes: int) -> bytes:
    """The body as it was sent, none of it missing."""
    pieces, n_bytes = [], 0
    while piece := response.read(CHUNK_BYTES):
        n_bytes += len(piece)
        if n_bytes > max_bytes:
            raise ValueError(f"the body has more than {max_bytes} bytes")
        pieces.append(piece)
    announced = response.getheader("content-length")
    has_body = response.status not in (204, 304)
    if has_body and announced is not None and announced.isdigit() and int(announced) != n_bytes:
        raise ConnectionResetError(f"the connection broke after {n_bytes} of {announced} bytes")
    return b"".join(pieces)


def _unpack(packed: bytes, encoding: str, max_bytes: int) -> bytes:
    if encoding in ("", "identity"):
        return packed
    if encoding != "gzip":
        raise ValueError(f"the body comes in {encoding!r}, which was not asked for")
    unpacking = zlib.decompressobj(wbits=31)
    unpacked = unpacking.decompress(packed, max_bytes + 1)
    if len(unpacked) > max_bytes:
        raise ValueError(f"the body unpacks to more than {max_bytes} bytes")
    if not unpacking.eof:
        raise ValueError(f"the body ends in the middle, after {len(unpacked)} bytes")
    return unpacked


def _read_url(url: str) -> tuple[bool, str, int, str]:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as err:
        raise InvalidRequest(f"service: {url!r} is not a URL: {err}") from err
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise InvalidRequest(f"service: {url!r} is not a URL of a service; send one such as https://host/api")
    is_secure = parts.scheme == "https"
    return is_secure, parts.hostname, port or (443 if is_secure else 80), parts.path.rstrip("/") or "/api"
