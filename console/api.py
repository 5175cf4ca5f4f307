"""A client of the recommendation API: questions in, answers and sentences about failures out."""

import shlex
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import httpx

from console.api_values import (
    Answer,
    CatalogueItem,
    Event,
    Ladder,
    Question,
    read_answer,
    read_ladder,
    read_page,
    read_problem,
)
from console.trace_ids import new_trace_id, trace_parent

DEFAULT_URL = "http://127.0.0.1:7071/api"
CONNECT_TIMEOUT_S = 2.0
ANSWER_TIMEOUT_S = 10.0
PAGE_SIZE = 1000
"The largest page of the catalogue that the API gives."
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Address:
    """Where the API is."""

    url: str = DEFAULT_URL
    "Up to and including the route prefix, without a slash at the end."
    key: str = ""
    "Function key; empty where the host asks for none."


class ApiError(Exception):
    """Why there is no answer, in sentences for a person.

    Args:
        what: what happened.
        remedy: what to do about it.
        detail: the API's own words, if it said any. They may repeat what was sent: show them as plain text.
        is_temporary: asking again later may help, with nothing else changed.
    """

    def __init__(self, what: str, remedy: str, *, detail: str = "", is_temporary: bool = False) -> None:
        super().__init__(what, remedy, detail)
        self.what = what
        self.remedy = remedy
        self.detail = detail
        self.is_temporary = is_temporary


def read_address(environ: Mapping[str, str]) -> Address:
    url = environ.get("RECSERVE_API_URL") or DEFAULT_URL
    return Address(url.rstrip("/"), environ.get("RECSERVE_API_KEY", ""))


class Api:
    """The recommendation API at one address. Keeps its connection; may be shared by threads.

    Every method that asks raises `ApiError` when there is no answer.
    """

    def __init__(self, address: Address, *, timeout_s: float = ANSWER_TIMEOUT_S) -> None:
        self._address = address
        self._timeout_s = timeout_s
        self._client = httpx.Client(
            headers={"x-functions-key": address.key} if address.key else {},
            timeout=httpx.Timeout(timeout_s, connect=CONNECT_TIMEOUT_S),
        )

    def check_ready(self) -> None:
        """Return if the API can answer. Unlike a question, this never waits for one that is starting."""
        self._send(self._request("GET", "health/ready"))

    def catalogue(self, limit: int) -> tuple[CatalogueItem, ...]:
        """The most popular items, the most popular first, at most `limit`."""
        items: list[CatalogueItem] = []
        total = limit
        while len(items) < min(total, limit):
            size = min(PAGE_SIZE, limit - len(items))
            response, _ = self._send(self._request("GET", f"items?limit={size}&offset={len(items)}"))
            page, total = self._understand(response, read_page)
            if not page:
                break
            items += page
        return tuple(items)

    def recommend(self, question: Question) -> Answer:
        """Ask; the answer's trace is one that sampling keeps."""
        trace_id = new_trace_id()
        request = self._question(question)
        request.headers["traceparent"] = trace_parent(trace_id)
        response, round_trip_ms = self._send(request)
        return self._understand(
            response, lambda body: read_answer(body, response.headers, round_trip_ms, trace_id)
        )

    def record(self, event: Event) -> bool:
        """Tell what a user did; the next answer for that user takes it into account.

        Returns:
            False if it is kept, but the next answer may come before it is in the user's history.
        """
        told = {
            "event_id": f"console-{uuid.uuid4()}",
            "user_id": event.user_id,
            "item_id": event.item_id,
            "kind": event.kind,
        }
        if event.recommendation_id:
            told["recommendation_id"] = event.recommendation_id
        response, _ = self._send(self._request("POST", "events", json={"events": [told]}))
        return self._understand(response, lambda body: not body["is_deferred"])

    def ladder(self) -> Ladder:
        """The models that are served, with what was measured of them."""
        response, _ = self._send(self._request("GET", "models"))
        return self._understand(response, read_ladder)

    def curl(self, question: Question) -> str:
        """The shell command that asks the same question; it names the key's variable, never the key."""
        request = self._question(question)
        arguments = ["curl " + shlex.quote(str(request.url))]
        if self._address.key:
            arguments.append('-H "x-functions-key: $RECSERVE_API_KEY"')
        if request.content:
            arguments.append("-H 'content-type: application/json'")
            arguments.append(f"-d {shlex.quote(request.content.decode())}")
        return " \\\n  ".join(arguments)

    def _question(self, question: Question) -> httpx.Request:
        # A user id goes into the body: as a part of the path, ids such as ".." would not survive.
        whom = {"user_id": question.user_id} if question.user_id else {"history": list(question.history)}
        return self._request("POST", "recommend", json={**whom, "k": question.k})

    def _request(self, method: str, path: str, *, json: object = None) -> httpx.Request:
        try:
            return self._client.build_request(method, f"{self._address.url}/{path}", json=json)
        except httpx.InvalidURL as err:
            raise self._unreachable() from err

    def _send(self, request: httpx.Request) -> tuple[httpx.Response, float]:
        """The response, if it is a success, and the milliseconds it took."""
        sent_s = time.perf_counter()
        try:
            response = self._client.send(request)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.UnsupportedProtocol) as err:
            raise self._unreachable() from err
        except httpx.TimeoutException as err:
            raise ApiError(
                f"The API did not answer within {self._timeout_s:g} s.",
                "Ask again; if it stays slow, its log says what it is waiting for.",
                is_temporary=True,
            ) from err
        except httpx.HTTPError as err:
            raise ApiError(
                "The connection broke before the answer was complete.",
                "Ask again; the API may just have been restarted.",
                is_temporary=True,
            ) from err
        round_trip_ms = (time.perf_counter() - sent_s) * 1e3
        if not response.is_success:
            raise self._refusal(response)
        return response, round_trip_ms

    def _understand(self, response: httpx.Response, read: Callable[[Any], T]) -> T:
        try:
            return read(response.json())
        except (ValueError, KeyError, TypeError, AttributeError) as err:
            raise self._stranger() from err

    def _unreachable(self) -> ApiError:
        return ApiError(
            f"No recommendation API answers at `{self._address.url}`.",
            "Start one with `make run`, or set `RECSERVE_API_URL` to where yours is.",
            is_temporary=True,
        )

    def _stranger(self) -> ApiError:
        return ApiError(
            f"What answers at `{self._address.url}` is not a recommendation API.",
            f"Set `RECSERVE_API_URL` to one, with its route prefix, such as `{DEFAULT_URL}`.",
        )

    def _refusal(self, response: httpx.Response) -> ApiError:
        """An error status as sentences; `detail` comes from problem details (RFC 9457)."""
        detail = read_problem(response)
        match response.status_code:
            case 401 | 403:
                return ApiError(
                    "The API refused the function key."
                    if self._address.key
                    else "The API wants a function key.",
                    "Set `RECSERVE_API_KEY` to a key of this function app.",
                    detail=detail,
                )
            case 404 if not detail:
                return self._stranger()
            case 429:
                wait = response.headers.get("retry-after", "")
                return ApiError(
                    "The API has as much work as it accepts, and turned this question away.",
                    f"Ask again in {wait} s." if wait.isdigit() else "Ask again in a moment.",
                    detail=detail,
                    is_temporary=True,
                )
            case 503:
                return ApiError(
                    "The API is not ready to answer.",
                    "A process that starts needs a few seconds; if this stays, its log says why.",
                    detail=detail,
                    is_temporary=True,
                )
            case status if status >= 500:
                return ApiError(
                    f"The API failed (status {status}).",
                    "Its log says why.",
                    detail=detail,
                    is_temporary=True,
                )
            case status:
                return ApiError(
                    f"The API does not accept this question (status {status}).",
                    "Change the question as it says below." if detail else "Its log says why.",
                    detail=detail,
                )
