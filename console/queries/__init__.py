"""The console's questions: one `.kql` file each, portable between Log Analytics and the emulator.

Each file says its question in its first line and declares its parameters with `declare query_parameters`.
Azure Monitor runs no such statement and its API takes no values: `Query.text` sends `let` statements instead.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TypeAlias

FOLDER = Path(__file__).parent
Value: TypeAlias = "str | int | float | timedelta"

_DECLARATION = re.compile(r"^declare query_parameters\((?P<parameters>[^)]*)\);\n", re.MULTILINE)
_PARAMETER = re.compile(r"(?P<name>\w+):\w+ = (?P<default>\"[^\"]*\"|[^,]+)")


@dataclass(frozen=True, slots=True)
class Query:
    """A question to telemetry.

    Attributes:
        parameters: default, as KQL writes it, by name.
    """

    name: str
    question: str
    source: str
    parameters: Mapping[str, str]

    def text(self, **values: Value) -> str:
        """What to send: the file with its parameters' values, or their defaults.

        Raises:
            KeyError: it has no such parameter.
        """
        if unknown := values.keys() - self.parameters.keys():
            raise KeyError(f"{self.name}.kql has no parameters {unknown}; it has {list(self.parameters)}")
        lets = "".join(
            f"let {name} = {_literal(values[name]) if name in values else default};\n"
            for name, default in self.parameters.items()
        )
        return _DECLARATION.sub(lambda _: lets, self.source)


def load_query(name: str) -> Query:
    """Read `<name>.kql`."""
    source = (FOLDER / f"{name}.kql").read_text()
    declaration = _DECLARATION.search(source)
    declared = _PARAMETER.finditer(declaration["parameters"]) if declaration else ()
    parameters = {each["name"]: each["default"].strip() for each in declared}
    question = source.partition("\n")[0].removeprefix("//").strip()
    return Query(name, question, source, parameters)


def query_names() -> list[str]:
    return sorted(path.stem for path in FOLDER.glob("*.kql"))


def _literal(value: Value) -> str:
    """A value as KQL writes it."""
    if isinstance(value, timedelta):
        return f"{value // timedelta(microseconds=1)}microseconds"
    return json.dumps(value)
