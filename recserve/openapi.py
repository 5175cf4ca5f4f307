"""The OpenAPI document: every operation in one table, its shapes from the schemas.

The functions cannot be asked for their routes: `FunctionApp.get_functions` works once, and the worker has
called it. A test holds this table against them.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Literal

import msgspec

from recserve import __version__, schemas
from recserve.admission.terms import DEADLINE_HEADER, MAX_DEADLINE_S, PRIORITY_HEADER

REF = "#/components/schemas/{name}"

DESCRIPTION = (
    "Personalised recommendations. Integers are written without a fraction or an exponent: `10`, not `10.0`. "
    "Rules between several fields are checked too; whoever breaks one is told field, value and remedy."
)

Key = Literal["none", "function", "master", "edge"]
"""What a caller shows to the host; `master` is what functions of level `admin` want, and `edge` what RECSERVE_EDGE
says: a function key, or none."""

KEYS: Mapping[Key, Sequence[Mapping[str, Sequence[str]]]] = {
    "none": [],
    "function": [{"function_key": []}],
    "master": [{"master_key": []}],
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    method: str
    path: str
    "Below the host's route prefix; a parameter marked `?` may stand in the query instead."
    summary: str
    answer: type[msgspec.Struct] | None
    "None for an object that has no schema of its own, and for what is no JSON."
    media_type: str = "application/json"
    "Of the answer."
    is_conditional: bool = False
    "Whether a caller that sends the ETag it has is told that nothing has changed."
    body: type[schemas.Request] | None = None
    params: type[schemas.Request] | None = None
    headers: Sequence[dict[str, Any]] = ()
    problems: Sequence[int] = ()
    key: Key = "function"
    is_served: bool = True
    "Whether the service is asked; answers then say how long that took, and a failure is a problem."


TERMS: Sequence[dict[str, Any]] = (
    {
        "name": DEADLINE_HEADER,
        "in": "header",
        "description": "Milliseconds from the request's arrival after which the answer is worthless.",
        "schema": {
            "type": "number",
            "exclusiveMinimum": 0,
            "maximum": MAX_DEADLINE_S * 1e3,
            "examples": [250],
        },
    },
    {
        "name": PRIORITY_HEADER,
        "in": "header",
        "description": "What gives way first when there is too much to do.",
        "schema": {"enum": ["normal", "low"], "default": "normal"},
    },
)

TIMED = {
    "server-timing": {
        "description": "How many milliseconds each phase of the request took.",
        "required": True,
        "schema": {"type": "string"},
    }
}
WITH_RETURN = {
    "retry-after": {
        "description": "Seconds until there is likely to be room.",
        "required": True,
        "schema": {"type": "integer", "minimum": 1},
    }
}
WITH_VALIDATOR = {
    "etag": {
        "description": "For `if-none-match` of the next request.",
        "schema": {"type": "string"},
    },
    "cache-control": {"description": "Whether to ask again.", "schema": {"type": "string"}},
}
WITHOUT_SLASH = {"not": {"pattern": "/|%2[Ff]"}}
"The host hands on an encoded slash as it came, so that it cannot be told from the text `%2F`."

OPERATIONS: Mapping[str, Operation] = {
    "recommend": Operation(
        method="post",
        path="/recommend",
        summary="Recommend to a user, a history, or both",
        body=schemas.RecommendRequest,
        answer=schemas.Recommendations,
        headers=TERMS,
        problems=(400, 413, 415, 429, 503),
    ),
    "recommend_user": Operation(
        method="get",
        path="/recommend/{user_id}",
        summary="Recommend to a user by id",
        params=schemas.RecommendUserRequest,
        answer=schemas.Recommendations,
        headers=TERMS,
        problems=(400, 429, 503),
    ),
    "recommend_batch": Operation(
        method="post",
        path="/recommend/batch",
        summary="Recommend to many users at once",
        body=schemas.RecommendBatchRequest,
        answer=schemas.RecommendationsBatch,
        headers=TERMS,
        problems=(400, 413, 415, 429, 503),
    ),
    "events": Operation(
        method="post",
        path="/events",
        summary="Tell what users did; their next recommendation takes it into account",
        body=schemas.EventsRequest,
        answer=schemas.EventsAccepted,
        problems=(400, 413, 415, 429, 503),
    ),
    "export_user": Operation(
        method="get",
        path="/users/{user_id?}",
        summary="Everything stored about a user",
        params=schemas.UserRequest,
        answer=schemas.UserExport,
        problems=(400, 429, 503),
    ),
    "erase_user": Operation(
        method="delete",
        path="/users/{user_id?}",
        summary="Erase everything stored about a user",
        params=schemas.UserRequest,
        answer=schemas.UserErased,
        problems=(400, 429, 503),
    ),
    "items": Operation(
        method="get",
        path="/items",
        summary="Search the catalogue by title",
        params=schemas.CatalogueRequest,
        answer=schemas.CataloguePage,
        problems=(400, 429, 503),
    ),
    "similar": Operation(
        method="get",
        path="/items/{item_id}/similar",
        summary="Items that were taken together with this one",
        params=schemas.SimilarRequest,
        answer=schemas.ItemList,
        headers=TERMS,
        problems=(400, 404, 429, 503),
    ),
    "popular": Operation(
        method="get",
        path="/popular",
        summary="The items that were taken most",
        params=schemas.PopularRequest,
        answer=schemas.ItemList,
        headers=TERMS,
        problems=(400, 429, 503),
    ),
    "models": Operation(
        method="get",
        path="/models",
        summary="The model ladder and its measurements",
        answer=schemas.Models,
        problems=(429, 503),
    ),
    "reload_models": Operation(
        method="post",
        path="/models/reload",
        summary="Look for another version of the models and serve it if it is good",
        body=schemas.ReloadRequest,
        answer=schemas.Reload,
        problems=(400, 413, 415, 429, 503),
        key="master",
    ),
    "edge_manifest": Operation(
        method="get",
        path="/edge/manifest",
        summary="What a device may download to answer by itself; 404 while RECSERVE_EDGE is off",
        answer=schemas.EdgeManifest,
        is_conditional=True,
        problems=(400, 404, 429, 503),
        key="edge",
    ),
    "edge_file": Operation(
        method="get",
        path="/edge/files/{name}",
        summary="A file of the bundle, or of the demo page",
        params=schemas.EdgeFileRequest,
        answer=None,
        media_type="*/*",
        is_conditional=True,
        problems=(400, 404, 429, 503),
        key="edge",
    ),
    "edge_demo": Operation(
        method="get",
        path="/edge/demo",
        summary="A page that answers in the browser, with the cloud beside it",
        answer=None,
        media_type="text/html",
        is_conditional=True,
        problems=(400, 404, 429, 503),
        key="edge",
    ),
    "health_live": Operation(
        method="get",
        path="/health/live",
        summary="Is the process alive",
        answer=schemas.Health,
        key="none",
        is_served=False,
    ),
    "health_ready": Operation(
        method="get",
        path="/health/ready",
        summary="Are the models loaded and warm",
        answer=schemas.Health,
        problems=(503,),
        key="none",
    ),
    "openapi": Operation(
        method="get",
        path="/openapi.json",
        summary="This document",
        answer=None,
        key="none",
        is_served=False,
    ),
}


@cache
def describe(*, is_edge_public: bool = False) -> dict[str, Any]:
    """The OpenAPI 3.1 document of the HTTP functions; made once, since anybody may ask and it takes 8 ms.

    It is shared: do not change it.

    Args:
        is_edge_public: devices need no key in this app.
    """
    key_of_edge: Key = "none" if is_edge_public else "function"
    kinds = {
        kind
        for operation in OPERATIONS.values()
        for kind in (operation.answer, operation.body, schemas.Problem)
        if kind is not None
    }
    _, components = msgspec.json.schema_components(
        sorted(kinds, key=lambda kind: kind.__name__), ref_template=REF
    )
    for request in _requests(schemas.Request):
        if request.extra_json_schema and request.__name__ in components:
            components[request.__name__] |= request.extra_json_schema
    paths: dict[str, dict[str, Any]] = {}
    for name, listed in OPERATIONS.items():
        operation = replace(listed, key=key_of_edge) if listed.key == "edge" else listed
        for path, operation_id in _paths(name, operation):
            described = _describe(operation_id, operation, path)
            paths.setdefault(path, {})[operation.method] = described
    return {
        "openapi": "3.1.0",
        "info": {"title": "Recserve", "version": __version__, "description": DESCRIPTION},
        "servers": [{"url": "/api"}],
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "function_key": _key_scheme("A key of the function, the host's key or the master key"),
                "master_key": _key_scheme("The master key"),
            },
        },
    }


def _requests(base: type[schemas.Request]) -> Iterator[type[schemas.Request]]:
    for kind in base.__subclasses__():
        yield kind
        yield from _requests(kind)


def _key_scheme(what: str) -> dict[str, str]:
    return {
        "type": "apiKey",
        "in": "header",
        "name": "x-functions-key",
        "description": f"{what}; `?code=` carries it too. A local host asks for it with `--enable-auth` only.",
    }


def _paths(name: str, operation: Operation) -> Iterator[tuple[str, str]]:
    """The paths of an operation and what it is called there; OpenAPI knows no optional parts of a path."""
    yield operation.path.replace("?}", "}"), name
    if "?}" in operation.path:
        yield operation.path.rpartition("/")[0], f"{name}_by_query"


def _describe(operation_id: str, operation: Operation, path: str) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": operation_id,
        "summary": operation.summary,
        "security": KEYS[operation.key],
    }
    parameters = [*(_parameters(operation.params, path) if operation.params else ()), *operation.headers]
    if parameters:
        described["parameters"] = parameters
    if operation.body is not None:
        described["requestBody"] = {"required": True, "content": _content("application/json", operation.body)}
    described["responses"] = dict(sorted(_responses(operation)))
    return described


def _responses(operation: Operation) -> Iterator[tuple[str, dict[str, Any]]]:
    headers = TIMED if operation.is_served else {}
    with_validator = headers | WITH_VALIDATOR if operation.is_conditional else headers
    yield "200", {"description": "The answer", "headers": with_validator, "content": _answer(operation)}
    if operation.is_conditional:
        yield "304", {"description": "The caller has it already", "headers": with_validator}
    if operation.key != "none":
        yield "401", {"description": "The key is missing or wrong; the host answers, without a body"}
    for status in (*operation.problems, *((500,) if operation.is_served else ())):
        yield (
            str(status),
            {
                "description": "What is wrong, and what to send instead",
                "headers": headers | WITH_RETURN if status == 429 else headers,
                "content": _content("application/problem+json", schemas.Problem),
            },
        )


def _answer(operation: Operation) -> dict[str, Any]:
    if operation.answer is not None:
        return _content(operation.media_type, operation.answer)
    is_json = operation.media_type == "application/json"
    return {operation.media_type: {"schema": {"type": "object"}} if is_json else {}}


def _content(media_type: str, kind: type[msgspec.Struct]) -> dict[str, Any]:
    return {media_type: {"schema": {"$ref": REF.format(name=kind.__name__)}}}


def _parameters(kind: type[schemas.Request], path: str) -> list[dict[str, Any]]:
    """Fields stand in the path if it names them, otherwise in the query."""
    schema = msgspec.json.schema(kind)["$defs"][kind.__name__]
    required = schema.get("required", ())
    in_path = {name for name in schema["properties"] if f"{{{name}}}" in path}
    return [
        {
            "name": name,
            "in": "path" if name in in_path else "query",
            "required": name in required,
            "schema": field | (WITHOUT_SLASH if name in in_path else {}),
        }
        for name, field in schema["properties"].items()
    ]
