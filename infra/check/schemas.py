"""Whether resources are as Azure publishes them: API version, names and kinds of properties, allowed values.

`types/published.json` is what Microsoft's own type definitions of Bicep say, the ones that its compiler checks with:
`infra/check/extract.py` takes them from the npm package of Azure's MCP server, which carries them. What that package
lacks stands in `types/transcribed.json`, from the documentation that Microsoft generates of the same definitions (the
`types.md` files of Azure/bicep-types-az). Both hold the parts that these files use.
"""

import json
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from infra.check.evaluation import Deployed, Runtime

TYPES = Path(__file__).parent / "types"
_KINDS: Mapping[str, type | tuple[type, ...]] = {
    "string": str,
    "int": int,
    "bool": bool,
    "object": dict,
    "any": object,
}


@cache
def published() -> Mapping[str, Any]:
    """Each known `type@version`, with its body and the types that it refers to."""
    return {
        name: schema
        for file in ("transcribed.json", "published.json")
        for name, schema in json.loads((TYPES / file).read_text()).items()
    }


def problems_of(resource: Deployed) -> Iterator[str]:
    """What in a resource is not as published, one line each."""
    key = f"{resource.type}@{resource.version}"
    if key not in published():
        versions = [name for name in published() if name.startswith(f"{resource.type}@")]
        known = ", ".join(versions) or "no version of it is known"
        yield f"{resource.where}: {key} is not among the published types; {known}"
        return
    schema = published()[key]
    for problem in _object_problems(resource.body, schema["body"], schema["types"], ""):
        yield f"{resource.where}: {resource.type}: {problem}"


def _object_problems(
    value: Any, schema: Mapping[str, Any], types: Mapping[str, Any], path: str
) -> Iterator[str]:
    if "discriminator" in schema:
        yield from _discriminated_problems(value, schema, types, path)
        return
    properties = schema["properties"]
    for name, rule in properties.items():
        if "Required" in rule.get("flags", "") and value.get(name) is None:
            yield f"{path}{name} is required"
    for name, content in value.items():
        if rule := properties.get(name):
            if "ReadOnly" in rule.get("flags", ""):
                yield f"{path}{name} is read-only"
            yield from _value_problems(content, rule, types, f"{path}{name}")
        elif additional := schema.get("additionalPropertiesType"):
            yield from _value_problems(content, {"type": additional}, types, f"{path}{name}")
        else:
            alike = next((known for known in properties if known.lower() == name.lower()), None)
            settable = [
                known for known, rule in properties.items() if "ReadOnly" not in rule.get("flags", "")
            ]
            hint = f"; it is called {alike}" if alike else f"; there are {', '.join(sorted(settable))}"
            yield f"{path}{name} is no property{hint}"


def _discriminated_problems(
    value: Any, schema: Mapping[str, Any], types: Mapping[str, Any], path: str
) -> Iterator[str]:
    by = schema["discriminator"]
    choices = {element["properties"][by]["type"]: element for element in schema["elements"]}
    if value.get(by) not in choices:
        yield f"{path}{by} is {value.get(by)!r}; published are {', '.join(sorted(choices))}"
        return
    chosen = choices[value[by]]
    merged = {**chosen, "properties": {**schema.get("baseProperties", {}), **chosen["properties"]}}
    yield from _object_problems(value, merged, types, path)


def _value_problems(
    value: Any, rule: Mapping[str, Any], types: Mapping[str, Any], path: str
) -> Iterator[str]:
    kind = rule["type"]
    if value is None or isinstance(value, Runtime) or kind == "any":
        return
    if kind.endswith("[]"):
        if not isinstance(value, list):
            yield f"{path} is {value!r}, which is no list"
            return
        for number, item in enumerate(value):
            yield from _value_problems(item, {"type": kind[:-2]}, types, f"{path}[{number}]")
    elif kind in types:
        if isinstance(value, dict):
            yield from _object_problems(value, types[kind], types, f"{path}.")
        else:
            yield f"{path} is {value!r}, which is no object"
    elif isinstance(value, dict) and kind != "object":
        yield f"{path} is of the type {kind}, of which nothing is known here: run infra/check/extract.py"
    elif isinstance(value, (str, int, bool)):
        yield from _plain_problems(value, kind, path)
        yield from _bound_problems(value, rule.get("modifiers", ""), path)


def _plain_problems(value: str | int | bool, kind: str, path: str) -> Iterator[str]:
    choices = kind.split(" | ")
    for choice in choices:
        if choice in _KINDS:
            is_bool_for_int = isinstance(value, bool) and choice == "int"
            if isinstance(value, _KINDS[choice]) and not is_bool_for_int:
                break
        elif value == choice:
            break
    else:
        yield f"{path} is {value!r}; allowed: {kind}"
        return
    # `A | B | string` takes any text, since Azure may add to it. Here, only what is listed.
    listed = [choice for choice in choices if choice not in _KINDS]
    if listed and value not in listed and path not in _BEYOND_LISTS:
        yield f"{path} is {value!r}; known are {', '.join(listed)}"


_BEYOND_LISTS = frozenset({"kind"})
"`WorkspaceTransforms` is documented for data collection rules, and not in their list."


def _bound_problems(value: str | int | bool, modifiers: str, path: str) -> Iterator[str]:
    for modifier in modifiers.split(", "):
        name, _, bound = modifier.partition(": ")
        if name not in ("minValue", "maxValue", "minLength", "maxLength"):
            continue
        size = len(value) if isinstance(value, str) else value
        if size < int(bound) if name.startswith("min") else size > int(bound):
            yield f"{path} is {value!r}; {modifier}"
