from collections.abc import Iterator
from typing import Any

from azure.functions import AuthLevel, Function
from openapi_spec_validator import validate

from recserve.admission.terms import DEADLINE_HEADER
from recserve.openapi import OPERATIONS, describe
from recserve.schemas import Boost, Conditions, RecommendRequest

KEY_OF_LEVEL = {AuthLevel.ANONYMOUS: "none", AuthLevel.FUNCTION: "function", AuthLevel.ADMIN: "master"}


def test_document_is_valid_openapi() -> None:
    validate(describe())


def test_document_is_made_once_however_often_it_is_asked_for() -> None:
    assert describe() is describe()


def test_operations_are_those_that_the_host_indexes(indexed: list[Function]) -> None:
    bindings = {
        function.get_function_name(): function.get_trigger().get_dict_repr()
        for function in indexed
        if function.get_trigger().type == "httpTrigger"
    }

    assert {
        name: (f"/{b['route']}", [m.value for m in b["methods"]], KEY_OF_LEVEL[b["authLevel"]])
        for name, b in bindings.items()
    } == {
        name: (operation.path, [operation.method.upper()], operation.key.replace("edge", "function"))
        for name, operation in OPERATIONS.items()
    }


def test_parameters_stand_in_the_path_where_it_names_them() -> None:
    for path, operations in describe()["paths"].items():
        for operation in operations.values():
            in_path = {p["name"] for p in operation.get("parameters", ()) if p["in"] == "path"}
            assert in_path == {part[1:-1] for part in path.split("/") if part.startswith("{")}


def test_optional_part_of_a_route_is_a_path_of_its_own() -> None:
    paths = describe()["paths"]

    for method in ("get", "delete"):
        (in_query,) = paths["/users"][method]["parameters"]
        (in_path,) = paths["/users/{user_id}"][method]["parameters"]
        assert (in_query["in"], in_query["required"]) == ("query", True)
        assert (in_path["in"], in_path["required"]) == ("path", True)


def test_devices_show_a_key_where_the_app_asks_for_one() -> None:
    for is_public, expected in ((True, []), (False, [{"function_key": []}])):
        paths = describe(is_edge_public=is_public)["paths"]
        of_edge = [paths[path]["get"]["security"] for path in paths if path.startswith("/edge/")]
        assert of_edge == [expected] * 3


def test_operation_ids_differ() -> None:
    ids = [operation["operationId"] for _, operation in described_operations()]

    assert len(set(ids)) == len(ids)


def test_who_is_refused_is_told_when_to_come_back() -> None:
    for name, operation in described_operations():
        refusal = operation["responses"].get("429")
        assert refusal is None or refusal["headers"]["retry-after"]["required"], name


def test_whoever_may_name_a_deadline_may_be_refused() -> None:
    for name, operation in described_operations():
        headers = {parameter["name"] for parameter in operation.get("parameters", ())}
        assert DEADLINE_HEADER not in headers or "429" in operation["responses"], name


def test_whoever_shows_a_key_may_have_asked_too_often() -> None:
    for name, operation in described_operations():
        assert not operation["security"] or "429" in operation["responses"], name


def test_components_say_what_no_single_field_can() -> None:
    components = describe()["components"]["schemas"]

    for kind in (Boost, Conditions, RecommendRequest):
        assert components[kind.__name__].items() >= kind.extra_json_schema.items()


def described_operations() -> Iterator[tuple[str, Any]]:
    for path, operations in describe()["paths"].items():
        for method, operation in operations.items():
            yield f"{method} {path}", operation
