"""The ASGI application: every request's way through the host, top to bottom."""

import asyncio
import logging
from pathlib import Path
from uuid import uuid4

from azure.functions.http import HttpRequest

from emulator.functions_host.admin import AdminEndpoints
from emulator.functions_host.cors import CorsPolicy
from emulator.functions_host.functions import HostedFunction
from emulator.functions_host.http_io import (
    BodyTooLarge,
    ClientDisconnected,
    Receive,
    Response,
    Scope,
    Send,
    decoded_headers,
    decoded_path,
    function_response,
    http_request,
    read_body,
    send_response,
    text_response,
)
from emulator.functions_host.invocation import InvocationFailed, Invoker
from emulator.functions_host.keys import Keys, presented_key
from emulator.functions_host.routes import RouteTable
from emulator.functions_host.settings import HostJson
from emulator.functions_host.telemetry import RequestSpans
from emulator.functions_host.throttle import RequestQueue

logger = logging.getLogger("host")

_ADMIN = "/admin/"
_HOME_PAGE = """<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>Your Functions app is up and running</title></head>
<body><h1>Your Functions 4.0 app is up and running</h1>
<p>Its functions are listed under <a href="/admin/functions">/admin/functions</a>.</p></body>
</html>
"""


class FunctionsHost:
    """Serves one instance of a function app.

    Args:
        keys: None leaves auth levels unenforced, as Core Tools do by default.
        cors: None answers no cross-origin request.
        body_limit_bytes: larger requests are refused with 413.
        base_url: where the host is reached, without a slash at the end.
        spans: of requests; None exports none.
    """

    def __init__(
        self,
        functions: list[HostedFunction],
        *,
        host_json: HostJson,
        invoker: Invoker,
        script_root: Path,
        base_url: str,
        body_limit_bytes: int,
        keys: Keys | None = None,
        cors: CorsPolicy | None = None,
        spans: RequestSpans | None = None,
    ) -> None:
        http = host_json.extensions.http
        self._routes = RouteTable(functions, prefix=http.route_prefix)
        self._queue = RequestQueue(http)
        self._custom_headers = [
            (name.lower().encode("latin-1"), value.encode("latin-1"))
            for name, value in http.custom_headers.items()
        ]
        self._invoker = invoker
        self._spans = spans
        self._prefix = f"/{http.route_prefix}".rstrip("/")
        self._keys = keys
        self._cors = cors
        self._body_limit_bytes = body_limit_bytes
        self._admin = AdminEndpoints(
            functions,
            invoker=invoker,
            script_root=script_root,
            base_url=base_url,
            route_prefix=http.route_prefix,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        headers = decoded_headers(scope)
        try:
            response = await self._respond(scope, headers, receive)
        except BodyTooLarge:
            # The rest of the body is on its way: only a closed connection spares us reading it.
            response = Response(413, [(b"connection", b"close")])
        except ClientDisconnected:
            return
        except asyncio.CancelledError:
            # The server is stopping and the time for running requests is up.
            response = Response(503)
        if self._cors is not None:
            response.headers += self._cors.response_headers(headers)
        if self._custom_headers:
            present = {name.lower() for name, _ in response.headers}
            response.headers += [header for header in self._custom_headers if header[0] not in present]
        try:
            await send_response(send, response)
        except RuntimeError as err:
            # uvloop has closed the connection of a client that is gone, and has not told uvicorn yet.
            if "the handler is closed" not in str(err):
                raise

    async def _respond(self, scope: Scope, headers: dict[str, str], receive: Receive) -> Response:
        method, path = scope["method"], decoded_path(scope)
        if self._cors is not None and (preflight := self._cors.preflight_response(method, headers)):
            return preflight
        if path[: len(_ADMIN)].lower() == _ADMIN:
            return await self._administer(scope, headers, receive, path[len(_ADMIN) :].rstrip("/"))
        match = self._routes.find(method, path)
        if match is None:
            return _home_page() if path == "/" else Response(404)
        if match.function is None:
            return Response(405, [(b"allow", match.allowed_methods.encode())])
        if not self._is_authorized(match.function, headers, scope):
            return Response(401)
        if not self._queue.is_enabled:
            return await self._invoke(match.function, scope, headers, match.values, receive)
        if self._queue.is_full:
            # HttpThrottleMiddleware.RejectRequest; the header asks the platform for more instances.
            return Response(429, [(b"x-function-scaleout", b"1")])
        async with self._queue:
            return await self._invoke(match.function, scope, headers, match.values, receive)

    async def _invoke(
        self,
        function: HostedFunction,
        scope: Scope,
        headers: dict[str, str],
        route_values: dict[str, str],
        receive: Receive,
    ) -> Response:
        invocation_id = str(uuid4())
        span = self._spans.begin(headers, invocation_id) if self._spans is not None else None
        body = await read_body(receive, headers, limit_bytes=self._body_limit_bytes)
        request = http_request(scope, headers, route_values, body)
        of_trace = headers if span is None else {**headers, "traceparent": span.trace_parent}
        response = await self._call(function, request, of_trace, invocation_id)
        if self._spans is not None and span is not None and function.http is not None:
            self._spans.end(
                span,
                name=function.name,
                method=scope["method"],
                route=f"{self._prefix}/{function.http.template.text}",
                status=response.status,
            )
        return response

    async def _call(
        self, function: HostedFunction, request: HttpRequest, headers: dict[str, str], invocation_id: str
    ) -> Response:
        try:
            result, outputs = await self._invoker.invoke(
                function, request, headers=headers, invocation_id=invocation_id
            )
        except InvocationFailed:
            return Response(500)
        try:
            return function_response(function, result, outputs)
        except (TypeError, RuntimeError, UnicodeEncodeError) as err:
            logger.error("Executed 'Functions.%s' (Failed): %s", function.name, err)
            return Response(500)

    async def _administer(
        self, scope: Scope, headers: dict[str, str], receive: Receive, path: str
    ) -> Response:
        if self._keys is not None and self._admin.needs_key(path):
            key = presented_key(headers, scope["query_string"])
            if not self._keys.allow("admin", key):
                return Response(401)
        body = await read_body(receive, headers, limit_bytes=self._body_limit_bytes)
        return await self._admin.respond(scope["method"], path, body)

    def _is_authorized(self, function: HostedFunction, headers: dict[str, str], scope: Scope) -> bool:
        if self._keys is None or function.http is None:
            return True
        key = presented_key(headers, scope["query_string"])
        return self._keys.allow(function.http.auth_level, key, function_name=function.name)


def _home_page() -> Response:
    return text_response(200, _HOME_PAGE, content_type="text/html; charset=utf-8")
