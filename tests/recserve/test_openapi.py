import importlib

from openapi_spec_validator import validate

from recserve.openapi import OPERATIONS, describe


def test_document_is_valid_openapi() -> None:
    validate(describe())


def test_operations_are_those_that_the_host_indexes() -> None:
    function_app = importlib.import_module("function_app")
    bindings = {
        function.get_function_name(): function.get_trigger().get_dict_repr()
        for function in importlib.reload(function_app).app.get_functions()
        if function.get_trigger().type == "httpTrigger"
    }

    assert {
        name: (f"/{b['route']}".replace("?}", "}"), [m.value for m in b["methods"]])
        for name, b in bindings.items()
    } == {name: (operation.path, [operation.method.upper()]) for name, operation in OPERATIONS.items()}


def test_required_parameters_are_those_of_the_path() -> None:
    for path, operations in describe()["paths"].items():
        for operation in operations.values():
            in_path = {p["name"] for p in operation.get("parameters", ()) if p["in"] == "path"}
            assert in_path == {part[1:-1] for part in path.split("/") if part.startswith("{")}
