"""The OpenAPI document: every operation in one table, its shapes from the schemas.

The functions cannot be asked for their routes: `FunctionApp.get_functions` works once, and the worker has
called it. A test holds this table against them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from recserve import __version__, schemas
from recserve.admission.terms import DEADLINE_HEADER, MAX_DEADLINE_S, PRIORITY_HEADER

REF = "#/components/schemas/{name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    method: str
    path: str
    "Below the host's route prefix."
    summary: str
    answer: type[msgspec.Struct] | None
    body: type[schemas.Request] | None = None
    params: type[schemas.Request] | None = None
    headers: Sequence[dict[str, Any]] = ()
    problems: Sequence[int] = ()


TERMS: Sequence[dict[str, Any]] = (
    {
        "name": DEADLINE_HEADER,
        "in": "header",
        "description": "Milliseconds from the request's arrival after which the answer is worthless.",
        "schema": {"type": "number", "exclusiveMinimum": 0, "maximum": MAX_DEADLINE_S * 1e3},
    },
    {
        "name": PRIORITY_HEADER,
        "in": "header",
        "description": "What gives way first when there is too much to do.",
        "schema": {"enum": ["normal", "low"], "default": "normal"},
    },
)

OPERATIONS = {
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
        path="/users/{user_id}",
        summary="Everything stored about a user; ids with a slash go into the query: /users?user_id=",
        params=schemas.UserRequest,
        answer=schemas.UserExport,
        problems=(400, 503),
    ),
    "erase_user": Operation(
        method="delete",
        path="/users/{user_id}",
        summary="Erase everything stored about a user",
        params=schemas.UserRequest,
        answer=schemas.UserErased,
        problems=(400, 503),
    ),
    "items": Operation(
        method="get",
        path="/items",
        summary="Search the catalogue by title",
        params=schemas.CatalogueRequest,
        answer=schemas.CataloguePage,
        problems=(400, 503),
    ),
    "similar": Operation(
        method="get",
        path="/items/{item_id}/similar",
        summary="Items that people took together with this one",
        params=schemas.SimilarRequest,
        answer=schemas.ItemList,
        headers=TERMS,
        problems=(400, 404, 429, 503),
    ),
    "popular": Operation(
        method="get",
        path="/popular",
        summary="The items most people took",
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
        problems=(503,),
    ),
    "reload_models": Operation(
        method="post",
        path="/models/reload",
        summary="Look for another version of the models and serve it if it is good",
        body=schemas.ReloadRequest,
        answer=schemas.Reload,
        problems=(400, 413, 415, 503),
    ),
    "health_live": Operation(
        method="get", path="/health/live", summary="Is the process alive", answer=schemas.Health
    ),
    "health_ready": Operation(
        method="get",
        path="/health/ready",
        summary="Are the models loaded and warm",
        answer=schemas.Health,
        problems=(503,),
    ),
    "openapi": Operation(method="get", path="/openapi.json", summary="This document", answer=None),
}


def describe() -> dict[str, Any]:
    """The OpenAPI 3.1 document of the HTTP functions."""
    kinds = {
        kind
        for operation in OPERATIONS.values()
        for kind in (operation.answer, operation.body, schemas.Problem)
        if kind is not None
    }
    _, components = msgspec.json.schema_components(
        sorted(kinds, key=lambda kind: kind.__name__), ref_template=REF
    )
    paths: dict[str, dict[str, Any]] = {}
    for name, operation in OPERATIONS.items():
        paths.setdefault(operation.path, {})[operation.method] = _describe(name, operation)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Recserve", "version": __version__, "description": "Personalised recommendations."},
        "servers": [{"url": "/api"}],
        "security": [{"function_key": []}, {}],
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "function_key": {"type": "apiKey", "in": "header", "name": "x-functions-key"}
            },
        },
    }


def _describe(name: str, operation: Operation) -> dict[str, Any]:
    described: dict[str, Any] = {"operationId": name, "summary": operation.summary}
    parameters = [*(_parameters(operation.params) if operation.params else ()), *operation.headers]
    if parameters:
        described["parameters"] = parameters
    if operation.body is not None:
        described["requestBody"] = {"required": True, "content": _content("application/json", operation.body)}
    answer = (
        _content("application/json", operation.answer)
        if operation.answer
        else {"application/json": {"schema": {"type": "object"}}}
    )
    described["responses"] = {"200": {"description": "The answer", "content": answer}}
    for status in (*operation.problems, 500):
        described["responses"][str(status)] = {
            "description": "What is wrong, and what to send instead",
            "content": _content("application/problem+json", schemas.Problem),
        }
    return described


def _content(media_type: str, kind: type[msgspec.Struct]) -> dict[str, Any]:
    return {media_type: {"schema": {"$ref": REF.format(name=kind.__name__)}}}


def _parameters(kind: type[schemas.Request]) -> list[dict[str, Any]]:
    """Fields without a default stand in the path, the others in the query."""
    schema = msgspec.json.schema(kind)["$defs"][kind.__name__]
    required = schema.get("required", ())
    return [
        {
            "name": name,
            "in": "path" if name in required else "query",
            "required": name in required,
            "schema": field,
        }
        for name, field in schema["properties"].items()
    ]
