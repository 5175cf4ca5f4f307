"""HTTP in, HTTP out: requests become schemas, answers become JSON, errors become statuses."""

import logging
import math
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast, get_args

import azure.functions as func
import msgspec
from msgspec import inspect

from recserve.admission.priority import Priority
from recserve.admission.terms import DEADLINE_HEADER, MAX_DEADLINE_S, PRIORITY_HEADER, Terms
from recserve.content import Content, Known
from recserve.errors import (
    BodyTooLarge,
    BundleUnavailable,
    InvalidRequest,
    MalformedBody,
    NotOffered,
    NotReady,
    Overloaded,
    RecserveError,
    StartupFailed,
    StateUnavailable,
    UnknownFile,
    UnknownItem,
    UnsupportedContentType,
)
from recserve.schemas import NoParameters, Problem, Request
from recserve.startup import STARTUP_WAIT_S, Startup
from recserve.telemetry import names
from recserve.telemetry.timeline import Timeline

if TYPE_CHECKING:
    from recserve.service import RecommendationService

T = TypeVar("T", bound=Request)
Answer = Callable[["RecommendationService", Timeline], Awaitable[msgspec.Struct]]

PROBLEMS: dict[type[Exception], tuple[int, str]] = {
    UnsupportedContentType: (415, "Unsupported content type"),
    BodyTooLarge: (413, "Body too large"),
    UnknownItem: (404, "Not found"),
    UnknownFile: (404, "Not found"),
    NotOffered: (404, "Not found"),
    InvalidRequest: (400, "Bad request"),
    Overloaded: (429, "Too many requests"),
    StartupFailed: (503, "Start-up failed"),
    NotReady: (503, "Not ready"),
    StateUnavailable: (503, "User store unavailable"),
    BundleUnavailable: (503, "Bundle unavailable"),
    Exception: (500, "Internal error"),
}
"Status and title of errors; the first class that an error belongs to decides."

HOST_PARAMETERS = {"code", "clientId"}
"Query parameters that belong to the Functions host: its keys."

MAX_ECHO_CHARACTERS = 100
"Longest text of a caller that an error repeats."

log = logging.getLogger(__name__)
encoder = msgspec.json.Encoder()


async def respond(
    startup: Startup,
    name: str,
    answer: Answer,
    req: func.HttpRequest | None = None,
    context: func.Context | None = None,
    *,
    wait_s: float = STARTUP_WAIT_S,
    is_open: bool = False,
) -> func.HttpResponse:
    """Answer one request with the service, or say as a problem why not.

    Args:
        startup: where the service comes from.
        name: the function's name, for telemetry.
        answer: asks the service; reads the request, so that what is wrong with it is answered here too.
        req: the request, for its place in a trace.
        context: the invocation, for the same.
        wait_s: how long to wait for a process that is still starting. 0 is a probe: it asks how the process
            is, is none of its work, and makes no telemetry.
        is_open: the function is anonymous: whatever key the request has, nobody has checked it.
    """
    is_probe = wait_s == 0
    timeline = Timeline(name)
    timeline.enter("startup")
    timeline.belong_to(context, req.headers if req is not None else None)
    if not is_probe:
        startup.meet(timeline)
    try:
        service = await startup.service(wait_s=wait_s)
        timeline.enter("admit")
        if service.callers is None or req is None or is_probe:
            answered = await answer(service, timeline)
        else:
            caller = service.callers.admit(req.headers, req.params, is_key_checked=not is_open)
            try:
                answered = await answer(service, timeline)
            finally:
                service.callers.charge(caller, timeline.weight - 1)
        timeline.enter("encode")
        response = send(answered) if isinstance(answered, Content) else encode(answered)
    except RecserveError as err:
        timeline.enter("encode")
        timeline.error = type(err)
        response = encode_problem(err)
        if isinstance(err, Overloaded):
            timeline.attributes[names.SHED_REASON] = err.reason
    except Exception as err:
        timeline.enter("encode")
        timeline.error = type(err)
        log.exception("%s failed", name)
        response = encode_problem(err)
    except BaseException as err:  # the caller went away, or the worker stops
        timeline.error = type(err)
        timeline.end()
        if not is_probe:
            startup.record(timeline)
        raise
    timeline.end()
    timeline.attributes[names.STATUS_CODE] = response.status_code
    response.headers["server-timing"] = ", ".join(
        f"{phase};dur={(end_s - start_s) * 1e3:.3f}" for phase, start_s, end_s in timeline.phases()
    )
    if not is_probe:
        startup.record(timeline)
    return response


def encode(answer: msgspec.Struct | dict[str, Any]) -> func.HttpResponse:
    return func.HttpResponse(encoder.encode(answer), mimetype="application/json")


def send(content: Content) -> func.HttpResponse:
    """Bytes as they are; to a caller that has them, that they are the same."""
    return func.HttpResponse(
        content.body,
        status_code=304 if content.is_unchanged else 200,
        headers=dict(content.headers),
        mimetype=content.media_type,
    )


def read_known(req: func.HttpRequest) -> Known:
    """What the caller has already, and in which coding it takes what it has not."""
    return Known.of(req.headers)


def encode_problem(err: Exception) -> func.HttpResponse:
    """An error as problem details (RFC 9457)."""
    status, title = next(problem for kind, problem in PROBLEMS.items() if isinstance(err, kind))
    detail = str(err) if isinstance(err, RecserveError) else "the server failed; its log says why"
    problem = Problem(title=title, status=status, detail=detail)
    if isinstance(err, InvalidRequest):
        problem = msgspec.structs.replace(
            problem, field=err.field, value=_shorten_value(err.value), allowed=err.allowed
        )
    headers = {}
    if isinstance(err, Overloaded):
        problem = msgspec.structs.replace(problem, reason=err.reason)
        headers["retry-after"] = str(math.ceil(err.retry_after_s))
    return func.HttpResponse(
        encoder.encode(problem), status_code=status, headers=headers, mimetype="application/problem+json"
    )


def read_json(req: func.HttpRequest, kind: type[T]) -> T:
    """The request's JSON body.

    Raises:
        InvalidRequest: body or headers are not what `kind` allows; the error names field, value and remedy.
    """
    read_params(req, NoParameters)
    _require_json(req.headers)
    body = req.get_body()
    if len(body) > kind.max_body_bytes:
        raise BodyTooLarge(
            f"the body has {len(body)} bytes; at most {kind.max_body_bytes} are allowed",
            field="body",
            value=len(body),
            allowed=f"at most {kind.max_body_bytes} bytes",
        )
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as err:
        raise _invalid_body(err, body, kind) from err


def read_terms(req: func.HttpRequest) -> Terms:
    """By when the caller wants the answer, and how much it matters, from the request's headers.

    Raises:
        InvalidRequest: a header's value is not allowed.
    """
    deadline_ms, priority = req.headers.get(DEADLINE_HEADER), req.headers.get(PRIORITY_HEADER, "normal")
    if priority not in get_args(Priority):
        raise InvalidRequest(
            f"{PRIORITY_HEADER}: {shorten(priority)!r} is not allowed; send normal or low",
            field=PRIORITY_HEADER,
            value=priority,
            allowed="normal or low",
        )
    if deadline_ms is None:
        return Terms(priority=cast(Priority, priority))
    try:
        wanted_ms = float(deadline_ms)
    except ValueError:
        wanted_ms = math.nan
    if not 0 < wanted_ms <= MAX_DEADLINE_S * 1e3:
        allowed = f"milliseconds, more than 0 and at most {MAX_DEADLINE_S * 1e3:g}"
        raise InvalidRequest(
            f"{DEADLINE_HEADER}: {shorten(deadline_ms)!r} is not allowed; send {allowed}",
            field=DEADLINE_HEADER,
            value=deadline_ms,
            allowed=allowed,
        )
    return Terms(wanted_ms / 1e3, cast(Priority, priority))


def _require_json(headers: Mapping[str, str]) -> None:
    content_type = headers.get("content-type", "")
    media_type, _, parameters = content_type.lower().partition(";")
    charset = parameters.partition("charset=")[2].strip(' "')
    if media_type.strip() != "application/json" or charset not in ("", "utf-8", "utf8"):
        raise UnsupportedContentType(
            f"content type {shorten(content_type)!r} is not supported; send application/json in UTF-8",
            field="content-type",
            value=content_type,
            allowed="application/json",
        )
    if (encoding := headers.get("content-encoding", "identity")) != "identity":
        raise UnsupportedContentType(
            f"content encoding {shorten(encoding)!r} is not supported; send the body as it is",
            field="content-encoding",
            value=encoding,
            allowed="identity",
        )


def _invalid_body(err: Exception, body: bytes, kind: type[Request]) -> InvalidRequest:
    """What is wrong with a body that is not a `kind`."""
    try:
        sent = msgspec.json.decode(body)
    except RecursionError:
        why = "the body is nested too deeply"
    except msgspec.ValidationError:
        why = "the body holds a number that is out of range"
    except UnicodeDecodeError:
        why = "the body is not UTF-8"
    except msgspec.DecodeError as malformed:
        why = f"the body is not JSON: {malformed}" if body else "the body is empty"
    else:
        return _invalid(err, sent, kind, noun="field")
    beginning = body[:MAX_ECHO_CHARACTERS].decode(errors="replace")
    return MalformedBody(why, field="body", value=beginning, allowed="a JSON object in UTF-8")


def read_params(req: func.HttpRequest, kind: type[T]) -> T:
    """The request's route and query parameters.

    Raises:
        InvalidRequest: a parameter is unknown, or its value is not allowed.
    """
    query = {name: value for name, value in req.params.items() if name not in HOST_PARAMETERS}
    for name in query.keys() & req.route_params.keys():
        raise InvalidRequest(
            f"{name} stands in the path and in the query; leave it out of the query",
            field=name,
            value=query[name],
            allowed="once, in the path",
        )
    for name, value in req.route_params.items():
        # The host decodes the path but for slashes, so what was sent as %252F reads the same as %2F.
        if "%2f" in value.lower():
            raise InvalidRequest(
                f"{name} holds a slash, which a path cannot carry; send it in the query or the body",
                field=name,
                value=value,
                allowed="text without a slash",
            )
    sent = query | req.route_params
    try:
        return msgspec.convert(sent, kind, strict=False)
    except msgspec.ValidationError as err:
        raise _invalid(err, sent, kind, noun="parameter") from err


def _invalid(err: Exception, sent: Any, kind: type[Request], *, noun: str) -> InvalidRequest:
    """msgspec's message, with the value that was sent and all that is allowed there."""
    known = ", ".join(kind.__struct_fields__) or "none"
    if not isinstance(sent, dict):
        return InvalidRequest(
            "the body is not an object", field="body", value=sent, allowed=f"an object of {known}"
        )
    for field in sent:
        if field not in kind.__struct_fields__:
            detail = f"unknown {noun} {shorten(field)!r}; known: {known}"
            return InvalidRequest(detail, field=shorten(field), value=sent[field], allowed=known)
    what, _, path = str(err).partition(" - at `$.")
    if not path:
        return InvalidRequest(what, field="body", value=sent, allowed=f"an object of {known}")
    field = path.removesuffix("`")
    value: Any = sent
    wanted: inspect.Type = inspect.type_info(kind)
    for index, key in re.findall(r"\[(\d+)\]|([^.\[\]]+)", field):
        value = value[int(index)] if index else value[key]
        wanted = _inside(wanted, key)
    allowed = _describe(wanted)
    if isinstance(wanted, inspect.StructType) and isinstance(value, dict):
        unknown = value.keys() - {inner.encode_name for inner in wanted.fields}
        why = f"unknown field {shorten(min(unknown))!r}" if unknown else what[:1].lower() + what[1:]
        detail = f"{field}: {why}; send {allowed}"
    else:
        detail = f"{field}: {_in_words(value)} is not allowed; send {allowed}"
    return InvalidRequest(detail, field=field, value=value, allowed=allowed)


def shorten(text: str) -> str:
    """The text, or its beginning where it is long."""
    return text if len(text) <= MAX_ECHO_CHARACTERS else text[:MAX_ECHO_CHARACTERS] + "..."


def _shorten_value(value: Any) -> Any:
    """The value, or the beginning of its text or JSON where that is long."""
    if isinstance(value, str):
        return shorten(value)
    as_json = encoder.encode(value).decode()
    return value if len(as_json) <= MAX_ECHO_CHARACTERS else shorten(as_json)


def _in_words(value: Any) -> str:
    """A value inside a sentence."""
    if isinstance(value, list | dict):
        return f"{'a list' if isinstance(value, list) else 'an object'} of {len(value)}"
    return encoder.encode(_shorten_value(value)).decode()


def _inside(wanted: inspect.Type, key: str) -> inspect.Type:
    """The type of a struct's field, or of a list's items when there is no key."""
    if isinstance(wanted, inspect.StructType):
        found = next(field.type for field in wanted.fields if field.encode_name == key)
    else:
        assert isinstance(wanted, inspect.ListType | inspect.VarTupleType)
        found = wanted.item_type
    return _bare(found)


def _bare(found: inspect.Type) -> inspect.Type:
    """A type without what is said about it."""
    return _bare(found.type) if isinstance(found, inspect.Metadata) else found


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
        case inspect.StrType(pattern=str(pattern)):
            return f"text like {pattern}"
        case inspect.StrType(min_length=shortest, max_length=longest):
            return f"text of {shortest or 0} to {longest} characters"
        case (
            inspect.ListType(item_type=item, max_length=longest)
            | inspect.VarTupleType(item_type=item, max_length=longest)
        ):
            return f"a list of at most {longest} items, each {_describe(item)}"
        case inspect.StructType(fields=fields):
            return f"an object of {', '.join(field.encode_name for field in fields)}"
        case inspect.LiteralType(values=values):
            return " or ".join(map(str, values))
        case inspect.DateTimeType():
            return "a date and time in ISO 8601 with its offset, such as 2026-11-22T10:00:00Z"
        case inspect.BoolType():
            return "true or false"
        case inspect.FloatType() as number:
            return " ".join(["a number", " and ".join(_bounds(number))]).strip()
    return f"a value of type {type(wanted).__name__}"


def _bounds(number: inspect.FloatType) -> list[str]:
    words = {"ge": "at least", "gt": "more than", "le": "at most", "lt": "less than"}
    return [
        f"{word} {bound:g}" for name, word in words.items() if (bound := getattr(number, name)) is not None
    ]
