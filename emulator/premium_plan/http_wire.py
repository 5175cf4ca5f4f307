"""Heads as bytes: which headers pass the front end, which it sets, and the answers of its own.

Only what `httptools` has parsed and checked is ever written again, header by header: no line of a caller
or of an instance is passed on as it came.
"""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

Header: TypeAlias = tuple[bytes, bytes]

MAX_HEAD_BYTES = 64 * 1024
"Largest head of a request (431) or an answer (502); Kestrel's limit is 32 KiB for headers alone."
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
LAST_CHUNK = b"0\r\n\r\n"

_HOP_BY_HOP = frozenset(
    (
        b"connection",
        b"http2-settings",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    )
)
_SET_ON_REQUESTS = frozenset(
    (
        b"x-arr-log-id",
        b"x-forwarded-for",
        b"x-forwarded-proto",
        b"x-ms-coldstart",
        b"x-recserve-held-ms",
        b"x-recserve-instance",
    )
)
_SET_ON_ANSWERS = frozenset((b"x-recserve-held-ms", b"x-recserve-instance"))
_OF_REQUESTS = _HOP_BY_HOP | _SET_ON_REQUESTS | {b"host", b"expect", b"content-length"}
_OF_ANSWERS = _HOP_BY_HOP | _SET_ON_ANSWERS | {b"content-length"}
_TITLES = {
    400: "Bad request",
    408: "Request timeout",
    417: "Expectation failed",
    431: "Request header fields too large",
    501: "Not implemented",
    502: "Bad gateway",
    503: "Service unavailable",
    504: "Gateway timeout",
    505: "HTTP version not supported",
}


class BadRequest(Exception):
    """A request that is refused before any instance sees it."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail


class BadAnswer(Exception):
    """An answer of an instance that is no HTTP."""


@dataclass(slots=True)
class RequestHead:
    """A request's head, as far as the front end cares."""

    method: bytes
    line: bytes
    "Request line for the instance."
    passed: bytes
    "Headers for the instance, as lines."
    forwarded_for: bytes
    "What the caller sent, or nothing."
    is_chunked: bool
    keeps_alive: bool
    is_http_10: bool


@dataclass(slots=True)
class AnswerHead:
    """An answer's head, for the client."""

    data: bytes
    is_chunked: bool
    "Whether the body goes to the client in chunks."
    has_body: bool
    ends_with_connection: bool
    "The instance ends the body by closing."
    keeps_alive: bool
    "The instance's connection can be used again."
    keeps_client: bool
    "So can the client's."


def read_request(method: bytes, target: bytes, version: str, headers: Sequence[Header]) -> RequestHead:
    """Check a request's head and take from it what may pass.

    Raises:
        BadRequest: it is not one that the front end can pass on without guessing.
    """
    if version not in ("1.1", "1.0"):
        raise BadRequest(505, f"HTTP/{version} is not spoken here; send HTTP/1.1")
    seen: dict[bytes, bytes] = {}
    passed: list[Header] = []
    for name, value in headers:
        lower = name.lower()
        if lower not in _OF_REQUESTS:
            passed.append((name, value))
        elif lower not in seen:
            seen[lower] = value
        elif lower == b"host":
            raise BadRequest(400, "two Host headers; send one")
        else:
            seen[lower] += b", " + value
    is_http_10 = version == "1.0"
    if not is_http_10 and b"host" not in seen:
        raise BadRequest(400, "no Host header; HTTP/1.1 demands one")
    if not target.startswith(b"/") and target != b"*":
        target, seen[b"host"] = _origin_form(target)
    if b"transfer-encoding" in seen and (is_http_10 or seen[b"transfer-encoding"].lower() != b"chunked"):
        raise BadRequest(501, f"transfer-encoding {_show(seen[b'transfer-encoding'])}; send chunked")
    expect = seen.get(b"expect", b"").lower()
    if expect not in (b"", b"100-continue"):
        raise BadRequest(417, f"expect: {_show(expect)}; only 100-continue is known")
    if is_http_10:
        seen.pop(b"expect", None)
    options = _options(seen.get(b"connection", b""))
    kept = [(name, seen[name]) for name in (b"host", b"content-length", b"expect") if name in seen]
    return RequestHead(
        method,
        b"%b %b HTTP/1.1\r\n" % (method, target),
        _lines(kept + _without(passed, options)),
        seen.get(b"x-forwarded-for", b""),
        b"transfer-encoding" in seen,
        b"keep-alive" in options if is_http_10 else b"close" not in options,
        is_http_10,
    )


def request_head(
    head: RequestHead, client: bytes, *, is_cold: bool = False, held_ms: int | None = None
) -> bytes:
    """A request's head for an instance.

    Args:
        head: what the caller sent.
        client: the caller's address and port, as Azure writes them.
        is_cold: the first request of an instance that was starting.
        held_ms: how long the request waited; None if it did not.
    """
    log_id = os.urandom(16).hex()
    forwarded_for = b"%b, %b" % (head.forwarded_for, client) if head.forwarded_for else client
    return b"%b%bX-Forwarded-For: %b\r\nX-Forwarded-Proto: http\r\nX-ARR-LOG-ID: %b\r\n%b%b%b\r\n" % (
        head.line,
        head.passed,
        forwarded_for,
        f"{log_id[:8]}-{log_id[8:12]}-{log_id[12:16]}-{log_id[16:20]}-{log_id[20:]}".encode(),
        b"transfer-encoding: chunked\r\n" if head.is_chunked else b"",
        b"X-MS-COLDSTART: 1\r\n" if is_cold else b"",
        b"x-recserve-held-ms: %d\r\n" % held_ms if held_ms is not None else b"",
    )


def read_answer(
    status: int,
    reason: bytes,
    version: str,
    headers: Sequence[Header],
    *,
    request: RequestHead,
    instance_id: bytes,
    held_ms: int | None,
    keeps_client: bool,
) -> AnswerHead:
    """Check an answer's head and write it for the client.

    Args:
        status: of the answer.
        reason: behind it.
        version: of HTTP.
        headers: as the instance sent them.
        request: what is answered.
        instance_id: who answers.
        held_ms: how long the request waited; None if it did not.
        keeps_client: whether the client's connection stays open.

    Raises:
        BadAnswer: its body cannot be told from what follows.
    """
    seen: dict[bytes, bytes] = {}
    passed: list[Header] = []
    for name, value in headers:
        lower = name.lower()
        if lower not in _OF_ANSWERS:
            passed.append((name, value))
        else:
            seen[lower] = value
    encoding = seen.get(b"transfer-encoding", b"")
    if encoding and encoding.lower() != b"chunked":
        raise BadAnswer(f"transfer-encoding {_show(encoding)}")
    options = _options(seen.get(b"connection", b""))
    has_body = request.method != b"HEAD" and status not in (204, 304)
    ends_with_connection = has_body and not encoding and b"content-length" not in seen
    is_framed_by_us = has_body and (bool(encoding) or ends_with_connection)
    is_chunked = is_framed_by_us and not request.is_http_10
    keeps_client = keeps_client and not (is_framed_by_us and request.is_http_10)
    passed = _without(passed, options)
    if b"content-length" in seen and status != 204:
        passed.append((b"content-length", seen[b"content-length"]))
    if is_chunked:
        passed.append((b"transfer-encoding", b"chunked"))
    if not keeps_client:
        passed.append((b"connection", b"close"))
    elif request.is_http_10:
        passed.append((b"connection", b"keep-alive"))
    passed.append((b"x-recserve-instance", instance_id))
    if held_ms is not None:
        passed.append((b"x-recserve-held-ms", b"%d" % held_ms))
    return AnswerHead(
        b"HTTP/1.1 %d %b\r\n%b\r\n" % (status, reason, _lines(passed)),
        is_chunked,
        has_body,
        ends_with_connection,
        version == "1.1" and b"close" not in options and not ends_with_connection,
        keeps_client,
    )


def chunk(data: bytes) -> bytes:
    """Frame a piece of a chunked body."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def problem(
    status: int,
    detail: str,
    *,
    instance_id: str | None = None,
    held_ms: int | None = None,
    retry_after_s: int | None = None,
    has_body: bool = True,
    keeps_client: bool = False,
) -> bytes:
    """A whole answer of the front end's own, an RFC 9457 problem.

    Args:
        status: from 400 on.
        detail: what went wrong, and what to do.
        instance_id: which instance it is about.
        held_ms: how long the request waited; None if it did not.
        retry_after_s: when to come again.
        has_body: False for HEAD.
        keeps_client: whether the client's connection stays open.
    """
    told = {"title": _TITLES[status], "status": status, "detail": detail}
    headers: list[Header] = [(b"content-type", b"application/problem+json")]
    if instance_id is not None:
        told["instance_id"] = instance_id
        headers.append((b"x-recserve-instance", instance_id.encode()))
    if held_ms is not None:
        headers.append((b"x-recserve-held-ms", b"%d" % held_ms))
    if retry_after_s is not None:
        headers.append((b"retry-after", b"%d" % retry_after_s))
    if not keeps_client:
        headers.append((b"connection", b"close"))
    body = json.dumps(told).encode()
    headers.append((b"content-length", b"%d" % len(body)))
    head = b"HTTP/1.1 %d %b\r\n%b\r\n" % (status, _TITLES[status].encode(), _lines(headers))
    return head + body if has_body else head


def _origin_form(target: bytes) -> tuple[bytes, bytes]:
    """Path and authority of a target that is a whole URL; the authority outranks the Host header."""
    scheme, _, rest = target.partition(b"://")
    authority, slash, path = rest.partition(b"/")
    if scheme.lower() not in (b"http", b"https") or not authority or b"?" in authority or b"@" in authority:
        raise BadRequest(400, f"target {_show(target)}; send a path")
    return slash + path or b"/", authority


def _options(connection: bytes) -> frozenset[bytes]:
    if not connection:
        return frozenset()
    return frozenset(option.strip() for option in connection.lower().split(b","))


def _without(headers: list[Header], options: frozenset[bytes]) -> list[Header]:
    """Leave out what the `Connection` header names as meant for one hop."""
    if options <= {b"close", b"keep-alive", b"upgrade"}:
        return headers
    return [header for header in headers if header[0].lower() not in options]


def _lines(headers: Sequence[Header]) -> bytes:
    return b"".join([b"%b: %b\r\n" % header for header in headers])


def _show(value: bytes) -> str:
    return repr(value[:100].decode("latin-1"))
