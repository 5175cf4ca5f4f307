"""Why telemetry gives no answer, or a part of one: errors of the client as sentences for a person."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from azure.core.exceptions import (
    AzureError,
    ClientAuthenticationError,
    HttpResponseError,
    ServiceRequestError,
    ServiceResponseError,
)

from console.settings import Source

ANSWER_TIMEOUT_S = 30
DETAIL_LENGTH = 300


@dataclass(frozen=True, slots=True)
class Failure:
    """Why there is no answer, or only a part of one, in sentences for a person."""

    what: str
    remedy: str
    detail: str = ""
    "The service's own words: show them as plain text."
    kind: str = "failed"
    "unconfigured, unreachable, throttled, slow, unauthorised, refused, partial or failed."

    @property
    def is_temporary(self) -> bool:
        """Asking again later may help, with nothing else changed."""
        return self.kind in ("unreachable", "throttled", "slow", "partial", "failed")


UNCONFIGURED = Failure(
    "No workspace is configured, so there is no telemetry to show.",
    "Start everything with `make run`, or set `RECSERVE_WORKSPACES` to a Log Analytics workspace's id "
    "(and `RECSERVE_LOGS_URL` where it is not Azure's).",
    kind="unconfigured",
)


def explain(err: AzureError, source: Source) -> Failure:
    """An error of the client as sentences."""
    if isinstance(err, ServiceRequestError):
        start = "Start it with `make run`" if source.is_local else "Check the network"
        return Failure(
            f"No telemetry answers at `{source.logs_url}`.",
            f"{start}, or set `RECSERVE_LOGS_URL` to where yours is.",
            kind="unreachable",
        )
    if isinstance(err, ServiceResponseError):
        return Failure(
            f"The workspace did not answer within {ANSWER_TIMEOUT_S} s.",
            "Choose a shorter time range, or ask again.",
            kind="slow",
        )
    status = err.status_code if isinstance(err, HttpResponseError) else None
    match status:
        case 401 | 403:
            return Failure(
                "The workspace does not let this console read it.",
                "Give the console's identity the role Log Analytics Reader there.",
                detail=said(err),
                kind="unauthorised",
            )
        case 404:
            return Failure(
                f"There is no workspace of the id of `{source.name}` at `{source.logs_url}`.",
                "Check `RECSERVE_WORKSPACES` and `RECSERVE_LOGS_URL`.",
                kind="refused",
            )
        case 429:
            headers: Mapping[str, str] = getattr(getattr(err, "response", None), "headers", {})
            wait = headers.get("retry-after", "")
            return Failure(
                "The workspace is throttling: more questions came than it takes.",
                f"Ask again in {wait} s." if wait.isdecimal() else "Ask again in half a minute.",
                kind="throttled",
            )
        case 408 | 504:
            return Failure(
                "The workspace gave up on this question: it took too long.",
                "Choose a shorter time range.",
                detail=said(err),
                kind="slow",
            )
        case 400 | 422:
            return Failure(
                "The workspace refused the question.",
                "Its tables may be older than this console; show the query, and run it in the portal to see more.",
                detail=said(err),
                kind="refused",
            )
        case None if isinstance(err, ClientAuthenticationError):
            return Failure(
                "The console has no identity that Azure accepts.",
                "Sign in with `az login`, or give the app a managed identity.",
                detail=said(err),
                kind="unauthorised",
            )
        case None | 200:
            return stranger(source)
    return Failure(
        f"The workspace failed (status {status}).",
        "Ask again in a minute; if it stays, Azure's status page says more.",
        detail=said(err),
    )


def stranger(source: Source) -> Failure:
    return Failure(
        f"What answers at `{source.logs_url}` is not a Log Analytics workspace.",
        "Set `RECSERVE_LOGS_URL` to one.",
        kind="refused",
    )


def said(err: Any) -> str:
    """The service's own words, on one line; of nested errors the innermost, which is the one that says what."""
    message, body = getattr(err, "message", "") or str(err), getattr(err, "error", None) or err
    while body is not None:
        read = body.get if isinstance(body, Mapping) else lambda name, of=body: getattr(of, name, None)
        message, body = read("message") or message, read("innererror")
    return " ".join(str(message).split())[:DETAIL_LENGTH]
