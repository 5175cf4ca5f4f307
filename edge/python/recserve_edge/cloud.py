"""What the service is asked: recommendations, and to keep events. Only what reads like its answer counts as one."""

import json
import math
from collections.abc import Sequence
from time import perf_counter
from typing import Any, Literal, NamedTuple

from recserve_edge.bundle import Item
from recserve_edge.errors import CloudFailed, InvalidRequest
from recserve_edge.request import ItemId, Request
from recserve_edge.wire import Reply, Service

REFUSED = (400, 413, 415, 422)
"Statuses that say that the request itself is at fault, and would be at any time."
MAX_ANSWER_BYTES = 2**20
MAX_RETRY_AFTER_S = 3600.0
JSON = {"content-type": "application/json"}


class CloudAnswer(NamedTuple):
    items: list[Item]
    version: str
    "Of the models that answered."
    recommendation_id: str
    degraded: tuple[str, ...]
    round_trip_ms: float


class Posted(NamedTuple):
    """What became of events and a report that were sent."""

    outcome: Literal["kept", "refused", "failed"]
    detail: str = ""
    retry_after_s: float | None = None


class Cloud:
    """The service's side of what a device does."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def recommend(self, request: Request, history: Sequence[ItemId], *, timeout_s: float) -> CloudAnswer:
        """Ask for a list.

        Args:
            request: what is wanted.
            history: what the service is told of the user, oldest first.
            timeout_s: for all of it; the service is told of the request's own deadline only.

        Raises:
            CloudFailed: no answer, or none of this service.
            InvalidRequest: the service refuses the request as it is.
        """
        headers = dict(JSON)
        if request.deadline_ms is not None:
            headers["x-recserve-deadline-ms"] = f"{request.deadline_ms:g}"
        started_s = perf_counter()
        reply = self._service.ask(
            "POST",
            "recommend",
            body=json.dumps(request.body(history)).encode(),
            headers=headers,
            timeout_s=timeout_s,
            max_bytes=MAX_ANSWER_BYTES,
        )
        round_trip_ms = (perf_counter() - started_s) * 1e3
        if reply.status in REFUSED and (detail := _problem(reply)):
            raise InvalidRequest(detail)
        if reply.status == 429:
            raise CloudFailed("cloud_busy", _problem(reply) or "the service is busy")
        if reply.status != 200:
            raise CloudFailed(
                "cloud_error", _problem(reply) or f"the service answered with status {reply.status}"
            )
        try:
            return _read_answer(_decoded(reply), round_trip_ms)
        except (KeyError, TypeError, ValueError, AttributeError) as err:
            beginning = reply.body[:40].decode(errors="replace")
            raise CloudFailed(
                "cloud_error", f"what answered is not the service; it begins {beginning!r}"
            ) from err

    def post_events(
        self, events: Sequence[dict[str, Any]], report: dict[str, Any] | None, *, timeout_s: float
    ) -> Posted:
        """Send events, a report, or both; they are kept only if the service says so in its own words."""
        body: dict[str, Any] = {"events": list(events)}
        if report is not None:
            body["edge"] = report
        try:
            reply = self._service.ask(
                "POST",
                "events",
                body=json.dumps(body).encode(),
                headers=JSON,
                timeout_s=timeout_s,
                max_bytes=MAX_ANSWER_BYTES,
            )
        except CloudFailed as err:
            return Posted("failed", str(err))
        if reply.status == 200 and _says_kept(reply):
            return Posted("kept")
        if reply.status in REFUSED and (detail := _problem(reply)):
            return Posted("refused", detail)
        detail = _problem(reply) or f"events were answered with status {reply.status}, and not by the service"
        return Posted("failed", detail, _retry_after_s(reply))


def _read_answer(answer: Any, round_trip_ms: float) -> CloudAnswer:
    return CloudAnswer(
        items=[Item(item["id"], item["title"], item["score"]) for item in answer["items"]],
        version=str(answer["model"]["version"]),
        recommendation_id=str(answer["recommendation_id"]),
        degraded=tuple(answer["degraded"]),
        round_trip_ms=round_trip_ms,
    )


def _says_kept(reply: Reply) -> bool:
    try:
        answer = _decoded(reply)
    except ValueError:
        return False
    return isinstance(answer, dict) and isinstance(answer.get("n_new"), int)


def _problem(reply: Reply) -> str:
    """What the service says is wrong; empty where this is no problem of the service (RFC 9457)."""
    try:
        problem = _decoded(reply)
    except ValueError:
        return ""
    return str(problem["detail"]) if isinstance(problem, dict) and problem.get("detail") else ""


def _decoded(reply: Reply) -> Any:
    if not reply.is_json():
        raise ValueError(f"content type {reply.headers.get('content-type')!r}")
    try:
        return json.loads(reply.body)
    except RecursionError as err:
        raise ValueError("nested too deeply") from err


def _retry_after_s(reply: Reply) -> float | None:
    """How long the service asks to wait, in seconds; None where it does not say so in seconds."""
    try:
        wanted_s = float(reply.headers["retry-after"])
    except (KeyError, ValueError):
        return None
    return min(wanted_s, MAX_RETRY_AFTER_S) if math.isfinite(wanted_s) and wanted_s >= 0 else None
