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
    Busy,
    QueryCancelled,
    QueryError,
    QueryTimeout,
    StoreFull,
    TooLarge,
)
from emulator.app_insights.faults import FAULT_MESSAGE, Fault, Faults
from emulator.app_insights.ingestion import Ingestion
from emulator.app_insights.queries import DEFAULT_TIMEOUT_S, Queries, QueryRun
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
                return await self._query_of_body(body, headers, receive)
            case "GET", "v1", "workspaces", _, "query":
                return await self._query_of_address(scope, headers, receive)
            case "GET" | "PUT" | "DELETE", "admin", "faults":
                return await self._switch(method, headers, receive)
            case ("GET",):
                return _json(200, self._status())
        return _json(404, plain_error_json("PathNotFoundError", f"there is no {method} {path} here"))

    async def _track(self, headers: dict[str, str], receive: Receive) -> Response:
        body = await read_body(receive, headers, limit_bytes=BODY_LIMIT_BYTES)
        fault = await self._faults.next()
        if fault.status is not None and fault.every is None:
            return _failure(fault)
        try:
            is_gzip = headers.get("content-encoding", "").strip().lower() == "gzip"
            batch = await self._ingestion.take(body, is_gzip=is_gzip, refuse=fault.status_of)
            return _track_answer(batch, _retry_after(fault) if batch.refusals else [])
        except BadRequest as err:
            return _track_refusal(400, str(err))
        except TooLarge as err:
            return _track_refusal(413, str(err))
        except (StoreFull, Busy) as err:
            return _track_refusal(503, str(err), [(b"retry-after", b"%d" % _RETRY_AFTER_FULL_S)])

    async def _query_of_body(self, body: bytes, headers: dict[str, str], receive: Receive) -> Response:
        try:
            request = msgspec.json.decode(body, type=QueryRequest)
        except (msgspec.DecodeError, RecursionError) as err:
            return _json(400, plain_error_json("BadArgumentError", f"the body is no query: {err}"))
        return await self._query(request, headers, receive)

    async def _query_of_address(self, scope: Scope, headers: dict[str, str], receive: Receive) -> Response:
        values = parse_qs(scope["query_string"].decode("latin-1"))
        if "query" not in values:
            return _json(400, plain_error_json("BadArgumentError", "the query parameter `query` is missing"))
        request = QueryRequest(values["query"][0], values.get("timespan", [None])[0])
        return await self._query(request, headers, receive)

    async def _query(self, request: QueryRequest, headers: dict[str, str], receive: Receive) -> Response:
        preferences = dict(
            part.strip().partition("=")[::2] for part in headers.get("prefer", "").lower().split(",")
        )
        wait = preferences.get("wait", "")
        timeout_s = float(wait) if wait.isdecimal() and int(wait) else DEFAULT_TIMEOUT_S
        started_s = time.perf_counter()
        run = QueryRun()
        leaving = asyncio.ensure_future(_cancelled_by_leaving(receive, run))
        try:
            body = await asyncio.get_running_loop().run_in_executor(
                self._threads, self._answer, request, timeout_s, run
            )
        except QueryCancelled as err:
            raise ClientDisconnected from err
        except QueryTimeout as err:
            return _json(504, plain_error_json("GatewayTimeout", str(err)))
        except BadTimespan as err:
            return _json(400, plain_error_json("BadArgumentError", str(err)))
        except QueryError as err:
            return _json(400, error_json(err))
        except duckdb.Error as err:
            log.error("a query failed: %s", err)
            return _json(500, plain_error_json("InternalServerError", str(err).partition("\n")[0]))
        finally:
            leaving.cancel()
            run.cancel()
        if "include-statistics" in preferences:
            body["statistics"] = {"query": {"executionTime": time.perf_counter() - started_s}}
        return _json(200, body)

    def _answer(self, request: QueryRequest, timeout_s: float, run: QueryRun) -> dict[str, Any]:
        answer = self._queries.answer(request.query, request.timespan, timeout_s=timeout_s, run=run)
        return table_json(answer)

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


async def _cancelled_by_leaving(receive: Receive, run: QueryRun) -> None:
    """Cancel a query whose asker has hung up; its body must have been read."""
    while (await receive())["type"] != "http.disconnect":
        pass
    run.cancel()


async def _drain(receive: Receive) -> None:
    """Let the rest of a refused body pass: a sender that is cut off while it sends sees no answer."""
    n_bytes, message = 0, await receive()
    while message["type"] == "http.request" and message.get("more_body") and n_bytes < _DRAIN_BYTES:
        n_bytes += len(message.get("body", b""))
        message = await receive()


def _track_answer(batch: Batch, headers: list[Header]) -> Response:
    """200 when all items are accepted, 206 when some are or may be later, 400 when none can be."""
    statuses = {refusal.status for refusal in batch.refusals}
    status = 200 if not statuses else 400 if statuses == {400} and not batch.n_accepted else 206
    errors = [
        {"index": refusal.index, "statusCode": refusal.status, "message": refusal.message}
        for refusal in batch.refusals
    ]
    return _json(
        status,
        {
            "itemsReceived": batch.n_received,
            "itemsAccepted": batch.n_accepted,
            "appId": None,
            "errors": errors,
        },
        headers,
    )


def _track_refusal(status: int, message: str, headers: list[Header] | None = None) -> Response:
    """An answer to a body of which nothing was taken."""
    errors = [{"index": 0, "statusCode": status, "message": message}]
    body = {"itemsReceived": 0, "itemsAccepted": 0, "appId": None, "errors": errors}
    return _json(status, body, headers)


def _failure(fault: Fault) -> Response:
    assert fault.status is not None
    return _track_refusal(fault.status, FAULT_MESSAGE, _retry_after(fault))


def _retry_after(fault: Fault) -> list[Header]:
    return [] if fault.retry_after_s is None else [(b"retry-after", b"%d" % fault.retry_after_s)]


def _json(status: int, value: Any, headers: list[Header] | None = None) -> Response:
    kept = [(b"content-type", b"application/json; charset=utf-8"), *(headers or [])]
    return Response(status, kept, msgspec.json.encode(value))
