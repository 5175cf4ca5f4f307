"""Takes the published types out of the npm package of Azure's MCP server: `python -m infra.check.extract DIRECTORY`.

    npm pack @azure/mcp-linux-x64 && tar xzf azure-mcp-linux-x64-*.tgz     # 140 MB, for this alone
    python -m infra.check.extract package/dist

The server prints the newest published version of a type. Types that it lacks are named; they belong into
`types/transcribed.json`. Kept is what a deployment of `infra/main.bicep` with everything on uses.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from infra.check.rules import deployments
from infra.check.schemas import TYPES

QUIET = {"AZURE_MCP_COLLECT_TELEMETRY": "false", "DOTNET_SYSTEM_GLOBALIZATION_INVARIANT": "1"}


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit("usage: python -m infra.check.extract DIRECTORY, the one with azmcp in it")
    server = Path(sys.argv[1]) / "azmcp"
    kept: dict[str, Any] = {}
    bodies: dict[str, list[Mapping[str, Any]]] = {}
    for deployment in deployments():
        for resource in deployment.resources:
            bodies.setdefault(resource.type, []).append(resource.body)
    for kind in sorted(bodies):
        answer = _ask(server, kind)
        if answer is None:
            print(f"{kind}: not in this package")
            continue
        name, body, types = answer
        used: set[str] = set()
        for content in bodies[kind]:
            _mark(content, body, types, used)
        kept[name] = {"body": body, "types": {each: types[each] for each in sorted(used)}}
        print(f"{name}: {len(used)} of {len(types)} types")
    (TYPES / "published.json").write_text(json.dumps(kept, indent=1) + "\n")


def _ask(server: Path, kind: str) -> tuple[str, Any, dict[str, Any]] | None:
    """`type@version`, body and types by name; None where the package has no such type."""
    answer = subprocess.run(
        [str(server), "bicepschema", "get", "--resource-type", kind],
        capture_output=True,
        text=True,
        env={**os.environ, **QUIET},
    )
    try:
        found = json.loads(answer.stdout)["results"]["BicepSchemaResult"]
    except (ValueError, KeyError):
        return None
    types = {each["name"]: _brief(each) for each in found if each["$type"].endswith("Object")}
    resource = next(each for each in found if each["$type"] == "Resource")
    return resource["name"], _brief(resource["bodyType"]), types


def _brief(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Without descriptions, properties by name."""
    if schema["$type"] == "DiscriminatedObject":
        return {
            "discriminator": schema["discriminator"],
            "baseProperties": _properties(schema["baseProperties"]),
            "elements": [_brief(each) for each in schema["elements"]],
        }
    brief: dict[str, Any] = {"properties": _properties(schema["properties"])}
    if additional := schema.get("additionalPropertiesType"):
        brief["additionalPropertiesType"] = additional
    return brief


def _properties(listed: list[Mapping[str, str]]) -> dict[str, dict[str, str]]:
    return {
        each["name"]: {key: each[key] for key in ("type", "flags", "modifiers") if each.get(key)}
        for each in listed
    }


def _mark(value: Any, schema: Mapping[str, Any], types: Mapping[str, Any], used: set[str]) -> None:
    """Remember the names of all types that a value of this schema meets."""
    if "discriminator" in schema:
        for element in schema["elements"]:
            if element["properties"][schema["discriminator"]]["type"] == value.get(schema["discriminator"]):
                _mark(value, element, types, used)
        schema = {"properties": schema["baseProperties"]}
    for name, content in value.items():
        rule = schema["properties"].get(name) or {"type": schema.get("additionalPropertiesType", "any")}
        kind = rule["type"].removesuffix("[]")
        if kind in types:
            used.add(kind)
            for item in content if isinstance(content, list) else [content]:
                if isinstance(item, dict):
                    _mark(item, types[kind], types, used)


if __name__ == "__main__":
    main()
