"""The OpenAPI document: routes from the function app, shapes from the schemas, nothing by hand."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from recserve import __version__, schemas

if TYPE_CHECKING:
    from azure.functions.decorators.function_app import Function

REF = "#/components/schemas/{name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """What the routes do not say of a function."""

    summary: str
    answer: type[msgspec.Struct] | None
    body: type[schemas.Request] | None = None
    params: type[schemas.Request] | None = None
    problems: Sequence[int] = ()


OPERATIONS = {
    "recommend": Operation(
        summary="Recommend to a user, a history, or both",
        body=schemas.RecommendRequest,
        answer=schemas.Recommendations,
        problems=(400, 413, 415, 429, 503),
    ),
    "recommend_user": Operation(
        summary="Recommend to a user by id",
        params=schemas.RecommendUserRequest,
        answer=schemas.Recommendations,
        problems=(400, 429, 503),
    ),
    "items": Operation(
        summary="Search the catalogue by title",
        params=schemas.CatalogueRequest,
        answer=schemas.CataloguePage,
        problems=(400, 503),
    ),
    "similar": Operation(
        summary="Items that people took together with this one",
        params=schemas.SimilarRequest,
        answer=schemas.ItemList,
        problems=(400, 404, 429, 503),
    ),
    "popular": Operation(
        summary="The items most people took",
        params=schemas.PopularRequest,
        answer=schemas.ItemList,
        problems=(400, 429, 503),
    ),
    "models": Operation(
        summary="The model ladder and its measurements", answer=schemas.Models, problems=(503,)
    ),
    "health_live": Operation(summary="Is the process alive", answer=schemas.Health),
    "health_ready": Operation(
        summary="Are the models loaded and warm", answer=schemas.Health, problems=(503,)
    ),
    "openapi": Operation(summary="This document", answer=None),
}


def describe(functions: "Sequence[Function]") -> dict[str, Any]:
    """The OpenAPI 3.1 document of the function app's HTTP functions."""
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
    for function in functions:
        trigger = function.get_trigger()
        if trigger is None or trigger.type != "httpTrigger":
            continue
        binding, name = trigger.get_dict_repr(), function.get_function_name()
        for method in binding["methods"]:
            path = paths.setdefault(f"/{binding['route']}", {})
            path[str(getattr(method, "value", method)).lower()] = _operation(str(name))
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


def _operation(name: str) -> dict[str, Any]:
    operation = OPERATIONS[name]
    described: dict[str, Any] = {"operationId": name, "summary": operation.summary}
    if operation.params is not None:
        described["parameters"] = _parameters(operation.params)
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
