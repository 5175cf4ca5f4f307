"""ASGI messages to `azure.functions.HttpRequest`, what a function returned to ASGI messages.

The request is put together as the host sends it to the worker (`ToRpcHttp`) and the worker decodes it
(`HttpRequestConverter`): lower-case header names, repeated headers and query values joined by commas,
empty query values left out. The response is read as `HttpResponseConverter` reads it.
"""

from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias
from urllib.parse import parse_qsl, unquote

from azure.functions import HttpResponse
from azure.functions.http import HttpRequest

from emulator.functions_host.functions import HostedFunction
from emulator.functions_host.invocation import Out

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
Header: TypeAlias = tuple[bytes, bytes]

_WITHOUT_BODY = (204, 304)
_SET_BY_SERVER = ("content-length", "transfer-encoding", "set-cookie")


class BodyTooLarge(Exception):
    """The request body is over the limit."""


class ClientDisconnected(Exception):
    """The client went away before its request was complete."""


@dataclass(slots=True)
class Response:
    """An answer, ready to be sent."""

    status: int
    headers: list[Header] = field(default_factory=list)
    body: bytes = b""


def text_response(status: int, text: str, *, content_type: str = "text/plain; charset=utf-8") -> Response:
    """Build an answer of the host's own."""
    return Response(status, [(b"content-type", content_type.encode())], text.encode())


def decoded_path(scope: Scope) -> str:
    """Decode the path, except for slashes: `%2F` stays as it is, as in ASP.NET Core."""
    raw: bytes = scope["raw_path"]
    if b"%" in raw:
        raw = raw.replace(b"%2F", b"%252F").replace(b"%2f", b"%252f")
    return unquote(raw.decode("latin-1"))


def decoded_headers(scope: Scope) -> dict[str, str]:
    """Read headers by lower-case name; repeated ones are joined by commas."""
    headers: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]},{value}" if name in headers else value
    return headers


async def read_body(receive: Receive, headers: dict[str, str], *, limit_bytes: int) -> bytes:
    """Read a whole body, and never more of it than the limit.

    Raises:
        BodyTooLarge: it is, or says that it is, over the limit.
        ClientDisconnected: it ends early.
    """
    if int(headers.get("content-length", 0)) > limit_bytes:
        raise BodyTooLarge
    message = await receive()
    if message["type"] == "http.request" and not message.get("more_body"):
        whole: bytes = message.get("body", b"")
        if len(whole) > limit_bytes:
            raise BodyTooLarge
        return whole
    chunks, n_bytes = [], 0
    while message["type"] == "http.request":
        chunk = message.get("body", b"")
        n_bytes += len(chunk)
        if n_bytes > limit_bytes:
            raise BodyTooLarge
        chunks.append(chunk)
        if not message.get("more_body"):
            return b"".join(chunks)
        message = await receive()
    raise ClientDisconnected


def http_request(
    scope: Scope, headers: dict[str, str], route_values: dict[str, str], body: bytes
) -> HttpRequest:
    """Build the request that the function receives."""
    query = scope["query_string"].decode("latin-1")
    url = f"{scope['scheme']}://{headers.get('host', '')}{scope['raw_path'].decode('latin-1')}"
    return HttpRequest(
        method=scope["method"],
        url=f"{url}?{query}" if query else url,
        headers=headers,
        params=query_values(query) if query else {},
        route_params=route_values,
        body_type="bytes",
        body=body,
    )


def query_values(query: str) -> dict[str, str]:
    """Read a query string; repeated values are joined by commas, empty ones left out."""
    values: dict[str, str] = {}
    for name, value in parse_qsl(query):
        values[name] = f"{values[name]},{value}" if name in values else value
    return values


def function_response(function: HostedFunction, result: Any, outputs: dict[str, Out]) -> Response:
    """Read what an HTTP function returned, or set as its `http` output parameter.

    Raises:
        TypeError: it is neither a response nor text.
        RuntimeError: a function that returns nothing to HTTP returned something.
    """
    if not function.returns_http:
        if result is not None:
            raise RuntimeError(
                f"function {function.name!r} without a $return binding returned a non-None value"
            )
        names = (name for name, binding in function.outputs.items() if binding == "http")
        result = next((outputs[name].get() for name in names), None)
        if result is None:
            return Response(200)
    if isinstance(result, HttpResponse):
        return _response(result)
    if isinstance(result, str):
        return text_response(200, result)
    raise TypeError(
        f"function {function.name!r} returned {type(result).__name__}; return func.HttpResponse or str"
    )


def _response(response: HttpResponse) -> Response:
    status = response.status_code
    if not isinstance(status, int) or not 200 <= status <= 599:
        raise TypeError(f"{status!r} is not a status code; give a number from 200 to 599")
    # Through a dict, because the worker sends one value a name; only cookies may repeat.
    headers = dict(response.headers.items())
    sent = [
        (name.encode("latin-1"), value.encode("latin-1"))
        for name, value in headers.items()
        if name.lower() not in _SET_BY_SERVER
    ]
    if "content-type" not in response.headers:
        sent.append((b"content-type", _content_type(response).encode("latin-1")))
    cookies = response.headers.getlist("set-cookie")
    sent += [(b"set-cookie", cookie.encode("latin-1")) for cookie in cookies]
    return Response(status, sent, response.get_body())


def _content_type(response: HttpResponse) -> str:
    charset = f"; charset={response.charset}" if response.mimetype.startswith("text/") else ""
    return f"{response.mimetype}{charset}"


async def send_response(send: Send, response: Response) -> None:
    """Send an answer in two messages."""
    headers = response.headers
    if response.status not in _WITHOUT_BODY:
        headers.append((b"content-length", b"%d" % len(response.body)))
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    body = b"" if response.status in _WITHOUT_BODY else response.body
    await send({"type": "http.response.body", "body": body})
