"""Kinds of case that break HTTP itself, or the patience of a server."""

import json
from collections.abc import Callable, Sequence

from benchmarks.fuzz.cases import QUESTION, Case, Draw, Ending

METHODS = (
    "GET",
    "POST",
    "PUT",
    "PATCH",
    "DELETE",
    "HEAD",
    "OPTIONS",
    "TRACE",
    "CONNECT",
    "PROPFIND",
    "get",
    "G\xcbT",
)


def noise(draw: Draw) -> Case:
    data = draw.rng.randbytes(draw.rng.choice((1, 16, 256, 4096, 70_000)))
    return Case(kind="noise", parts=[data], ending="maybe")


def spoilt_request(draw: Draw) -> Case:
    return Case(kind="spoilt request", parts=[draw.spoil(draw.good())], ending="maybe")


def request_line(draw: Draw) -> Case:
    target = draw.rng.choice(
        (
            "*",
            "",
            "/",
            "//",
            "http://elsewhere/api/popular",
            "/api/popular HTTP/1.1 x",
            "/api/\0",
            "/api/%",
            "/api/%zz",
            "/api/popular#x",
            "?",
            "/" + "a" * draw.rng.choice((100, 70_000)),
            "/api/é",
            "\\api\\popular",
            "localhost:80",
        )
    )
    version = draw.rng.choice(
        ("HTTP/1.1", "HTTP/1.0", "HTTP/0.9", "HTTP/2.0", "HTTP/9.9", "HTTP/1.1 ", "", "ICY", "http/1.1")
    )
    method = draw.rng.choice(METHODS)
    line = f"{method} {target} {version}\r\nhost: localhost\r\n\r\n".encode()
    return Case(kind="request line", parts=[line], ending="maybe", has_body=method != "HEAD")


def unusual_method(draw: Draw) -> Case:
    method = draw.rng.choice(METHODS)
    target = f"/{draw.rng.choice(('api/popular', 'api/recommend', 'admin/host/status', 'api/users/ana', 'nowhere'))}"
    sent = draw.head(method, target, "content-length: 2") + b"{}"
    ending: Ending = "maybe" if method in ("CONNECT", "get", "G\xcbT") else "answer"
    return Case(kind="unusual method", parts=[sent], ending=ending, has_body=method != "HEAD")


def odd_headers(draw: Draw) -> Case:
    lines = draw.rng.choices(
        (
            "host: elsewhere",
            "content-type: text/plain",
            "content-type: application/json; charset=utf-16",
            "no colon",
            "space : before",
            ": no name",
            " folded",
            "\tfolded",
            "nul: \0",
            "control: \x01\x7f",
            "latin: \xe9",
            "text: é💥",
            "transfer-encoding: identity",
            "expect: 100-continue",
            "expect: a miracle",
            "upgrade: websocket",
            "connection: upgrade",
            "connection: close, keep-alive",
            "upgrade: h2c",
            "accept: " + "x" * 5000,
            "content-encoding: br",
            "cookie: " + "a=b;" * 500,
            "range: bytes=0-",
            "x-http-method-override: DELETE",
            "x-forwarded-for: " + "1.2.3.4," * 200,
            "x-original-url: /admin/host/status",
            "authorization: Basic ====",
            "if-none-match: *",
            "te: trailers",
            "x-functions-key: ",
            "x-ms-client-principal: e30=",
            "x" * 300 + ": y",
        ),
        k=draw.rng.randrange(1, 6),
    )
    sent = draw.head("POST", "/api/recommend", *lines, "content-type: application/json", "content-length: 9")
    return Case(kind="odd headers", parts=[sent + b'{"k": 5}\n'], ending="maybe")


def many_headers(draw: Draw) -> Case:
    if draw.rng.random() < 0.5:
        lines = [f"x-{number}: y" for number in range(draw.rng.choice((100, 1000, 5000)))]
    else:
        lines = ["x: " + "y" * draw.rng.choice((8_000, 16_000, 64_000, 1_000_000))]
    return Case(kind="many headers", parts=[draw.head("GET", "/api/popular", *lines)], ending="maybe")


def head_without_end(draw: Draw) -> Case:
    sent = draw.good().partition(b"\r\n\r\n")[0]
    return Case(
        kind="head without end", parts=[sent + b"\r\nx: " + b"y" * draw.rng.randrange(9)], ending="maybe"
    )


def wrong_length(draw: Draw) -> Case:
    body = json.dumps(QUESTION).encode()
    length = draw.rng.choice(
        (
            "-1",
            "0",
            "1",
            "+36",
            "0036",
            "36 ",
            "3 6",
            "36,36",
            "x",
            "",
            "1e1",
            "99999999999999999999",
            str(len(body) + 5),
            "104857601",
        )
    )
    twice = [f"content-length: {len(body)}"] if draw.rng.random() < 0.3 else []
    lines = ["content-type: application/json", f"content-length: {length}", *twice]
    return Case(
        kind="wrong length", parts=[draw.head("POST", "/api/recommend", *lines) + body], ending="maybe"
    )


def chunked(draw: Draw) -> Case:
    body = json.dumps(QUESTION).encode()
    size = f"{len(body):x}".encode()
    sent = draw.rng.choice(
        (
            size + b"\r\n" + body + b"\r\n0\r\n\r\n",
            size + b";extension=" + b"x" * 5000 + b"\r\n" + body + b"\r\n0\r\n\r\n",
            b"ffffffffffffffff\r\n" + body,
            b"fffffffffffffffff\r\n" + body,
            b"-1\r\n" + body,
            b"xyz\r\n" + body,
            b"\r\n" + body,
            b"0" * 5000 + size + b"\r\n" + body + b"\r\n0\r\n\r\n",
            size + b"\n" + body + b"\n0\n\n",
            size + b"\r\n" + body,
            b"1\r\n{\r\n" * 3000 + b"0\r\n\r\n",
            size + b"\r\n" + body + b"\r\n0\r\ntrailer: x\r\ncontent-length: 5\r\n\r\n",
        )
    )
    coding = draw.rng.choice(
        ("chunked", "chunked", "chunked", "gzip, chunked", "chunked, chunked", "Chunked", "xchunked")
    )
    both = ["content-length: 5"] if draw.rng.random() < 0.2 else []
    lines = ["content-type: application/json", f"transfer-encoding: {coding}", *both]
    return Case(kind="chunked", parts=[draw.head("POST", "/api/recommend", *lines) + sent], ending="maybe")


def pipelined(draw: Draw) -> Case:
    """Several requests at once, without waiting for answers; sometimes the last is spoilt."""
    requests = [draw.good() for _ in range(draw.rng.randrange(2, 9))]
    if draw.rng.random() < 0.3:
        spoilt = b"".join([*requests[:-1], draw.spoil(requests[-1])])
        return Case(kind="pipelined", parts=[spoilt], n_requests=len(requests), ending="maybe")
    return Case(kind="pipelined", parts=[b"".join(requests)], n_requests=len(requests))


def slow_sender(draw: Draw) -> Case:
    sent = draw.good()
    cuts = sorted(draw.rng.sample(range(1, len(sent)), k=min(len(sent) - 1, draw.rng.randrange(2, 12))))
    parts = [sent[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(sent)], strict=True)]
    return Case(kind="slow sender", parts=parts, pause_s=draw.rng.choice((0.01, 0.03, 0.1)))


def truncated(draw: Draw) -> Case:
    sent = draw.good()
    ending: Ending = draw.rng.choice(("maybe", "leave", "reset"))
    return Case(kind="truncated", parts=[sent[: draw.rng.randrange(1, len(sent))]], ending=ending)


def nobody_waits(draw: Draw) -> Case:
    """A request without fault, whose sender is gone before the answer."""
    ending: Ending = draw.rng.choice(("leave", "reset"))
    return Case(kind="nobody waits", parts=[draw.good()], ending=ending)


def without_fault(draw: Draw) -> Case:
    return Case(kind="without fault", parts=[draw.good()])


KINDS: Sequence[Callable[[Draw], Case]] = (
    noise,
    spoilt_request,
    request_line,
    unusual_method,
    odd_headers,
    many_headers,
    head_without_end,
    wrong_length,
    chunked,
    pipelined,
    slow_sender,
    truncated,
    nobody_waits,
    without_fault,
)
