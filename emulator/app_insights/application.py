"""The ASGI application: every request's way through the emulator, top to bottom."""

import asyncio
import logging
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import parse_qs

import duckdb
import msgspec

from emulator.app_insights.answers import error_json, plain_error_json, table_json
from emulator.app_insights.envelopes import Batch
from emulator.app_insights.errors import (
    BadRequest,
    BadTimespan,
    QueryError,
    QueryTimeout,
    StoreFull,
    TooLarge,
)
from emulator.app_insights.faults import Fault, Faults
from emulator.app_insights.ingestion import Ingestion
from emulator.app_insights.queries import DEFAULT_TIMEOUT_S, Queries
from emulator.app_insights.store import Store
from emulator.functions_host.http_io import (
    BodyTooLarge,
    ClientDisconnected,
    Header,
    Receive,
    Response,
    Scope,
    Send,
    decoded_headers,
    decoded_path,
    read_body,
    send_response,
)

log = logging.getLogger(__name__)

BODY_LIMIT_BYTES = 16 * 1024 * 1024
"Of a body on the wire."
INFLATED_LIMIT_BYTES = 32 * 1024 * 1024
_DRAIN_BYTES = 256 * 1024 * 1024
_RETRY_AFTER_FULL_S = 10
_N_QUERY_THREADS = 4


class QueryRequest(msgspec.Struct):
    """Body of a query."""

    query: str
    timespan: str | None = None


class AppInsights:
    """Ingestion and queries over one store.

    Args:
        connection_string: told to who asks `/`.
    """

    def __init__(
        self, store: Store, *, ingestion: Ingestion, faults: Faults, connection_string: str = ""
    ) -> None:
        self._store = store
        self._ingestion = ingestion
        self._faults = faults
        self._connection_string = connection_string
        self._queries = Queries(store)
        self._threads = ThreadPoolExecutor(_N_QUERY_THREADS, "query")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        headers = decoded_headers(scope)
        try:
            response = await self._respond(scope, headers, receive)
        except BodyTooLarge:
            await _drain(receive)
            message = f"the body is over {BODY_LIMIT_BYTES} bytes; send smaller batches"
            response = _track_refusal(413, message, [(b"connection", b"close")])
        except ClientDisconnected:
            return
        except asyncio.CancelledError:
            # The server is stopping and the time for running requests is up.
            response = Response(503)
        await send_response(send, response)

    async def _respond(self, scope: Scope, headers: dict[str, str], receive: Receive) -> Response:
        method, path = scope["method"], decoded_path(scope)
        # Without empty parts: the exporters put //v2.1/track after an endpoint that ends with a slash.
        match method, *filter(None, path.lower().split("/")):
            case "POST", "v2" | "v2.1", "track":
                return await self._track(headers, receive)
            case "POST", "v1", "workspaces", _, "query":
                body = await read_body(receive, headers, limit_bytes=BODY_LIMIT_BYTES)
                return await self._query_of_body(body, headers)
            case "GET", "v1", "workspaces", _, "query":
                return await self._query_of_address(scope, headers)
            case "GET" | "PUT" | "DELETE", "admin", "faults":
                return await self._switch(method, headers, receive)
            case ("GET",):
                return _json(200, self._status())
        return _json(404, plain_error_json("PathNotFoundError", f"there is no {method} {path} here"))

    async def _track(self, headers: dict[str, str], receive: Receive) -> Response:
        body = await read_body(receive, headers, limit_bytes=BODY_LIMIT_BYTES)
        fault = await self._faults.next()
        if fault.status is not None:
            return _failure(fault)
        try:
            is_gzip = headers.get("content-encoding", "").strip().lower() == "gzip"
            return _track_answer(await self._ingestion.take(body, is_gzip=is_gzip))
        except BadRequest as err:
            return _track_refusal(400, str(err))
        except TooLarge as err:
            return _track_refusal(413, str(err))
        except StoreFull as err:
            return _track_refusal(503, str(err), [(b"retry-after", b"%d" % _RETRY_AFTER_FULL_S)])

    async def _query_of_body(self, body: bytes, headers: dict[str, str]) -> Response:
        try:
            request = msgspec.json.decode(body, type=QueryRequest)
        except msgspec.DecodeError as err:
            return _json(400, plain_error_json("BadArgumentError", f"the body is no query: {err}"))
        return await self._query(request, headers)

    async def _query_of_address(self, scope: Scope, headers: dict[str, str]) -> Response:
        values = parse_qs(scope["query_string"].decode("latin-1"))
        if "query" not in values:
            return _json(400, plain_error_json("BadArgumentError", "the query parameter `query` is missing"))
        request = QueryRequest(values["query"][0], values.get("timespan", [None])[0])
        return await self._query(request, headers)

    async def _query(self, request: QueryRequest, headers: dict[str, str]) -> Response:
        preferences = dict(
            part.strip().partition("=")[::2] for part in headers.get("prefer", "").lower().split(",")
        )
        wait = preferences.get("wait", "")
        timeout_s = float(wait) if wait.isdigit() and int(wait) else DEFAULT_TIMEOUT_S
        started_s = time.perf_counter()
        try:
            body = await asyncio.get_running_loop().run_in_executor(
                self._threads, self._answer, request, timeout_s
            )
        except QueryTimeout as err:
            return _json(504, plain_error_json("GatewayTimeout", str(err)))
        except BadTimespan as err:
            return _json(400, plain_error_json("BadArgumentError", str(err)))
        except QueryError as err:
            return _json(400, error_json(err))
        except duckdb.Error as err:
            log.error("a query failed: %s", err)
            return _json(500, plain_error_json("InternalServerError", str(err).partition("\n")[0]))
        if "include-statistics" in preferences:
            body["statistics"] = {"query": {"executionTime": time.perf_counter() - started_s}}
        return _json(200, body)

    def _answer(self, request: QueryRequest, timeout_s: float) -> dict[str, Any]:
        return table_json(self._queries.answer(request.query, request.timespan, timeout_s=timeout_s))

    async def _switch(self, method: str, headers: dict[str, str], receive: Receive) -> Response:
        """Show, set or clear the fault that ingestion meets."""
        if method == "PUT":
            body = await read_body(receive, headers, limit_bytes=BODY_LIMIT_BYTES)
            try:
                self._faults.switch(msgspec.json.decode(body, type=Fault))
            except (msgspec.DecodeError, ValueError) as err:
                return _json(400, plain_error_json("BadArgumentError", str(err)))
        elif method == "DELETE":
            self._faults.switch(Fault())
        return _json(200, {"fault": self._faults.fault, "n_left": self._faults.n_left})

    def _status(self) -> dict[str, Any]:
        volume = self._store.volume()
        return {
            "status": "ready",
            "connectionString": self._connection_string,
            "journalBytes": self._store.journal_bytes,
            "tables": {table: {"files": files, "bytes": size} for table, (files, size) in volume.items()},
        }


async def _drain(receive: Receive) -> None:
    """Let the rest of a refused body pass: a sender that is cut off while it sends sees no answer."""
    n_bytes, message = 0, await receive()
    while message["type"] == "http.request" and message.get("more_body") and n_bytes < _DRAIN_BYTES:
        n_bytes += len(message.get("body", b""))
        message = await receive()


def _track_answer(batch: Batch) -> Response:
    """200 when all items are accepted, 206 when some are, 400 when none is."""
    n_refused = len(batch.refusals)
    status = 200 if not n_refused else 400 if n_refused == batch.n_received else 206
    errors = [
        {"index": refusal.index, "statusCode": 400, "message": refusal.message} for refusal in batch.refusals
    ]
    return _json(
        status,
        {
            "itemsReceived": batch.n_received,
            "itemsAccepted": batch.n_accepted,
            "appId": None,
            "errors": errors,
        },
    )


def _track_refusal(status: int, message: str, headers: list[Header] | None = None) -> Response:
    """An answer to a body of which nothing was taken."""
    errors = [{"index": 0, "statusCode": status, "message": message}]
    body = {"itemsReceived": 0, "itemsAccepted": 0, "appId": None, "errors": errors}
    return _json(status, body, headers)


def _failure(fault: Fault) -> Response:
    headers: list[Header] = []
    if fault.retry_after_s is not None:
        headers.append((b"retry-after", b"%d" % fault.retry_after_s))
    assert fault.status is not None
    return _track_refusal(fault.status, "a fault that was switched on at /admin/faults", headers)


def _json(status: int, value: Any, headers: list[Header] | None = None) -> Response:
    kept = [(b"content-type", b"application/json; charset=utf-8"), *(headers or [])]
    return Response(status, kept, msgspec.json.encode(value))
