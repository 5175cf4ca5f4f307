"""HTTP in, HTTP out: requests become schemas, answers become JSON, errors become statuses."""

import logging
import math
import re
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar

import azure.functions as func
import msgspec
from msgspec import inspect

from recserve.bootstrap import STARTUP_WAIT_S, Startup
from recserve.errors import (
    BodyTooLarge,
    InvalidRequest,
    MalformedBody,
    ModelNotReady,
    Overloaded,
    RecserveError,
    UnknownItem,
    UnsupportedContentType,
)
from recserve.schemas import Problem, Request
from recserve.telemetry import names
from recserve.telemetry.timeline import Timeline

if TYPE_CHECKING:
    from recserve.service import RecommendationService

T = TypeVar("T", bound=Request)
Answer = Callable[["RecommendationService", Timeline], Awaitable[msgspec.Struct]]

MAX_BODY_BYTES = 256 * 1024

STATUS: dict[type[RecserveError], int] = {
    UnsupportedContentType: 415,
    BodyTooLarge: 413,
    UnknownItem: 404,
    InvalidRequest: 400,
    Overloaded: 429,
    ModelNotReady: 503,
}
"The first class that an error belongs to decides."

TITLES = {
    400: "Bad request",
    404: "Not found",
    413: "Body too large",
    415: "Unsupported content type",
    429: "Too many requests",
    500: "Internal error",
    503: "Not ready",
}

HOST_PARAMETERS = {"code", "clientId"}
"Query parameters that belong to the Functions host: its keys."

MAX_ECHO_CHARACTERS = 200
"Longest value that an error repeats to its sender."

log = logging.getLogger(__name__)
encoder = msgspec.json.Encoder()


async def respond(
    startup: Startup, name: str, answer: Answer, *, wait_s: float = STARTUP_WAIT_S
) -> func.HttpResponse:
    """Answer one request with the service, or say as a problem why not.

    Args:
        startup: where the service comes from.
        name: the function's name, for telemetry.
        answer: asks the service; reads the request, so that what is wrong with it is answered here too.
        wait_s: how long to wait for a process that is still starting.
    """
    timeline = Timeline(name)
    try:
        service = await startup.service(wait_s=wait_s)
        timeline.mark("startup")
        response = encode(await answer(service, timeline))
        timeline.mark("encode")
    except RecserveError as err:
        response = encode_problem(err)
    except Exception as err:
        log.exception("%s failed", name)
        response = encode_problem(err)
    timeline.attributes[names.STATUS_CODE] = response.status_code
    response.headers["server-timing"] = ", ".join(
        f"{phase};dur={(end_s - start_s) * 1e3:.3f}" for phase, start_s, end_s in timeline.phases()
    )
    startup.record(timeline)
    return response


def encode(answer: msgspec.Struct | dict[str, Any], *, status: int = 200) -> func.HttpResponse:
    return func.HttpResponse(encoder.encode(answer), status_code=status, mimetype="application/json")


def encode_problem(err: Exception) -> func.HttpResponse:
    """An error as problem details (RFC 9457)."""
    status = next((status for kind, status in STATUS.items() if isinstance(err, kind)), 500)
    problem = Problem(title=TITLES[status], status=status, detail="the server failed; its log says why")
    if isinstance(err, RecserveError):
        problem = msgspec.structs.replace(problem, detail=str(err))
    if isinstance(err, InvalidRequest):
        problem = msgspec.structs.replace(
            problem, field=err.field, value=_echo(err.value), allowed=err.allowed
        )
    headers = {}
    if isinstance(err, Overloaded):
        headers["retry-after"] = str(math.ceil(err.retry_after_s))
    return func.HttpResponse(
        encoder.encode(problem), status_code=status, headers=headers, mimetype="application/problem+json"
    )


def _echo(value: Any) -> Any:
    """The value, or its beginning where it is long."""
    text = encoder.encode(value)
    if len(text) <= MAX_ECHO_CHARACTERS:
        return value
    return text[:MAX_ECHO_CHARACTERS].decode(errors="ignore") + "..."


def read_json(req: func.HttpRequest, kind: type[T]) -> T:
    """The request's JSON body.

    Raises:
        InvalidRequest: the body is not what `kind` allows; the error names field, value and remedy.
    """
    content_type = req.headers.get("content-type", "")
    if content_type.partition(";")[0].strip().lower() != "application/json":
        raise UnsupportedContentType(
            f"content type {content_type!r} is not supported; send application/json",
            field="content-type",
            value=content_type,
            allowed="application/json",
        )
    body = req.get_body()
    if len(body) > MAX_BODY_BYTES:
        raise BodyTooLarge(
            f"the body has {len(body)} bytes; at most {MAX_BODY_BYTES} are allowed",
            value=len(body),
            allowed=f"at most {MAX_BODY_BYTES} bytes",
        )
    if not body:
        raise MalformedBody("the body is empty", allowed="a JSON object in UTF-8")
    try:
        try:
            return msgspec.json.decode(body, type=kind)
        except msgspec.ValidationError as err:
            raise _invalid(err, msgspec.json.decode(body), kind, noun="field") from err
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as err:
        raise MalformedBody(f"the body is not JSON: {err}", allowed="a JSON object in UTF-8") from err


def read_params(req: func.HttpRequest, kind: type[T]) -> T:
    """The request's route and query parameters.

    Raises:
        InvalidRequest: a parameter is unknown, or its value is not allowed.
    """
    params: dict[str, str] = {
        name: value for name, value in req.params.items() if name not in HOST_PARAMETERS
    }
    params |= req.route_params
    try:
        return msgspec.convert(params, kind, strict=False)
    except msgspec.ValidationError as err:
        raise _invalid(err, params, kind, noun="parameter") from err


def _invalid(err: msgspec.ValidationError, sent: Any, kind: type[Request], *, noun: str) -> InvalidRequest:
    """msgspec's message, with the value that was sent and all that is allowed there."""
    what, _, path = str(err).partition(" - at `$")
    field = path.removesuffix("`").removeprefix(".")
    if unknown := re.search("unknown field `(.*)`", what):
        field, known = unknown[1], ", ".join(kind.__struct_fields__)
        return InvalidRequest(
            f"unknown {noun} {field!r}; known are {known}", field=field, value=sent.get(field), allowed=known
        )
    if not field:
        fields = ", ".join(kind.__struct_fields__)
        return InvalidRequest(
            what, value=None if isinstance(sent, dict) else sent, allowed=f"an object of {fields}"
        )
    value: Any = sent
    wanted = inspect.type_info(kind)
    for index, key in re.findall(r"\[(\d+)\]|([^.\[\]]+)", field):
        value = value[int(index)] if index else value[key]
        wanted = _inside(wanted, key)
    allowed = _describe(wanted)
    return InvalidRequest(
        f"{field}: {_shown(value)} is not allowed; send {allowed}", field=field, value=value, allowed=allowed
    )


def _shown(value: Any) -> str:
    """A value inside a sentence."""
    if isinstance(value, (list, dict)):
        return f"{'a list' if isinstance(value, list) else 'an object'} of {len(value)}"
    return encoder.encode(_echo(value)).decode()


def _inside(wanted: inspect.Type, key: str) -> inspect.Type:
    """The type of a struct's field, or of a list's items when there is no key."""
    if isinstance(wanted, inspect.StructType):
        found = next(field.type for field in wanted.fields if field.encode_name == key)
    else:
        assert isinstance(wanted, inspect.ListType)
        found = wanted.item_type
    return found.type if isinstance(found, inspect.Metadata) else found


def _describe(wanted: inspect.Type) -> str:
    """What a type allows, in words."""
    match wanted:
        case inspect.Metadata(type=inner):
            return _describe(inner)
        case inspect.UnionType(types=types):
            return " or ".join(map(_describe, types))
        case inspect.IntType(ge=int(low), le=int(high)):
            return f"an integer from {low} to {high}"
        case inspect.IntType(ge=int(low)):
            return f"an integer from {low}"
        case inspect.IntType():
            return "an integer"
        case inspect.StrType(min_length=shortest, max_length=longest):
            return f"text of {shortest or 0} to {longest} characters"
        case inspect.ListType(item_type=item, max_length=longest):
            return f"a list of at most {longest} items, each {_describe(item)}"
    return f"a value of type {type(wanted).__name__}"
